//! `cargo xtask bench generate`: many samples asked at once, of lancer, of a llama.cpp server, and of llama.cpp's own
//! `llama-batched-bench`, which draws nothing and reads no text: a ceiling.

use std::process::Command;

use serde_json::json;

use super::{
    measure::{Measured, in_turn, median},
    programs::{Programs, read_lines, rival, scratch, write_lines},
    result::{Row, finish},
    rivals,
};
use crate::{
    process::{Failure, output},
    setup::{Environment, root},
};

/// Samples that are asked at the same time.
const CONCURRENT: [usize; 4] = [1, 8, 32, 128];
/// Samples of a prompt, where there are several.
const SAMPLES: usize = 4;
/// Tokens of a sample at most.
const LENGTH: usize = 64;
const THREADS: &str = "2";

pub(crate) fn run(rounds: usize) -> Result<(), Failure> {
    let environment = Environment::prepare()?;
    let programs = Programs::prepare(&environment)?;
    let llama_cpp = rivals::llama_cpp(&environment)?;
    let seeds = read_lines(&root().join("fixtures/seeds.jsonl"))?;
    let mut rows = Vec::new();
    for concurrent in CONCURRENT {
        let samples = SAMPLES.min(concurrent);
        let requests: Vec<_> = seeds
            .iter()
            .take(concurrent / samples)
            .map(|seed| {
                json!({
                    "content": seed["prompt"],
                    "samples": samples,
                    "max_tokens": LENGTH,
                    "temperature": 0.7,
                    "top_p": 0.9,
                })
            })
            .collect();
        let asked = scratch(&environment, &format!("generate-{concurrent}.jsonl"));
        write_lines(&asked, &requests)?;
        let context = (concurrent * 512).max(2048).to_string();
        let mut lancer = || {
            let mut command = programs.example("throughput");
            command.arg(&programs.gguf).arg("generate").arg(&asked);
            command.arg(format!("threads={THREADS}"));
            command
        };
        let mut server = || {
            let mut command = Command::new("python3");
            command
                .arg(rival("server.py"))
                .arg(llama_cpp.join("llama-server"))
                .arg(&programs.gguf)
                .arg(&asked);
            command.args([&concurrent.to_string(), THREADS, &context]);
            command
        };
        let measured = in_turn(rounds, &mut [("lancer", &mut lancer), ("llama-server", &mut server)])?;
        let rate = |runs: &[Measured]| -> Result<Vec<f64>, Failure> {
            runs.iter().map(|run| Ok(run.number("generated")? / run.number("seconds")?)).collect()
        };
        let (ours, theirs) = (rate(&measured[0])?, rate(&measured[1])?);
        let length = median(measured[0].iter().map(|run| run.number("generated")).collect::<Result<_, _>>()?)
            / concurrent as f64;
        let ceiling =
            batched_bench(&programs, &llama_cpp.join("llama-batched-bench"), concurrent, length, rounds)?;
        rows.push(Row::new(format!("{concurrent} samples"), "lancer", ours.clone()));
        rows.push(Row::against(format!("{concurrent} samples"), "llama-server", theirs, &ours));
        rows.push(Row::against(format!("{concurrent} samples"), "llama-batched-bench", ceiling, &ours));
    }
    finish(&environment, "generate", "tokens/s", &rows)
}

/// Tokens a second of `llama-batched-bench`, decoding alone, as many sequences of the same length.
fn batched_bench(
    programs: &Programs,
    binary: &std::path::Path,
    sequences: usize,
    length: f64,
    rounds: usize,
) -> Result<Vec<f64>, Failure> {
    let length = (length.round() as usize).max(1);
    let context = (sequences * (length + 64)).max(512);
    (0..rounds)
        .map(|_| {
            let printed = output(
                Command::new(binary)
                    .arg("-m")
                    .arg(&programs.gguf)
                    .args(["-t", THREADS, "-npp", "32", "-kvu", "--output-format", "jsonl"])
                    .args([
                        "-ntg",
                        &length.to_string(),
                        "-npl",
                        &sequences.to_string(),
                        "-c",
                        &context.to_string(),
                    ]),
            );
            let printed = printed.unwrap_or_default();
            let line = printed.lines().find(|line| line.contains("speed_tg"));
            let report: Option<serde_json::Value> = line.and_then(|line| serde_json::from_str(line).ok());
            report.and_then(|report| report["speed_tg"].as_f64()).ok_or_else(|| {
                Failure::new(format!("{} printed no speed of decoding: {printed}", binary.display()))
            })
        })
        .collect()
}
