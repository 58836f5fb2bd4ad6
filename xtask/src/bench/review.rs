//! `cargo xtask bench review`: a written review of some pairs by lancer and the same requests by a llama.cpp server with as
//! many slots; and the reviews that write nothing. All read the same file, in lancer two engines do, or the one that
//! `--backend` names.

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
/// The weights' format: that in which llama.cpp is the fastest on most processors.
const FORMAT: &str = "q8_0";
/// lancer's engines that review.
const BACKENDS: [&str; 2] = ["llama-cpp", "burn-bf16"];
/// lancer's reviews.
const MODES: [&str; 3] = ["rubric", "expected", "likelihood"];

/// Seeds, and after them prompts with the response of the next one.
fn of_seeds(seeds: &[Value]) -> Vec<Value> {
    let damaged = seeds.iter().zip(seeds.iter().skip(1)).map(|(seed, next)| {
        let id = seed["id"].as_str().unwrap_or_default();
        json!({ "id": format!("{id}-other"), "prompt": seed["prompt"], "response": next["response"] })
    });
    seeds.iter().cloned().chain(damaged).take(PAIRS).collect()
}

/// The engines that `--backend NAME` before all other arguments asks for, all without it, and the other arguments.
pub(crate) fn backends(arguments: &[String]) -> Result<(&'static [&'static str], &[String]), Failure> {
    let [option, name, others @ ..] = arguments else { return Ok((&BACKENDS, arguments)) };
    if option != "--backend" {
        return Ok((&BACKENDS, arguments));
    }
    let known = BACKENDS.iter().position(|backend| backend == name);
    let place = known
        .ok_or_else(|| Failure::usage(format!("--backend takes {}, not {name}", BACKENDS.join(" or "))))?;
    Ok((&BACKENDS[place..=place], others))
}

pub(crate) fn run(rounds: usize, backends: &[&str]) -> Result<(), Failure> {
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

    let model = scratch(&environment, &format!("default-{FORMAT}.gguf"));
    programs.convert(&model, &["--format", FORMAT])?;

    let reviewed = scratch(&environment, "reviewed.jsonl");
    let review = |backend: &str, mode: &str| {
        let mut command = programs.lancer();
        command.arg("review").arg(&pairs).arg(&reviewed).args([
            "--json",
            "--overwrite",
            "--threads",
            THREADS,
            "--model",
        ]);
        command.arg(&model).args(["--backend", backend, "--set", &format!("mode={mode}")]);
        // What cannot be read is not asked again: the server is asked once too.
        command.args(["--set", "retries=0", "--set", &format!("max_tokens={LENGTH}")]);
        command
    };
    let server = || {
        let mut command = Command::new("python3");
        command.arg(rival("server.py")).arg(llama_cpp.join("llama-server")).arg(&model).arg(&asked);
        command.args([SLOTS, THREADS, "32768"]);
        command
    };
    let ours = backends.iter().flat_map(|&backend| MODES.map(|mode| (backend, mode)));
    let mut turns: Vec<Turn<'_>> = vec![("llama-server, the same requests".into(), Box::new(server))];
    turns.extend(ours.map(|(backend, mode)| -> Turn<'_> {
        (format!("lancer, {backend}, {mode}"), Box::new(move || review(backend, mode)))
    }));
    let mut programs: Vec<(&str, &mut dyn FnMut() -> Command)> = turns
        .iter_mut()
        .map(|(name, command)| (name.as_str(), command.as_mut() as &mut dyn FnMut() -> Command))
        .collect();
    let measured = in_turn(rounds, &mut programs)?;
    let rates = measured.iter().map(|runs| rates(runs)).collect::<Result<Vec<_>, _>>()?;
    let setting = format!("{PAIRS} pairs, 3 reviews of {LENGTH} tokens at most, {FORMAT}");
    let rows: Vec<Row> = turns
        .into_iter()
        .zip(&rates)
        .enumerate()
        .map(|(place, ((name, _), rate))| match place {
            0 => Row::new(setting.clone(), &name, rate.clone()),
            _ => Row::of_lancer(setting.clone(), &name, rate.clone(), &rates[0]),
        })
        .collect();
    finish(&environment, "review", "pairs/s", &rows)
}

/// What is measured: its name and how it is called.
type Turn<'a> = (String, Box<dyn FnMut() -> Command + 'a>);

/// Pairs a second of each run.
fn rates(runs: &[Measured]) -> Result<Vec<f64>, Failure> {
    runs.iter().map(|run| Ok(PAIRS as f64 / run.number("seconds")?)).collect()
}
