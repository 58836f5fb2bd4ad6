//! `cargo xtask bench review`: a written review of some pairs by lancer and the same requests by a llama.cpp server with as
//! many slots; and the reviews that write nothing.

use std::process::Command;

use serde_json::{Value, json};

use super::{
    measure::{Measured, in_turn},
    programs::{Programs, read_lines, rival, scratch, write, write_lines},
    result::{Row, finish},
    rivals,
};
use crate::{
    process::{Failure, output},
    setup::{Environment, root},
};

/// Pairs that are reviewed.
const PAIRS: usize = 175;
/// Tokens of a written review at most.
const LENGTH: &str = "64";
/// Slots of the server, which is what lancer computes at the same time by default.
const SLOTS: &str = "32";
const THREADS: &str = "2";

/// Seeds, and after them prompts with the response of the next one.
fn of_seeds(seeds: &[Value]) -> Vec<Value> {
    let damaged = seeds.iter().zip(seeds.iter().skip(1)).map(|(seed, next)| {
        let id = seed["id"].as_str().unwrap_or_default();
        json!({ "id": format!("{id}-other"), "prompt": seed["prompt"], "response": next["response"] })
    });
    seeds.iter().cloned().chain(damaged).take(PAIRS).collect()
}

pub(crate) fn run(rounds: usize) -> Result<(), Failure> {
    let environment = Environment::prepare()?;
    let programs = Programs::prepare(&environment)?;
    let llama_cpp = rivals::llama_cpp(&environment)?;
    let pairs = scratch(&environment, "review-pairs.jsonl");
    let seeds = read_lines(&root().join("fixtures/seeds.jsonl"))?;
    write_lines(&pairs, &of_seeds(&seeds))?;
    let asked = scratch(&environment, "review-requests.jsonl");
    let requests = output(programs.example("rubric_requests").arg(&pairs).arg(LENGTH))
        .ok_or_else(|| Failure::new("the example rubric_requests failed"))?;
    write(&asked, &(requests + "\n"))?;

    let reviewed = scratch(&environment, "reviewed.jsonl");
    let review = |mode: &str| {
        let mut command = programs.lancer();
        command.arg("review").arg(&pairs).arg(&reviewed).args(["--json", "--threads", THREADS, "--model"]);
        command.arg(&programs.gguf).args(["--set", &format!("mode={mode}")]);
        // What cannot be read is not asked again: the server is asked once too.
        command.args(["--set", "retries=0", "--set", &format!("max_tokens={LENGTH}")]);
        command
    };
    let mut server = || {
        let mut command = Command::new("python3");
        command.arg(rival("server.py")).arg(llama_cpp.join("llama-server")).arg(&programs.gguf).arg(&asked);
        command.args([SLOTS, THREADS, "32768"]);
        command
    };
    let measured = in_turn(
        rounds,
        &mut [
            ("rubric", &mut || review("rubric")),
            ("llama-server", &mut server),
            ("expected", &mut || review("expected")),
            ("likelihood", &mut || review("likelihood")),
        ],
    )?;
    let rate = |runs: &[Measured]| -> Result<Vec<f64>, Failure> {
        runs.iter().map(|run| Ok(PAIRS as f64 / run.number("seconds")?)).collect()
    };
    let ours = rate(&measured[0])?;
    let setting = format!("{PAIRS} pairs, 3 reviews of {LENGTH} tokens at most");
    let rows = [
        Row::new(setting.clone(), "lancer, rubric", ours.clone()),
        Row::against(setting, "llama-server, the same requests", rate(&measured[1])?, &ours),
        Row::against(format!("{PAIRS} pairs"), "lancer, expected", rate(&measured[2])?, &ours),
        Row::against(format!("{PAIRS} pairs"), "lancer, likelihood", rate(&measured[3])?, &ours),
    ];
    finish(&environment, "review", "pairs/s", &rows)
}
