//! `--backend openai`: a server that runs the tiny model on Burn, the whole way through the program.

#![cfg(all(feature = "openai", feature = "burn-cpu"))]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod program;
mod serving;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use lancer_backend::conformance;
use lancer_openai::{OpenAi, OpenAiSettings};
use program::{TINY, command, text};
use serde_json::Value;
use serving::{Served, serve};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
const KEY: &str = "sk-of-a-test-0123456789abcdef";

/// A server of the tiny model; the file in `folder` that names the model.
fn tiny(folder: &Path, key: Option<&'static str>) -> (Served, PathBuf) {
    let of = folder.join("served");
    fs::write(&of, TINY).unwrap();
    (serve(&of, key), of)
}

fn lancer(arguments: &[&str]) -> Output {
    command(arguments).env("LANCER_SERVER_KEY", KEY).output().unwrap()
}

/// Runs it with the server, and gives what it printed.
fn with_server(served: &Served, arguments: &[&str]) -> Output {
    let server = ["--backend", "openai", "--server", &served.address, "--model", TINY];
    let output = lancer(&[arguments, &server].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    output
}

/// Twelve seeds.
fn seeds(folder: &Path) -> String {
    let all = fs::read_to_string(Path::new(FIXTURES).join("seeds.jsonl")).unwrap();
    let some: String = all.lines().take(12).flat_map(|line| [line, "\n"]).collect();
    let path = folder.join("seeds.jsonl");
    fs::write(&path, some).unwrap();
    path.display().to_string()
}

#[test]
fn what_every_engine_does_it_does_through_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let (served, _) = tiny(folder.path(), None);
    let settings = OpenAiSettings::new(vec![served.address.parse().unwrap()]);
    let mut engine = OpenAi::connect(TINY.as_ref(), settings).unwrap();
    for case in conformance::BACKEND {
        eprintln!("{}", case.name);
        (case.run)(&mut engine);
    }
}

#[test]
fn the_commands_work_with_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let (served, _) = tiny(folder.path(), None);
    let within = |name: &str| folder.path().join(name).display().to_string();
    let seeds = seeds(folder.path());
    let (written, reviewed) = (within("written.jsonl"), within("reviewed.jsonl"));
    let generated = ["generate", &seeds, &written, "--what", "responses", "--count", "2", "--set"];
    let output = with_server(&served, &[&generated[..], &["max_response_tokens=16"]].concat());
    // All but those that are of no use, such as empty ones.
    assert!((20..=24).contains(&fs::read_to_string(&written).unwrap().lines().count()));
    let said = text(&output.stderr);
    assert!(said.contains("vLLM ours, model `tiny`") && said.contains("prompt_logprobs"), "{said}");
    with_server(
        &served,
        &["review", &seeds, &reviewed, "--set", "mode=likelihood", "--set", "calibration_seeds=12"],
    );
    assert_eq!(fs::read_to_string(&reviewed).unwrap().lines().count(), 12);

    // The same weights give the same items here and there.
    let task = format!("{FIXTURES}/tasks/everyday.toml");
    let (there, here) = (within("there.jsonl"), within("here.jsonl"));
    with_server(&served, &["eval", &task, "--items", &there]);
    let local =
        lancer(&["eval", &task, "--items", &here, "--backend", "burn", "--model", TINY, "--threads", "1"]);
    assert!(local.status.success(), "{}", text(&local.stderr));
    assert_eq!(rows(&there, "value"), rows(&here, "value"));
}

/// A field of each row of a file.
fn rows(path: &str, field: &str) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()[field].clone()).collect()
}

#[test]
fn what_a_server_lacks_is_said_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let seeds = seeds(folder.path());
    let to = folder.path().join("reviewed.jsonl").display().to_string();
    let said = |arguments: &[&str]| {
        let output = lancer(arguments);
        assert!(!output.status.success());
        text(&output.stderr)
    };
    let no_server = said(&["review", &seeds, &to, "--backend", "openai", "--model", TINY]);
    assert!(no_server.contains("name one with --server"), "{no_server}");
    let secret = ["--server", "http://me:pass-word-1@127.0.0.1:1"];
    let refused =
        said(&[&["review", &seeds, &to, "--backend", "openai", "--model", TINY][..], &secret].concat());
    assert!(refused.contains("LANCER_SERVER_KEY") && !refused.contains("pass-word-1"), "{refused}");
    let of_another = said(&[
        "review",
        &seeds,
        &to,
        "--backend",
        "burn",
        "--server",
        "http://127.0.0.1:9",
        "--model",
        TINY,
    ]);
    assert!(of_another.contains("--server goes with --backend openai"), "{of_another}");
    assert!(!Path::new(&to).exists());
}

