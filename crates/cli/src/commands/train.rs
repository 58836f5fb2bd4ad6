//! `lancer train`: fine-tuning and preference optimisation by themselves.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::{Args, Subcommand};
use lancer_backend::{Learner, Message, WeightFormat};
use lancer_data::Record;
use lancer_evolve::{
    PreferenceSettings, SftSettings, TrainElsewhereError, TrainerSettings, TrainingPlace, TrainingTask,
    training_base,
};
use lancer_model::{ConvertFormat, Model};
use lancer_output::{Existing, Place};
use lancer_prefer::{
    Base, BothFall, Candidate, Checkpoint, CheckpointPolicy, Draw, EvaluationRecord, Examples, GradientSpike,
    Outcome, PreferenceExample, PreferenceMetrics, ReferenceFile, SetAside, SftExample, Split, StepRecord,
    TrainingObserver, TrainingPlan, TrainingReport, both_fall, draw, gradient_spikes, loss::PreferenceLoss,
    train_preference, train_sft,
};
use serde::Serialize;

use crate::{
    engines::{self, EngineOptions, trainers},
    failure::Failure,
    hub_model::Files,
    interrupt,
    options::{Changes, ModelFiles, PythonOption, SeedOption},
    output::Output,
    place::{self, OverwriteOption},
    progress::Bars,
    records::{read_preferences, read_records},
};

/// Train a model.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Fine-tune a model on conversations: on their last answers, or with `--set turns=all` on all of them.
    Sft(Arguments),
    /// Train a model on preference pairs: rows with `chosen` and `rejected`, in the layouts of docs/reference/data.md. The
    /// loss is DPO unless set otherwise, such as `--set loss.kind=simpo`.
    Dpo(Arguments),
}

#[derive(Args)]
pub(crate) struct Arguments {
    /// What to train on: .jsonl, .json, .csv, .tsv or .parquet, or `-` for JSON from standard input.
    data: PathBuf,
    /// Where the trained model goes: a GGUF file if it ends in `.gguf`, otherwise a Hugging Face folder. Where adapters are
    /// trained, it is the adapter alone: a GGUF adapter, or a folder as PEFT has it.
    to: PathBuf,
    /// Where adapters are trained, write the whole model, adapters merged.
    #[arg(long)]
    merge: bool,
    #[command(flatten)]
    files: ModelFiles,
    /// A folder for checkpoints: where there is one, the training goes on from there. The folder belongs to one training: the
    /// same model, data, settings and seed.
    #[arg(long, value_name = "FOLDER")]
    checkpoints: Option<PathBuf>,
    /// Threads; the processor's number by default.
    #[arg(long, value_name = "N", value_parser = engines::threads)]
    threads: Option<NonZeroU32>,
    /// The program that trains: `burn` (lancer's own trainer), `trl`, `llama-factory`, `axolotl` or `command`; see docs/trainers.md.
    /// The same as `--set trainer=NAME`.
    #[arg(long, value_name = "NAME")]
    trainer: Option<String>,
    #[command(flatten)]
    python: PythonOption,
    #[command(flatten)]
    overwrite: OverwriteOption,
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
    /// Examples with which a loss or a gradient was not finite.
    set_aside: Vec<SetAside>,
    gradient_spikes: Vec<GradientSpike>,
    /// Both responses of a pair became less probable.
    both_fall: Option<BothFall>,
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Sft(arguments) => sft(arguments, output),
        Command::Dpo(arguments) => preference(arguments, output),
    }
}

fn sft(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let mut settings: SftSettings = arguments.changes.applied()?;
    settings.trainer = arguments.trainer.clone().or(settings.trainer);
    settings.validate().map_err(|error| Failure::Usage(error.into()))?;
    let elsewhere = check_trainer(settings.trainer(), &settings.learner)?;
    let job = Job::new(arguments, &settings.learner, output)?;
    let mut bars = Bars::new(output);
    let records = read_records(&arguments.data, &bars)?;
    let prompts: Vec<String> = records.iter().map(asked).collect();
    let candidates: Vec<Candidate<'_>> =
        records.iter().zip(&prompts).map(|(record, prompt)| Candidate { key: &record.key, prompt }).collect();
    let drawn = draw(&candidates, settings.max_examples, settings.held_out, arguments.seed.get());
    say_what_is_held_out(&drawn, settings.held_out, &bars);
    let example = |&place: &usize| {
        let record = &records[place];
        let turns = settings.turns;
        SftExample { turns, ..SftExample::new(&record.key, record.conversation().clone()) }
    };
    let train: Vec<SftExample> = drawn.train.iter().map(example).collect();
    let held_out: Vec<SftExample> = drawn.held_out.iter().map(example).collect();
    let split = Split { train: &train, held_out: &held_out };
    if let Some(of) = elsewhere {
        return job.elsewhere(of, Examples::Sft(split), None, &mut bars);
    }
    let base = job.base(&settings.learner)?;
    let mut learner = job.learner(&settings.learner)?;
    // What was trained is written too, unless the user asks to stop twice.
    let _watching = interrupt::watch();
    let clock = Instant::now();
    let report = train_sft(
        learner.as_mut(),
        split,
        &settings.train,
        policy(arguments, base.as_ref()),
        arguments.seed.get(),
        &mut Observer { bars: &mut bars },
    );
    bars.stop();
    let report = report.map_err(|error| Failure::Failed(error.into()));
    job.finish(report, None, clock.elapsed(), |to, format| job.export(learner.as_ref(), to, format))
}

