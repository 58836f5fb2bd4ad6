//! `lancer evolve` on the tiny model: the whole loop, killed and resumed.

#![cfg(all(feature = "llama-cpp", feature = "burn-cpu"))]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod program;

use std::{fs, path::Path, process::Stdio, thread, time::Duration};

use program::{TINY, command, lancer, text};
use serde_json::Value;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

/// What every run here is started with.
fn arguments(run: &Path) -> Vec<String> {
    let mut arguments: Vec<String> = ["--json", "evolve", "--run"].map(str::to_owned).into();
    arguments.push(run.display().to_string());
    let seeds = run.with_file_name("seeds.jsonl");
    if !seeds.exists() {
        let all = fs::read_to_string(Path::new(FIXTURES).join("seeds.jsonl")).unwrap();
        let some: String = all.lines().take(24).flat_map(|line| [line, "\n"]).collect();
        fs::write(&seeds, some + "a line that is not JSON\n").unwrap();
    }
    for (name, value) in [
        ("--seeds", seeds.display().to_string()),
        ("--model", TINY.to_owned()),
        ("--task", format!("{FIXTURES}/tasks/everyday.toml")),
        ("--task", format!("{FIXTURES}/tasks/held_out.toml")),
        ("--review", "likelihood".to_owned()),
        ("--iterations", "2".to_owned()),
        // Tests run side by side, one on each core.
        ("--threads", "1".to_owned()),
    ] {
        arguments.extend([name.to_owned(), value]);
    }
    for setting in [
        "review.calibration_seeds=12",
        "format=f32",
        "expand.sources=6",
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
        "sft.train.checkpoint_every=1",
        "preference.max_pairs=6",
        "preference.train.batch={examples=2}",
        "preference.train.checkpoint_every=1",
    ] {
        arguments.extend(["--set".to_owned(), setting.to_owned()]);
    }
    arguments
}

fn as_texts(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// The parts of a summary that do not depend on when a run was stopped: no times, and not what was computed twice.
fn outcome(summary: &[u8], run: &Path) -> Value {
    let shown = text(summary).replace(&run.display().to_string(), "RUN");
    let mut summary: Value = serde_json::from_str(&shown).unwrap();
    strip(&mut summary);
    summary
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for name in ["seconds", "tokens_per_second", "read", "reused", "generated", "trained"] {
                fields.remove(name);
            }
            fields.values_mut().for_each(strip);
        }
        Value::Array(values) => values.iter_mut().for_each(strip),
        _ => {}
    }
}

/// What `lancer check` says of a run.
fn checked(run: &Path) -> Value {
    let check = lancer(&["--json", "check", &run.display().to_string()]);
    assert!(check.status.success(), "{}{}", text(&check.stdout), text(&check.stderr));
    serde_json::from_slice(&check.stdout).unwrap()
}

#[test]
fn the_loop_closes_and_resumes() {
    let scratch = tempfile::tempdir().unwrap();
    let whole = scratch.path().join("whole");
    let run = lancer(&as_texts(&arguments(&whole)));
    assert!(run.status.success(), "{}", text(&run.stderr));
    for file in [
        "run.toml",
        "ledger.sqlite",
        "report.html",
        "rejects.jsonl",
        "models/m2.gguf",
        "models/m2/model.safetensors",
    ] {
        assert!(whole.join(file).exists(), "{file} is missing");
    }
    assert!(whole.join("exports/iteration-1/sft.jsonl").exists());
    assert!(
        !whole.join("models/m1-sft").exists(),
        "what was only needed within the iteration is still there"
    );

    // Run again, it does nothing and says the same.
    let again = lancer(&as_texts(&arguments(&whole)));
    assert_eq!(outcome(&again.stdout, &whole), outcome(&run.stdout, &whole));

    // The new model is one that can be used.
    let model = whole.join("models/m2.gguf").display().to_string();
    let task = format!("{FIXTURES}/tasks/held_out.toml");
    let eval = lancer(&["--json", "eval", &task, "--model", &model, "--threads", "1"]);
    assert!(eval.status.success(), "{}", text(&eval.stderr));

    // Killed again and again, a run comes to the same.
    let killed = scratch.path().join("killed");
    let arguments = arguments(&killed);
    let mut kills = 0;
    for wait in [150, 400, 700, 1000, 1300, 1600] {
        let mut child =
            command(&as_texts(&arguments)).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(wait));
        // `kill -9` on Unix.
        child.kill().unwrap();
        kills += usize::from(!child.wait().unwrap().success());
    }
    assert!(kills > 0, "every child had ended before it was killed");
    let resumed = lancer(&as_texts(&arguments));
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
    // To the last bit, since a group of work that was not whole is done again whole.
    assert_eq!(outcome(&resumed.stdout, &killed), outcome(&run.stdout, &whole));
    for iteration in ["m1.gguf", "m2.gguf"] {
        let model = |run: &Path| fs::read(run.join("models").join(iteration)).unwrap();
        assert!(model(&killed) == model(&whole), "{iteration} is another one");
    }
    let of_whole = checked(&whole);
    assert_eq!(of_whole["finished"], 22);
    assert_eq!(checked(&killed)["rows"], of_whole["rows"]);
}

