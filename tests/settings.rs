//! `lancer settings` and `lancer init`: settings that can be found, and a recipe file that a run takes.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod program;

use std::fs;

use program::{TINY, lancer, text};
use serde_json::Value;

#[test]
fn one_setting_is_shown_with_its_values() {
    let shown = lancer(&["settings", "expand.to"]);
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    let shown = text(&shown.stdout);
    assert!(shown.contains("[expand]") && shown.contains("by_score:"), "{shown}");
    assert!(shown.contains("to = \"by_score\""), "{shown}");
    let wide = shown.lines().find(|line| line.chars().count() > 100);
    assert_eq!(wide, None);
}

#[test]
fn a_wrong_name_is_refused_with_the_nearest_one() {
    let refused = lancer(&["settings", "expand.wrose_over"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(said.contains("`expand.worse_over`?"), "{said}");

    for (change, said) in [
        ("itertions=3", "did you mean `iterations`?"),
        ("preference.loss.kind=dop", "did you mean `dpo`?"),
        ("iterations=many", "expected a whole number"),
        ("sft.held_out=true", "expected a number"),
    ] {
        let refused = lancer(&["evolve", "--seeds", "absent.jsonl", "--set", change]);
        assert!(!refused.status.success());
        let error = text(&refused.stderr);
        assert!(error.contains(said), "{change}: {error}");
    }
}

#[test]
fn the_schema_describes_the_training_engines_settings_too() {
    let schema = lancer(&["settings", "--schema"]);
    assert!(schema.status.success(), "{}", text(&schema.stderr));
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert!(schema["properties"]["iterations"]["description"].is_string());
    // Every reference leads somewhere.
    let mut references = Vec::new();
    collect(&schema, &mut references);
    assert!(references.len() > 10);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(schema.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn collect<'a>(value: &'a Value, references: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| collect(value, references));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}

#[test]
fn a_recipe_is_written_once_and_a_run_takes_it() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("recipe.toml");
    let path = file.display().to_string();
    let seeds = scratch.path().join("seeds.jsonl").display().to_string();
    let set = ["--set", "iterations=0"];
    let arguments = ["init", &path, "--model", TINY, "--seeds", &seeds, set[0], set[1]];
    let written = lancer(&arguments);
    assert!(written.status.success(), "{}", text(&written.stderr));
    let recipe = fs::read_to_string(&file).unwrap();
    assert!(recipe.contains("# Number of iterations") && recipe.contains("iterations = 0"), "{recipe}");
    assert!(!lancer(&arguments).status.success(), "an existing recipe was replaced");

    // The run reads the whole file, and its first complaint is the one setting that was set wrongly.
    fs::write(&seeds, "{\"prompt\": \"Name a colour.\", \"response\": \"Red.\"}\n").unwrap();
    let run = scratch.path().join("run").display().to_string();
    let refused = lancer(&["evolve", "--recipe", &path, "--run", &run]);
    let error = text(&refused.stderr);
    assert!(error.contains("iterations is 0") && error.contains("from 1 to 10000"), "{error}");
}