/// The arguments of a small run.
fn evolve(run: &Path, served: &Served, seeds: &str, key: &Path) -> Vec<String> {
    let task = format!("{FIXTURES}/tasks/everyday.toml");
    let (run, key) = (run.display().to_string(), key.display().to_string());
    let mut arguments: Vec<String> = [
        "--json",
        "evolve",
        "--run",
        &run,
        "--seeds",
        seeds,
        "--model",
        TINY,
        "--task",
        &task,
        "--review",
        "likelihood",
        "--threads",
        "1",
        "--backend",
        "openai",
        "--server",
        &served.address,
        "--server-key-file",
        &key,
    ]
    .map(str::to_owned)
    .into();
    for setting in [
        "review.calibration_seeds=12",
        "expand.sources=4",
        "expand.prompts=2",
        "expand.responses=2",
        "expand.worse_responses=2",
        "generate.max_prompt_tokens=24",
        "generate.max_response_tokens=24",
        "annotate.sft_threshold=5.0",
        "annotate.review_examples=2",
        "sft.max_examples=8",
        "sft.train.batch={examples=4}",
        "sft.train.optimizer.learning_rate=0.001",
        "preference.max_pairs=6",
        "preference.train.batch={examples=2}",
    ] {
        arguments.extend(["--set".to_owned(), setting.to_owned()]);
    }
    arguments
}

#[test]
fn a_run_trains_here_gives_the_server_its_model_and_shows_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let (served, of) = tiny(folder.path(), Some(KEY));
    let (seeds, key) = (seeds(folder.path()), folder.path().join("key"));
    fs::write(&key, format!("{KEY}\n")).unwrap();
    let run = folder.path().join("run");
    let arguments = evolve(&run, &served, &seeds, &key);
    let start = |arguments: &[String]| {
        let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = command(&texts);
        command.env_remove("LANCER_SERVER_KEY").env("LANCER_CACHE", folder.path().join("cache"));
        command.output().unwrap()
    };

    // Without a way to give it the model, the run ends after training and says what it needs.
    let first = start(&arguments);
    let said = text(&first.stderr);
    assert!(!first.status.success() && said.contains("server.restart"), "{said}");

    // A command that changes nothing is seen.
    let mut with_nothing = arguments.clone();
    with_nothing.extend(["--set".to_owned(), "server.restart='true'".to_owned()]);
    let second = start(&with_nothing);
    let said_second = text(&second.stderr);
    assert!(!second.status.success(), "{said_second}");
    assert!(said_second.contains("the log-probabilities of another model"), "{said_second}");

    // One that does goes on to the end.
    let mut with_restart = arguments.clone();
    let restart = format!("printf %s \"$LANCER_MODEL\" > '{}'", of.display());
    with_restart.extend(["--set".to_owned(), format!("server.restart='''{restart}'''")]);
    let third = start(&with_restart);
    let said_third = text(&third.stderr);
    assert!(third.status.success(), "{said_third}");
    assert_eq!(fs::read_to_string(&of).unwrap(), run.join("models/m1").display().to_string());
    let recorded = fs::read_to_string(run.join("run.toml")).unwrap();
    assert!(recorded.contains(&served.address) && recorded.contains("restart"), "{recorded}");

    // The key is in nothing that was printed or written.
    for shown in [said, said_second, said_third, text(&third.stdout)] {
        assert!(!shown.contains(KEY), "{shown}");
    }
    let mut files = 0;
    look(&run, &mut |path, content| {
        files += 1;
        let has_key = content.windows(KEY.len()).any(|window| window == KEY.as_bytes());
        assert!(!has_key, "{} holds the key", path.display());
    });
    assert!(files > 5, "{files} files");
}

/// Hands every file below a folder to `each`.
fn look(folder: &Path, each: &mut dyn FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { look(&path, each) } else { each(&path, &fs::read(&path).unwrap()) }
    }
}
