//! `lancer train`: fine-tuning and preference optimisation by themselves.

use std::{
    num::NonZeroU32,
    ops::ControlFlow,
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::{Args, Subcommand};
use lancer_backend::{Learner, Message, Role, WeightFormat};
use lancer_evolve::{PreferenceSettings, SftSettings};
use lancer_prefer::{
    CheckpointPolicy, EvaluationRecord, Outcome, PreferenceExample, SftExample, Split, StepRecord,
    TrainingObserver, TrainingPlan, TrainingReport, train_preference, train_sft,
};
use serde::Serialize;

use crate::{
    engines::{self, EngineOptions},
    failure::Failure,
    options::{Changes, SeedOption, default_model},
    output::Output,
    pairs::{read_pairs, read_preferences},
    progress::Bars,
};

/// Train a model.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Fine-tune a model on pairs of a prompt and a response.
    Sft(Arguments),
    /// Train a model on preference pairs: rows with `chosen` and `rejected`, in the layouts of docs/data.md. The loss is
    /// DPO unless set otherwise, such as `--set loss.kind=simpo`.
    Dpo(Arguments),
}

#[derive(Args)]
pub(crate) struct Arguments {
    /// What to train on: .jsonl, .json or .parquet.
    data: PathBuf,
    /// Where the trained model goes: a GGUF file if it ends in `.gguf`, otherwise a Hugging Face folder.
    to: PathBuf,
    /// A GGUF file or a Hugging Face folder; the default model that `cargo xtask setup` fetches if left out.
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,
    /// A folder for checkpoints: where there is one of the same training, it goes on from there.
    #[arg(long, value_name = "FOLDER")]
    checkpoints: Option<PathBuf>,
    /// Threads; the processor's number by default.
    #[arg(long, value_name = "N", value_parser = engines::threads)]
    threads: Option<NonZeroU32>,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    seed: SeedOption,
}

#[derive(Serialize)]
struct Report {
    path: PathBuf,
    examples: usize,
    /// Wall time of the training itself, without loading and writing the model.
    seconds: f64,
    /// Tokens of all steps, prompts included, without padding.
    tokens: u64,
    skipped: Vec<lancer_prefer::Skipped>,
    steps: Vec<StepRecord>,
    held_out: Vec<EvaluationRecord>,
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Sft(arguments) => sft(arguments, output),
        Command::Dpo(arguments) => preference(arguments, output),
    }
}

fn sft(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let settings: SftSettings = arguments.changes.applied()?;
    let mut bars = Bars::new(output);
    let examples: Vec<SftExample> = read_pairs(&arguments.data, &bars)?
        .into_iter()
        .map(|pair| SftExample {
            key: pair.key,
            prompt: vec![Message::user(pair.prompt)],
            response: pair.response,
            weight: 1.0,
        })
        .collect();
    let (train, held_out) = split(&examples, settings.max_examples, settings.held_out);
    let mut learner = learner(arguments, &settings.learner)?;
    let clock = Instant::now();
    let report = train_sft(
        learner.as_mut(),
        Split { train, held_out },
        &settings.train,
        policy(arguments),
        arguments.seed.get(),
        &mut Observer { bars: &mut bars },
    );
    finish(arguments, learner.as_ref(), report, clock.elapsed(), &mut bars, output)
}

fn preference(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let settings: PreferenceSettings = arguments.changes.applied()?;
    let mut bars = Bars::new(output);
    let examples: Vec<PreferenceExample> = read_preferences(&arguments.data, &bars)?
        .into_iter()
        .map(|pair| PreferenceExample {
            key: pair.key,
            prompt: pair.prompt.into_iter().map(message).collect(),
            chosen: pair.chosen,
            rejected: pair.rejected,
        })
        .collect();
    let (train, held_out) = split(&examples, settings.max_pairs, settings.held_out);
    let mut learner = learner(arguments, &settings.learner)?;
    let clock = Instant::now();
    let report = train_preference(
        learner.as_mut(),
        Split { train, held_out },
        &settings.loss,
        &settings.train,
        policy(arguments),
        arguments.seed.get(),
        &mut std::collections::HashMap::new(),
        &mut Observer { bars: &mut bars },
    );
    finish(arguments, learner.as_ref(), report, clock.elapsed(), &mut bars, output)
}

