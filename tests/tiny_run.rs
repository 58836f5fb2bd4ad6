//! A run of the tiny model, for tests that look at runs.

#![allow(dead_code, reason = "each test file uses a part")]

use std::{fs, path::Path, process::Output};

use super::program::{TINY, lancer};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

/// What no terminal may obey and no page may take for markup, as a seed.
pub(crate) const HOSTILE: &str = "<img src=x onerror=alert(1)></script><script>alert(2)</script> \u{1b}[31mred\u{1b}]0;title\u{7} \u{202e}turned";

/// The arguments of a run in `folder`, of so many iterations.
pub(crate) fn arguments(folder: &Path, iterations: u32) -> Vec<String> {
    let seeds = folder.with_extension("jsonl");
    if !seeds.exists() {
        let all = fs::read_to_string(Path::new(FIXTURES).join("seeds.jsonl")).unwrap();
        let some: String = all.lines().take(24).flat_map(|line| [line, "\n"]).collect();
        let hostile = serde_json::json!({ "prompt": format!("Say this: {HOSTILE}"), "response": format!("This is it, and nothing else follows: {HOSTILE}") });
        fs::create_dir_all(folder.parent().unwrap()).unwrap();
        fs::write(&seeds, format!("{some}{hostile}\n")).unwrap();
    }
    let mut arguments: Vec<String> = ["--json", "evolve"].map(str::to_owned).into();
    for (name, value) in [
        ("--run", folder.display().to_string()),
        ("--seeds", seeds.display().to_string()),
        ("--model", TINY.to_owned()),
        ("--task", format!("{FIXTURES}/tasks/held_out.toml")),
        ("--review", "likelihood".to_owned()),
        ("--iterations", iterations.to_string()),
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
        "preference.max_pairs=60",
        "preference.train.batch={examples=4}",
        "evaluate.bootstrap.resamples=200",
    ] {
        arguments.extend(["--set".to_owned(), setting.to_owned()]);
    }
    arguments
}

/// Makes the run, or goes on with it, with further settings.
pub(crate) fn evolve(folder: &Path, iterations: u32, more: &[&str]) -> Output {
    let mut all = arguments(folder, iterations);
    all.extend(more.iter().map(|&argument| argument.to_owned()));
    let output = lancer(&all.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}
