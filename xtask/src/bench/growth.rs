//! `cargo xtask bench growth`: training's tokens a second by the length of sequences, the size of a batch and the size of the
//! model, and how much of the machine's arithmetic that is.

use std::{fmt::Write as _, path::Path};

use serde_json::{Value, json};

use super::{
    measure::measure,
    plot::{Plot, Series},
    programs::{Programs, scratch, write},
    result::machine,
};
use crate::{
    process::{Failure, run as run_program},
    setup::{Environment, root},
};

/// Lengths in preference optimisation.
const DPO_LENGTHS: [usize; 3] = [128, 512, 2048];
/// Tokens of a step where lengths are compared.
const TOKENS: usize = 2048;
const LENGTHS: [usize; 5] = [128, 256, 512, 1024, 2048];
const BATCHES: [usize; 4] = [1, 4, 16, 32];
/// Tokens of a sequence where batches and models are compared.
const SHORT: usize = 128;
/// Tokens of a sequence where memory is compared.
const LONG: usize = 512;

/// A way of training: what `train_speed` calls it, and the numbers of its products.
type Way = (&'static str, &'static str);
const WAYS: [Way; 4] = [("full", "f32"), ("full", "bf16"), ("lora", "f32"), ("lora", "bf16")];
const DPO: [Way; 4] = [("full-dpo", "f32"), ("full-dpo", "bf16"), ("lora-dpo", "f32"), ("lora-dpo", "bf16")];
const RECOMPUTE: [Way; 4] = [
    ("full-recompute", "f32"),
    ("full-recompute", "bf16"),
    ("lora-recompute", "f32"),
    ("lora-recompute", "bf16"),
];

/// What is measured with.
struct Workplace {
    /// The benchmark's name.
    name: &'static str,
    environment: Environment,
    programs: Programs,
    rounds: usize,
    /// GFLOP/s of the best matrix product, by the numbers of its factors.
    ceilings: Value,
    found: Vec<Value>,
}

pub(crate) fn run(rounds: usize) -> Result<(), Failure> {
    let mut workplace = Workplace::prepare("growth", rounds)?;
    let larger = scratch(&workplace.environment, "random-0.5b");
    if !larger.join("model.safetensors").exists() {
        let tokenizer = root().join("fixtures/tiny-qwen2");
        run_program(workplace.programs.example("random_model").args([&larger, &tokenizer]))?;
    }
    let docs = root().join("docs/lab/bench");
    let text = [
        workplace.introduction("How training's cost grows"),
        workplace.lengths(&docs)?,
        workplace.batches(&docs)?,
        workplace.sizes(&larger)?,
    ]
    .concat();
    workplace.finish(&text)
}

/// `cargo xtask bench variants`: the same of DPO by the length of sequences, and of training that computes activations again.
pub(crate) fn run_variants(rounds: usize) -> Result<(), Failure> {
    let mut workplace = Workplace::prepare("variants", rounds)?;
    let text =
        [workplace.introduction("What variants of training cost"), workplace.dpo()?, workplace.recomputed()?];
    workplace.finish(&text.concat())
}

/// What a way gave.
struct Rate {
    tokens_per_second: f64,
    /// Part of the best product's FLOP/s that 6 FLOP a weight and token (4 with adapters, 2 more for a reference) come to.
    utilisation: f64,
    /// In MiB.
    peak_memory: u64,
}

impl Workplace {
    fn prepare(name: &'static str, rounds: usize) -> Result<Self, Failure> {
        let environment = Environment::prepare()?;
        let programs = Programs::prepare(&environment)?;
        let ceilings = measure(&mut programs.example("product_speed"))?.report;
        Ok(Self { name, environment, programs, rounds, ceilings, found: Vec::new() })
    }

    /// Writes the page and what it was made of.
    fn finish(self, page: &str) -> Result<(), Failure> {
        let Self { name, environment, found, .. } = self;
        write(&root().join("docs/lab/bench").join(format!("{name}.md")), page)?;
        println!("{page}");
        write(&scratch(&environment, &format!("{name}.json")), &format!("{:#}\n", Value::from(found)))
    }

    fn introduction(&self, title: &str) -> String {
        format!(
            "# {title}\n\nWritten by `cargo xtask bench {} --rounds {}` on {}: tokens a second of whole steps (forward, \
             backward, optimizer) but the first, medians of the rounds, a third of each sequence being prompt. In parentheses the part of the best \
             matrix product's FLOP/s ({} GFLOP/s in f32, {} in bf16, 2048 × 2048) that 6 FLOP a weight and token come to, 4 with \
             adapters. It counts the head for every token, though only responses go through it, and leaves attention out.\n\n",
            self.name,
            self.rounds,
            machine(),
            self.ceilings["f32"],
            self.ceilings["bf16"]
        )
    }

