//! The page in a browser, where `cargo xtask test --browser` has found one: a run is started and watched, a step and a record are
//! found, a pair is flipped by the keyboard, and the next iteration obeys.

#![cfg(all(unix, feature = "llama-cpp", feature = "burn-cpu", feature = "serve"))]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod page;
mod program;
mod tiny_run;

use std::{env, fs, path::Path, process::Command};

use lancer_skipped::skip;
use page::Page;
use program::{lancer, text};
use serde_json::Value;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/browser/look.mjs");

#[test]
fn a_person_watches_finds_and_flips() {
    if env::var_os("LANCER_BROWSER").is_none() {
        skip!("there is no browser; `cargo xtask test --browser` looks for one");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    tiny_run::evolve(&folder.path().join("one"), 1, &[]);
    let shown =
        env::var_os("LANCER_SCREENSHOTS").map_or_else(|| folder.path().join("screenshots"), Into::into);
    fs::create_dir_all(&shown).unwrap();
    let page = Page::new(folder.path(), &[]);
    let watched = folder.path().join("watched");
    let arguments = tiny_run::arguments(&watched, 1);
    let values = |name: &str| -> Vec<String> {
        let pairs = arguments.iter().zip(arguments.iter().skip(1));
        pairs.filter(|(found, _)| *found == name).map(|(_, value)| value.clone()).collect()
    };
    let single = |name: &str| values(name).remove(0);
    let looked = Command::new("node")
        .arg(SCRIPT)
        .arg(format!("http://{}/", page.address))
        .arg(&shown)
        .args([single("--seeds"), single("--model"), single("--task")])
        .args(values("--set"))
        .output();
    drop(page);
    let looked = looked.unwrap();
    assert!(looked.status.success(), "{}\n{}", text(&looked.stdout), text(&looked.stderr));
    let found: Value = serde_json::from_slice(&looked.stdout).unwrap();
    let none = Value::Array(Vec::new());
    assert_eq!(found["problems"], none, "what the browser refused");
    assert_eq!(found["violations"], none, "what axe finds serious");
    assert_eq!(found["markup"], 0, "a record became markup");
    assert!(found["examples"].as_u64().unwrap() > 0);
    assert!(found["command"].as_str().unwrap().contains("--review=likelihood"));
    obeys(&watched, &found["flipped"]);
}

/// Whether the next iteration trains on the pair as the person turned it.
fn obeys(run: &Path, flipped: &Value) {
    assert_eq!(flipped["action"], "flip");
    let key = flipped["key"].as_str().unwrap();
    let place = run.display().to_string();
    let again = lancer(&["--json", "evolve", "--run", &place, "--iterations", "2", "--threads", "1"]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    let (chosen, rejected) = key.split_once('>').unwrap();
    let sql = format!(
        "SELECT now.chosen = before.rejected AND now.rejected = before.chosen FROM pair AS now JOIN pair AS before
         ON before.iteration = 1 AND before.key = '{key}' WHERE now.iteration = 2 AND now.key = '{rejected}>{chosen}'"
    );
    let rows = lancer(&["--json", "query", &place, &sql]);
    let rows: Value = serde_json::from_slice(&rows.stdout).unwrap();
    assert_eq!(rows["rows"], serde_json::json!([[1]]), "{key}");
}