fn preference(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let mut settings: PreferenceSettings = arguments.changes.applied()?;
    settings.trainer = arguments.trainer.clone().or(settings.trainer);
    settings.validate().map_err(|error| Failure::Usage(error.into()))?;
    let elsewhere = check_trainer(settings.trainer(), &settings.learner)?;
    let job = Job::new(arguments, &settings.learner, output)?;
    let mut bars = Bars::new(output);
    let examples: Vec<PreferenceExample> = read_preferences(&arguments.data, &bars)?
        .into_iter()
        .map(|pair| PreferenceExample {
            key: pair.key,
            prompt: pair.prompt,
            chosen: pair.chosen,
            rejected: pair.rejected,
        })
        .collect();
    let prompts: Vec<String> = examples.iter().map(|example| chat(&example.prompt.messages)).collect();
    let candidates: Vec<Candidate<'_>> = examples
        .iter()
        .zip(&prompts)
        .map(|(example, prompt)| Candidate { key: &example.key, prompt })
        .collect();
    let drawn = draw(&candidates, settings.max_pairs, settings.held_out, arguments.seed.get());
    say_what_is_held_out(&drawn, settings.held_out, &bars);
    let of = |places: &[usize]| places.iter().map(|&place| examples[place].clone()).collect::<Vec<_>>();
    let (train, held_out) = (of(&drawn.train), of(&drawn.held_out));
    let split = Split { train: &train, held_out: &held_out };
    if let Some(of) = elsewhere {
        let examples = Examples::Preference(split, &settings.loss);
        return job.elsewhere(of, examples, Some(&settings.loss), &mut bars);
    }
    let base = job.base(&settings.learner)?;
    let mut stored = arguments
        .checkpoints
        .as_deref()
        .map(ReferenceFile::within)
        .transpose()
        .map_err(|error| Failure::Failed(error.into()))?;
    let mut learner = job.learner(&settings.learner)?;
    // What was trained is written too, unless the user asks to stop twice.
    let _watching = interrupt::watch();
    let clock = Instant::now();
    let mut in_memory = HashMap::new();
    let report = train_preference(
        learner.as_mut(),
        split,
        &settings.loss,
        &settings.train,
        policy(arguments, base.as_ref()),
        arguments.seed.get(),
        match &mut stored {
            Some(stored) => stored,
            None => &mut in_memory,
        },
        &mut Observer { bars: &mut bars },
    );
    bars.stop();
    let report = match stored.and_then(ReferenceFile::failure) {
        Some(error) => Err(error),
        None => report,
    };
    let report = report.map_err(|error| Failure::Failed(error.into()));
    job.finish(report, Some(&settings.loss), clock.elapsed(), |to, format| {
        job.export(learner.as_ref(), to, format)
    })
}

/// Checks who trains, and gives what a program that trains elsewhere is asked for.
fn check_trainer<'a>(
    trainer: Option<TrainerSettings<'a>>,
    learner: &toml::Table,
) -> Result<Option<TrainerSettings<'a>>, Failure> {
    let wrong = |error: Box<dyn std::error::Error + Send + Sync>| Failure::Usage(error);
    if let Some(settings) = trainer
        && trainers::place(settings.trainer).map_err(wrong)? == TrainingPlace::Elsewhere
    {
        trainers::check(&settings).map_err(wrong)?;
        return Ok(Some(settings));
    }
    engines::check_learner(learner).map_err(|error| wrong_learner(&*error))?;
    Ok(None)
}

/// A wrong setting in the table `learner`.
fn wrong_learner(error: &dyn std::error::Error) -> Failure {
    Failure::usage(format!("learner: {error}"))
}

/// What a record's response answers as one text, the same for the same turns only: the prompt itself where it is one turn of
/// the user.
fn asked(record: &Record) -> String {
    let conversation = record.conversation();
    if conversation.is_pair() { conversation.user_text().into_owned() } else { chat(conversation.prompt()) }
}

/// A chat as one text, the same for the same chat only.
fn chat(messages: &[Message]) -> String {
    let turns = messages.iter().map(|message| format!("{}: {:?}\n", message.role.as_str(), message.said()));
    turns.collect::<Vec<_>>().concat()
}