#[test]
fn a_damaged_run_is_exit_code_1_with_what_to_do() {
    let scratch = tempfile::tempdir().unwrap();
    let run = scratch.path().join("run");
    let mut arguments = arguments(&run);
    let iterations = arguments.iter().position(|argument| argument == "--iterations").unwrap();
    arguments[iterations + 1] = "1".into();
    let done = lancer(&as_texts(&arguments));
    assert!(done.status.success(), "{}", text(&done.stderr));
    let shown = lancer(&["check", &run.display().to_string()]);
    assert!(text(&shown.stdout).contains("ok     checksums  12"), "{}", text(&shown.stdout));

    let ledger = run.join("ledger.sqlite");
    let mut bytes = fs::read(&ledger).unwrap();
    // A text of some rows, as a disk that fails changes it: SQLite sees nothing wrong with it.
    let seeds = fs::read_to_string(run.with_file_name("seeds.jsonl")).unwrap();
    let seed: Value = serde_json::from_str(seeds.lines().next().unwrap()).unwrap();
    let part = seed["response"].as_str().unwrap().as_bytes()[..20].to_vec();
    let places: Vec<usize> =
        (0..bytes.len() - part.len()).filter(|&at| bytes[at..].starts_with(&part)).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place] ^= 1;
    }
    fs::write(&ledger, &bytes).unwrap();
    let check = lancer(&["--json", "check", &run.display().to_string()]);
    assert_eq!(check.status.code(), Some(1), "{}", text(&check.stdout));
    assert!(text(&check.stderr).contains("--save"), "{}", text(&check.stderr));
    let checked: Value = serde_json::from_slice(&check.stdout).unwrap();
    assert!(checked["checks"].as_array().unwrap().len() == 8, "{checked}");

    // With its beginning gone nothing can be read, and that is said by every command.
    bytes[..16].fill(0);
    fs::write(&ledger, &bytes).unwrap();
    for command in ["check", "report"] {
        let output = lancer(&[command, &run.display().to_string()]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains("file is not a database"), "{command}: {said}");
    }
    let again = lancer(&as_texts(&arguments));
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("is damaged"), "{}", text(&again.stderr));
    let none = lancer(&["check", &scratch.path().display().to_string()]);
    assert_eq!(none.status.code(), Some(1));
}

#[test]
fn an_interrupted_run_says_how_to_go_on() {
    let scratch = tempfile::tempdir().unwrap();
    let run = scratch.path().join("run");
    let child =
        command(&as_texts(&arguments(&run))).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // Until the run has begun to write, so that the signal meets its handler.
    while !run.join("ledger.sqlite").exists() {
        thread::sleep(Duration::from_millis(10));
    }
    let signal = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signal.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("the same command goes on"), "{}", text(&output.stderr));
}