    fn rate(&mut self, model: &Path, way: Way, sequences: usize, length: usize) -> Result<Rate, Failure> {
        let (method, products) = way;
        let mut command = self.programs.example("train_speed");
        command.arg(model).args([method, &sequences.to_string(), &length.to_string(), products]);
        let run = measure(command.arg(self.rounds.to_string()))?;
        eprintln!("{method} {products}, {sequences} of {length} tokens: {}", run.report);
        let ceiling = self.ceilings[products].as_f64().unwrap_or(f64::NAN);
        let rate = Rate {
            tokens_per_second: run.number("tokens_per_second")?,
            utilisation: run.number("gflop_per_second")? / ceiling,
            peak_memory: run.peak_memory >> 20,
        };
        self.found.push(json!({
            "model": model.file_name().map(|name| name.to_string_lossy()), "method": method, "products": products,
            "sequences": sequences, "length": length, "tokens_per_second": rate.tokens_per_second,
            "utilisation": rate.utilisation, "peak_memory": run.peak_memory,
        }));
        Ok(rate)
    }

    /// A table with a row for each number and a column for each way, and what a plot of it shows.
    fn table(
        &mut self,
        across: &str,
        ways: [Way; 4],
        numbers: &[usize],
        step: impl Fn(usize) -> (usize, usize),
    ) -> Result<(String, Plot), Failure> {
        let model = self.programs.hugging_face.clone();
        let mut text = heading(across, ways);
        let mut series: Vec<Series> = ways
            .iter()
            .map(|(method, products)| Series { name: format!("{method}, {products}"), points: Vec::new() })
            .collect();
        for &number in numbers {
            let (sequences, length) = step(number);
            let _ = write!(text, "| {number} |");
            for (way, series) in ways.into_iter().zip(&mut series) {
                let rate = self.rate(&model, way, sequences, length)?;
                series.points.push((number as f64, rate.tokens_per_second));
                let _ = write!(text, " {} |", cell(&rate));
            }
            text += "\n";
        }
        let plot = Plot {
            title: format!("Training SmolLM2-135M, by {across}"),
            across: across.into(),
            up: "tokens/s".into(),
            series,
        };
        Ok((text, plot))
    }

    fn lengths(&mut self, docs: &Path) -> Result<String, Failure> {
        let (table, plot) =
            self.table("tokens of a sequence", WAYS, &LENGTHS, |length| (TOKENS / length, length))?;
        write(&docs.join("growth-length.svg"), &plot.svg())?;
        Ok(format!(
            "## Length of the sequences\n\nSmolLM2-135M, {TOKENS} tokens a step.\n\n![by length](growth-length.svg)\n\n{table}\n"
        ))
    }

    fn dpo(&mut self) -> Result<String, Failure> {
        // Two sequences are a pair.
        let step = |length: usize| ((TOKENS / length).max(2), length);
        let (table, _) = self.table("tokens of a sequence", DPO, &DPO_LENGTHS, step)?;
        Ok(format!(
            "## Preference optimisation\n\nSmolLM2-135M in DPO: two sequences have a prompt in common, which is computed once, though its \
             tokens count for both; a step has {TOKENS} tokens, or one pair, and the reference's pass belongs to it, with 2 FLOP \
             more a weight and token.\n\n{table}\n"
        ))
    }

    fn batches(&mut self, docs: &Path) -> Result<String, Failure> {
        let (table, plot) =
            self.table("sequences of a step", WAYS, &BATCHES, |sequences| (sequences, SHORT))?;
        write(&docs.join("growth-batch.svg"), &plot.svg())?;
        Ok(format!(
            "## Size of the batch\n\nSmolLM2-135M, sequences of {SHORT} tokens.\n\n![by batch](growth-batch.svg)\n\n{table}\n"
        ))
    }

    /// What it costs to compute activations again, and what memory that saves.
    fn recomputed(&mut self) -> Result<String, Failure> {
        let model = self.programs.hugging_face.clone();
        let mut text = format!(
            "## Activations computed again\n\nSmolLM2-135M, sequences of {LONG} tokens, {TOKENS} a step: `learner.activations = \"keep\"` and \
             `\"recompute\"`, with the most memory that the process had.\n\n{}",
            heading("activations", WAYS)
        );
        for (name, ways) in [("kept", WAYS), ("computed again", RECOMPUTE)] {
            let _ = write!(text, "| {name} |");
            for way in ways {
                let rate = self.rate(&model, way, TOKENS / LONG, LONG)?;
                let _ = write!(text, " {}, {} MiB |", cell(&rate), rate.peak_memory);
            }
            text += "\n";
        }
        Ok(text)
    }

    fn sizes(&mut self, larger: &Path) -> Result<String, Failure> {
        let smaller = self.programs.hugging_face.clone();
        let mut text = format!(
            "## Size of the model\n\n8 sequences of {SHORT} tokens a step; the larger model has Qwen2-0.5B's shape and random weights.\n\n\
             {}",
            heading("model", WAYS)
        );
        for (name, model) in [("SmolLM2-135M", smaller.as_path()), ("0.5B", larger)] {
            let _ = write!(text, "| {name} |");
            for way in WAYS {
                let _ = write!(text, " {} |", cell(&self.rate(model, way, 8, SHORT)?));
            }
            text += "\n";
        }
        Ok(text + "\n")
    }
}

/// The first lines of a table.
fn heading(across: &str, ways: [Way; 4]) -> String {
    let columns = ways.map(|(method, products)| format!("{method}, {products}")).join(" | ");
    format!("| {across} | {columns} |\n|---|---|---|---|---|\n")
}

fn cell(rate: &Rate) -> String {
    format!("{:.0} ({:.0} %)", rate.tokens_per_second, 100.0 * rate.utilisation)
}