fn say_what_is_held_out(drawn: &Draw, share: f64, bars: &Bars) {
    let few = drawn.held_out.is_empty() && share > 0.0 && drawn.train.len() as f64 * share >= 1.0;
    if few {
        bars.say("note: nothing is held out, since all examples have one prompt");
    }
}

fn policy<'a>(arguments: &'a Arguments, base: Option<&'a Base>) -> CheckpointPolicy<'a> {
    match (arguments.checkpoints.as_deref(), base) {
        (Some(folder), Some(base)) => CheckpointPolicy::Within { folder, base },
        _ => CheckpointPolicy::None,
    }
}

/// What both commands do before and after the training.
struct Job<'a> {
    arguments: &'a Arguments,
    model: PathBuf,
    place: Place,
    output: Output,
}

impl<'a> Job<'a> {
    /// Checks where the model is to be written.
    fn new(arguments: &'a Arguments, learner: &toml::Table, output: Output) -> Result<Self, Failure> {
        let model = arguments.files.path(Files::All)?;
        let place = place::of_model(&arguments.to, arguments.overwrite, &[&arguments.data, &model])?;
        if let Some(checkpoints) = &arguments.checkpoints {
            let folder = lancer_output::resolve(checkpoints)?;
            if folder.starts_with(place.path()) || place.path().starts_with(&folder) {
                return Err(Failure::usage(format!(
                    "the checkpoints {} and the output {} are within one another; give folders beside each other",
                    checkpoints.display(),
                    arguments.to.display()
                )));
            }
            // Whether a checkpoint can be written there.
            Place::folder(&checkpoints.join("step"), Existing::Own)?;
        }
        let opened = Model::open(&model)?;
        if arguments.merge || !engines::trains_adapters(learner) {
            let format = if place::is_gguf(&arguments.to) { ConvertFormat::Half } else { ConvertFormat::F32 };
            place.with_room(format.bytes(&opened))?;
        }
        Ok(Self { arguments, model, place, output })
    }

    /// What checkpoints belong to, where there are to be some.
    fn base(&self, learner: &toml::Table) -> Result<Option<Base>, Failure> {
        let checkpoints = self.arguments.checkpoints.as_ref();
        Ok(checkpoints.map(|_| training_base(&self.model, learner)).transpose()?)
    }

    fn learner(&self, settings: &toml::Table) -> Result<Box<dyn Learner>, Failure> {
        let options = EngineOptions::with_threads(self.arguments.threads);
        Ok(engines::learner(&options, &self.model, settings, self.arguments.seed.get())?)
    }

    /// Writes what was trained: the adapter alone where adapters are trained, unless it is to be merged.
    fn export(&self, learner: &dyn Learner, to: &Path, format: WeightFormat) -> Result<(), Failure> {
        let export = if self.arguments.merge { Learner::export } else { Learner::export_trained };
        Ok(export(learner, to, format)?)
    }

    /// Has another program train, in a folder that is kept.
    fn elsewhere(
        &self,
        settings: TrainerSettings<'_>,
        examples: Examples<'_>,
        loss: Option<&PreferenceLoss>,
        bars: &mut Bars,
    ) -> Result<(), Failure> {
        let folder = self.training_folder()?;
        let seed = self.arguments.seed.get();
        let task = TrainingTask { settings, model: &self.model, examples, seed, folder: &folder };
        let watching = interrupt::watch();
        let clock = Instant::now();
        let trained = trainers::train(&task, self.arguments.python.get(), &mut Observer { bars: &mut *bars });
        bars.stop();
        let took = clock.elapsed();
        drop(watching);
        let trained = trained.map_err(|error| match error {
            TrainElsewhereError::Program(error) => Failure::Failed(error),
            TrainElsewhereError::Training(error) => Failure::Failed(error.into()),
        })?;
        let model = trained.model;
        self.finish(Ok(trained.report), loss, took, |to, format| match &model {
            Some(model) => model.export(to, format).map_err(|error| Failure::Failed(error)),
            None => Ok(()),
        })?;
        drop(model);
        trainers::tidy(&folder);
        Ok(())
    }

    /// The folder of a program's data, configuration, log and checkpoints: the one for checkpoints, or one beside the output.
    fn training_folder(&self) -> Result<PathBuf, Failure> {
        let folder = self.arguments.checkpoints.clone().unwrap_or_else(|| {
            let mut name = self.arguments.to.file_stem().unwrap_or_default().to_owned();
            name.push("-training");
            self.arguments.to.with_file_name(name)
        });
        let mut entries = std::fs::read_dir(&folder).into_iter().flatten();
        if entries.next().is_some() && !folder.join("job.json").exists() {
            return Err(Failure::usage(format!(
                "{} is no folder of a training elsewhere, which lancer would write into; give another one with --checkpoints",
                folder.display()
            )));
        }
        Ok(folder)
    }