/// A turn as chat templates take it.
fn message(turn: lancer_data::Message) -> Message {
    let role = match turn.role {
        lancer_data::Role::System => Role::System,
        lancer_data::Role::User => Role::User,
        lancer_data::Role::Assistant => Role::Assistant,
    };
    Message { role, content: turn.content }
}

/// The last part of the examples is held out.
fn split<T>(examples: &[T], limit: Option<usize>, held_out: f64) -> (&[T], &[T]) {
    let examples = &examples[..limit.unwrap_or(usize::MAX).min(examples.len())];
    let held_out = (examples.len() as f64 * held_out.clamp(0.0, 1.0)) as usize;
    examples.split_at(examples.len() - held_out)
}

fn learner(arguments: &Arguments, settings: &toml::Table) -> Result<Box<dyn Learner>, Failure> {
    let model = arguments.model.clone().map_or_else(default_model, Ok)?;
    let options = EngineOptions::with_threads(arguments.threads);
    Ok(engines::learner(&options, &model, settings, arguments.seed.get())?)
}

fn policy(arguments: &Arguments) -> CheckpointPolicy<'_> {
    arguments.checkpoints.as_deref().map_or(CheckpointPolicy::None, CheckpointPolicy::Within)
}

fn finish(
    arguments: &Arguments,
    learner: &dyn Learner,
    report: Result<TrainingReport, lancer_prefer::TrainingError>,
    took: Duration,
    bars: &mut Bars,
    output: Output,
) -> Result<(), Failure> {
    bars.stop();
    let report = report.map_err(|error| Failure::Failed(error.into()))?;
    if let Outcome::Interrupted { step } = report.outcome {
        let how = if arguments.checkpoints.is_some() { "; the same command goes on from there" } else { "" };
        return Err(Failure::Interrupted(format!("interrupted after step {step}{how}")));
    }
    let is_file = arguments.to.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"));
    let format = if is_file { WeightFormat::Half } else { WeightFormat::F32 };
    learner.export(&arguments.to, format)?;
    let report = Report {
        path: arguments.to.clone(),
        examples: report.plan.examples,
        seconds: took.as_secs_f64(),
        tokens: report.steps.iter().map(|step| step.tokens).sum(),
        skipped: report.plan.skipped,
        steps: report.steps,
        held_out: report.evaluations,
    };
    output.print(&report, |report| {
        if let (Some(first), Some(last)) = (report.steps.first(), report.steps.last()) {
            println!(
                "loss {:.4} at the first of {} steps, {:.4} at the last",
                first.loss, last.step, last.loss
            );
        }
        if let (Some(first), Some(last)) = (report.held_out.first(), report.held_out.last()) {
            println!("held-out loss {:.4} before, {:.4} after", first.loss, last.loss);
        }
        if let Some(first) = report.skipped.first() {
            let count = report.skipped.len();
            println!("{count} examples not trained on; the first is {}: {}", first.key, first.reason);
        }
        println!(
            "{}: trained on {} examples, {} tokens in {:.1} s ({:.0} tokens/s)",
            report.path.display(),
            report.examples,
            report.tokens,
            report.seconds,
            report.tokens as f64 / report.seconds
        );
    });
    Ok(())
}

struct Observer<'a> {
    bars: &'a mut Bars,
}

impl TrainingObserver for Observer<'_> {
    fn planned(&mut self, plan: &TrainingPlan) -> ControlFlow<()> {
        self.bars.start("train".into(), "steps", plan.done as usize, plan.steps as usize);
        self.bars.add(0, 0)
    }

    fn stepped(&mut self, record: &StepRecord) -> ControlFlow<()> {
        self.bars.add(1, record.tokens as usize)
    }

    fn evaluated(&mut self, record: &EvaluationRecord) -> ControlFlow<()> {
        self.bars.say(&format!("held-out loss {:.4} after {} steps", record.loss, record.step));
        self.bars.add(0, 0)
    }
}