/// One engine for everything: nothing is converted, what is trained on is what is run.
#[test]
fn a_run_in_burn_alone_writes_no_other_form_of_its_models() {
    let scratch = tempfile::tempdir().unwrap();
    let run = scratch.path().join("run");
    let mut arguments = arguments(&run);
    let iterations = arguments.iter().position(|argument| argument == "--iterations").unwrap();
    arguments[iterations + 1] = "1".into();
    arguments.extend(["--backend", "burn"].map(str::to_owned));
    let done = lancer(&as_texts(&arguments));
    assert!(done.status.success(), "{}", text(&done.stderr));
    let models: Vec<String> = fs::read_dir(run.join("models"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "run.id")
        .collect();
    assert_eq!(models, ["m1"]);
    let recipe = fs::read_to_string(run.join("run.toml")).unwrap();
    assert!(recipe.contains("backend = \"burn\""), "{recipe}");
}

#[test]
fn a_gain_that_is_required_and_missing_is_exit_code_3() {
    let scratch = tempfile::tempdir().unwrap();
    let run = scratch.path().join("run");
    let mut arguments = arguments(&run);
    // Nothing is trained, so that the last model is the first.
    for setting in ["sft.max_examples=0", "preference.max_pairs=0"] {
        arguments.extend(["--set".to_owned(), setting.to_owned()]);
    }
    arguments.extend(["--iterations".to_owned(), "1".to_owned(), "--require-gain".to_owned()]);
    arguments.retain(|argument| argument != "2");
    let first = arguments.iter().position(|argument| argument == "--iterations").unwrap();
    arguments.remove(first);
    let output = lancer(&as_texts(&arguments));
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("no gain"), "{}", text(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let iteration = &summary["iterations"][0];
    assert_eq!(iteration["outcome"], "not_told_apart");
    assert!(iteration["conclusion"].as_str().unwrap().contains("is not told apart from M_0"), "{iteration}");
}

#[test]
fn recipes_are_compared() {
    let scratch = tempfile::tempdir().unwrap();
    let runs = scratch.path().join("runs");
    let mut arguments = arguments(&runs);
    arguments[1] = "compare".into();
    arguments[2] = "--runs".into();
    for (name, value) in [("--recipes", "sft-only,spin"), ("--budget", "1"), ("--repeat", "2")] {
        arguments.extend([name.to_owned(), value.to_owned()]);
    }
    let output = lancer(&as_texts(&arguments));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let standings: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (place, name) in ["sft-only", "spin"].into_iter().enumerate() {
        let standing = &standings[place];
        assert_eq!(standing["name"], name);
        assert_eq!(standing["trials"].as_array().unwrap().len(), 2);
        assert_eq!(standing["tasks"].as_array().unwrap().len(), 2);
        // The budget has room for nothing but the first iteration, which is always made.
        assert_eq!(standing["cost"]["iterations"], 1.0);
        assert_eq!(standing["cost"]["generated"].as_f64().unwrap() > 0.0, name == "spin");
        assert!(runs.join(format!("{name}-2/report.html")).exists());
    }
    let wrong = lancer(&["compare", "--recipes", "lence"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("self-rewarding"), "{}", text(&wrong.stderr));
}

#[cfg(feature = "onnx")]
#[test]
fn a_run_names_its_engine_and_keeps_it() {
    let scratch = tempfile::tempdir().unwrap();
    let run = scratch.path().join("run");
    let mut arguments = arguments(&run);
    let iterations = arguments.iter().position(|argument| argument == "--iterations").unwrap();
    arguments[iterations + 1] = "1".into();
    let with = |engine: &str| {
        let mut arguments = as_texts(&arguments);
        arguments.extend(["--backend", engine]);
        lancer(&arguments)
    };
    let first = with("onnx");
    assert!(first.status.success(), "{}", text(&first.stderr));
    let recipe = fs::read_to_string(run.join("run.toml")).unwrap();
    assert!(recipe.contains("backend = \"onnx\""), "{recipe}");
    // Without an engine named, the run's own; with another, the run is not that one.
    let again = lancer(&as_texts(&arguments));
    assert!(again.status.success(), "{}", text(&again.stderr));
    let other = with("llama-cpp");
    assert_eq!(other.status.code(), Some(2));
    assert!(text(&other.stderr).contains("backend: \"onnx\", now \"llama-cpp\""), "{}", text(&other.stderr));
}

#[test]
fn the_same_command_goes_on_where_its_recipe_is_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let recipe = folder.path().join("recipe.toml");
    fs::write(&recipe, "").unwrap();
    let mut arguments = arguments(&run);
    let iterations = arguments.iter().position(|argument| argument == "--iterations").unwrap();
    arguments[iterations + 1] = "1".into();
    arguments.extend(["--recipe".to_owned(), recipe.display().to_string()]);
    let first = lancer(&as_texts(&arguments));
    assert!(first.status.success(), "{}", text(&first.stderr));
    let again = lancer(&as_texts(&arguments));
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert_eq!(outcome(&first.stdout, &run), outcome(&again.stdout, &run));
}

const SYSTEM: &str = "You are a patient teacher. Answer in plain words.";

#[test]
fn conversations_under_a_system_prompt_go_through_the_whole_loop() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let pairs = fs::read_to_string(Path::new(FIXTURES).join("seeds.jsonl")).unwrap();
    let pairs: Vec<Value> = pairs.lines().take(48).map(|line| serde_json::from_str(line).unwrap()).collect();
    let seeds: Vec<String> = pairs
        .chunks(2)
        .enumerate()
        .map(|(number, pair)| {
            let turn = |role: &str, content: &Value| serde_json::json!({"role": role, "content": content});
            serde_json::json!({
                "id": number, "lang": "en",
                "messages": [
                    turn("system", &SYSTEM.into()),
                    turn("user", &pair[0]["prompt"]),
                    turn("assistant", &pair[0]["response"]),
                    turn("user", &pair[1]["prompt"]),
                    serde_json::json!({
                        "role": "assistant", "content": pair[1]["response"], "reasoning_content": "A thought of mine.",
                    }),
                ],
            })
            .to_string()
        })
        .collect();
    fs::write(folder.path().join("seeds.jsonl"), seeds.join("\n")).unwrap();
    let mut arguments = arguments(&run);
    arguments.extend(["--set", "sft.turns=all", "--set", "preference.held_out=0"].map(str::to_owned));
    let output = lancer(&as_texts(&arguments));
    assert!(output.status.success(), "{}", text(&output.stderr));
    checked(&run);

    let saved = folder.path().join("saved");
    let output = lancer(&["check", &run.display().to_string(), "--save", &saved.display().to_string()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let rows = |path: &Path| -> Vec<Value> {
        let lines = fs::read_to_string(path).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let records = rows(&saved.join("record.jsonl"));
    let (seeds, new): (Vec<&Value>, Vec<&Value>) = records.iter().partition(|row| row["origin"] == "seed");
    assert_eq!(seeds.len(), 24);
    assert!(!new.is_empty(), "nothing new was written");
    for record in &records {
        let chat: Value = serde_json::from_str(record["conversation"].as_str().unwrap()).unwrap();
        let messages = chat["messages"].as_array().unwrap();
        assert_eq!(messages[0]["content"], SYSTEM, "{record}");
        assert!(!record["prompt"].as_str().unwrap().contains("patient teacher"), "{record}");
        let turns = if record["origin"] == "new_prompt" { 3 } else { 5 };
        assert_eq!(messages.len(), turns, "{record}");
    }
    assert_eq!(serde_json::from_str::<Value>(seeds[0]["fields"].as_str().unwrap()).unwrap()["lang"], "en");
    // Reviewed is the answer, trained on is the conversation, and so it is exported.
    let sft = rows(&run.join("exports/iteration-1/sft.jsonl"));
    let whole: Vec<&Value> =
        sft.iter().filter(|row| row["messages"].as_array().unwrap().len() == 5).collect();
    assert!(!whole.is_empty());
    for row in whole {
        assert_eq!(row["messages"][0]["content"], SYSTEM);
        assert_eq!(row["messages"][4]["reasoning_content"], "A thought of mine.");
    }
    let pairs = rows(&run.join("exports/iteration-1/preference.jsonl"));
    assert!(!pairs.is_empty());
    assert!(pairs.iter().all(|row| row["prompt"][0]["content"] == SYSTEM));
}