    /// Writes the trained model and prints the report.
    fn finish(
        &self,
        report: Result<TrainingReport, Failure>,
        loss: Option<&PreferenceLoss>,
        took: Duration,
        export: impl FnOnce(&Path, WeightFormat) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let report = report?;
        if let Outcome::Interrupted { step } = report.outcome {
            let how = if self.arguments.checkpoints.is_some() || self.arguments.trainer.is_some() {
                "; the same command goes on from there"
            } else {
                ""
            };
            return Err(Failure::Interrupted(format!("interrupted after step {step}{how}")));
        }
        let is_file = place::is_gguf(&self.arguments.to);
        let format = if is_file { WeightFormat::Half } else { WeightFormat::F32 };
        self.place.write(|to| export(to, format))?;
        let metrics: Vec<PreferenceMetrics> =
            report.steps.iter().filter_map(|step| step.preference).collect();
        let held_out: Vec<PreferenceMetrics> =
            report.evaluations.iter().filter_map(|one| one.preference).collect();
        print(
            self.output,
            &Report {
                gradient_spikes: gradient_spikes(&report.steps),
                both_fall: loss.and_then(|loss| both_fall(loss, &metrics, &held_out)),
                set_aside: report.set_aside,
                path: self.arguments.to.clone(),
                examples: report.plan.examples,
                seconds: took.as_secs_f64(),
                tokens: report.steps.iter().map(|step| step.tokens).sum(),
                skipped: report.plan.skipped,
                steps: report.steps,
                held_out: report.evaluations,
            },
        );
        Ok(())
    }
}

fn print(output: Output, report: &Report) {
    output.print(report, |report| {
        if let (Some(first), Some(last)) = (report.steps.first(), report.steps.last()) {
            outln!(
                "loss {:.4} at the first of {} steps, {:.4} at the last",
                first.loss,
                last.step,
                last.loss
            );
        }
        if let (Some(first), Some(last)) = (report.held_out.first(), report.held_out.last()) {
            outln!("held-out loss {:.4} before, {:.4} after", first.loss, last.loss);
        }
        if let Some(first) = report.skipped.first() {
            let count = report.skipped.len();
            outln!("{count} examples not trained on; the first is {}: {}", first.key, first.reason);
        }
        if let Some(first) = report.set_aside.first() {
            let count = report.set_aside.len();
            outln!(
                "{count} examples set aside; the first is {} at step {}: {}",
                first.key,
                first.step,
                first.reason
            );
        }
        for spike in &report.gradient_spikes {
            outln!("gradient spike: {spike}");
        }
        if let Some(both_fall) = &report.both_fall {
            outln!("note: {both_fall}");
        }
        outln!(
            "{}: trained on {} examples, {} tokens in {:.1} s ({:.0} tokens/s)",
            report.path.display(),
            report.examples,
            report.tokens,
            report.seconds,
            report.tokens as f64 / report.seconds
        );
    });
}

struct Observer<'a> {
    bars: &'a mut Bars,
}

impl TrainingObserver for Observer<'_> {
    fn planned(&mut self, plan: &TrainingPlan) -> ControlFlow<()> {
        for note in &plan.notes {
            self.bars.say(&format!("note: {note}"));
        }
        self.bars.start("train".into(), "steps", plan.done as usize, plan.steps as usize);
        self.bars.add(0, 0)
    }

    fn referenced(&mut self, done: usize, total: usize) -> ControlFlow<()> {
        if done == 1 {
            self.bars.start("reference".into(), "pairs", 0, total);
        }
        let flow = self.bars.add(1, 0);
        if done == total {
            self.bars.stop();
        }
        flow
    }

    fn waiting(&mut self) -> ControlFlow<()> {
        self.bars.add(0, 0)
    }

    fn stepped(&mut self, record: &StepRecord) -> ControlFlow<()> {
        self.bars.add(1, record.tokens as usize)
    }

    fn evaluated(&mut self, record: &EvaluationRecord) -> ControlFlow<()> {
        self.bars.say(&format!("held-out loss {:.4} after {} steps", record.loss, record.step));
        self.bars.add(0, 0)
    }

    fn set_aside(&mut self, example: &SetAside) -> ControlFlow<()> {
        let SetAside { key, step, reason } = example;
        self.bars.say(&format!("note: {key} is set aside at step {step}: {reason}"));
        self.bars.add(0, 0)
    }

    fn damaged(&mut self, checkpoint: &Checkpoint, reason: &str) {
        self.bars.say(&format!(
            "note: the checkpoint of step {} is damaged and was renamed ({reason}); training goes on from before it",
            checkpoint.step
        ));
    }
}
