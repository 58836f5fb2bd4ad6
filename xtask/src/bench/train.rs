//! `cargo xtask bench train`: fine-tuning and DPO by lancer and by TRL, on the same rows with the same batches.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use super::{
    measure::{Measured, in_turn},
    programs::{Programs, read_lines, rival, scratch, write_lines},
    result::{Row, finish},
    rivals,
};
use crate::{
    process::Failure,
    setup::{Environment, root},
};

/// Sequences of a step.
const BATCH: &str = "8";
/// Tokens of a sequence at most.
const MAX_LENGTH: &str = "512";
/// Rows that are trained on: one step.
const ROWS: usize = 8;
const THREADS: &str = "2";

/// What is trained with.
#[derive(Clone, Copy)]
enum Kind {
    Sft,
    Dpo,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Sft => "sft",
            Kind::Dpo => "dpo",
        }
    }

    /// Rows of some hundred tokens made of seeds that are short: several questions and their answers in one.
    fn rows(self, seeds: &[Value]) -> Vec<Value> {
        let text = |place: usize, field: &str| seeds[place % seeds.len()][field].as_str().unwrap_or_default();
        (0..ROWS)
            .map(|row| {
                let of = |field: &str, from: usize, count: usize| {
                    (from..from + count).map(|place| text(place, field)).collect::<Vec<_>>().join("\n")
                };
                let (prompt, response) = (of("prompt", row * 2, 2), of("response", row * 2, 10));
                match self {
                    Kind::Sft => json!({ "prompt": prompt, "response": response }),
                    Kind::Dpo => json!({
                        "prompt": of("prompt", row * 2, 2),
                        "chosen": of("response", row * 2, 2),
                        "rejected": of("response", row * 2 + 2, 2),
                    }),
                }
            })
            .collect()
    }
}

pub(crate) fn run(rounds: usize) -> Result<(), Failure> {
    let environment = Environment::prepare()?;
    let programs = Programs::prepare(&environment)?;
    let python = rivals::python(&environment)?;
    let seeds = read_lines(&root().join("fixtures/seeds.jsonl"))?;
    let mut rows = Vec::new();
    for kind in [Kind::Sft, Kind::Dpo] {
        let data = scratch(&environment, &format!("train-{}.jsonl", kind.name()));
        write_lines(&data, &kind.rows(&seeds))?;
        let trained = scratch(&environment, "trained");
        let lancer = |products| lancer(&programs, kind, &data, &trained, products);
        let trl = |precision: &str| {
            let mut command = Command::new(&python);
            command.arg(rival("train.py")).arg(&programs.hugging_face).arg(&data);
            command.args([kind.name(), precision, BATCH, MAX_LENGTH, THREADS]);
            command
        };
        let measured = in_turn(
            rounds,
            &mut [
                ("lancer, f32", &mut || lancer("f32")),
                ("TRL, f32", &mut || trl("float32")),
                ("lancer, bf16", &mut || lancer("bf16")),
                ("TRL, bf16", &mut || trl("bfloat16")),
            ],
        )?;
        let rate = |runs: &[Measured]| -> Result<Vec<f64>, Failure> {
            runs.iter().map(|run| Ok(ROWS as f64 / run.number("seconds")?)).collect()
        };
        let memory = |runs: &[Measured]| runs.iter().map(|run| run.peak_memory as f64).collect();
        let tokens = measured[0][0].number("tokens")? / ROWS as f64;
        let setting = format!("{}, {tokens:.0} tokens an example", kind.name());
        for (place, [ours, theirs]) in
            [["lancer, f32", "TRL, f32"], ["lancer, bf16", "TRL, bf16 autocast"]].into_iter().enumerate()
        {
            let [of_ours, of_theirs] = [&measured[2 * place], &measured[2 * place + 1]];
            let rates = rate(of_ours)?;
            let row = Row::against(setting.clone(), theirs, rate(of_theirs)?, &rates);
            rows.push(Row::new(setting.clone(), ours, rates).memory(memory(of_ours)));
            rows.push(row.memory(memory(of_theirs)));
        }
    }
    finish(&environment, "train", "examples/s", &rows)
}

fn lancer(programs: &Programs, kind: Kind, data: &Path, trained: &Path, products: &str) -> Command {
    let mut command = programs.lancer();
    command.args(["train", kind.name()]).arg(data).arg(trained).args(["--json", "--overwrite", "--model"]);
    command.arg(&programs.hugging_face);
    for setting in [
        format!("train.batch.examples={BATCH}"),
        format!("train.max_length={MAX_LENGTH}"),
        format!("learner.products={products}"),
        "held_out=0".into(),
    ] {
        command.args(["--set", &setting]);
    }
    command.env("RAYON_NUM_THREADS", THREADS);
    command
}
