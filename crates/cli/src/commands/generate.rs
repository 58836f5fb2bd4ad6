//! `lancer generate`: new prompts and responses.

use std::{ops::ControlFlow, path::PathBuf};

use clap::{Args, ValueEnum};
use lancer_generate::{GenerateError, GenerateSettings, Job, Source, Writing, WritingSink, Written};
use serde::Serialize;

use crate::{
    engines,
    failure::Failure,
    interrupt,
    options::{Changes, ModelOptions, SeedOption},
    output::Output,
    pairs::read_pairs,
    place::{self, OverwriteOption},
    progress::Bars,
};

/// Write new prompts in the spirit of old ones, responses to prompts, or worse responses.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Pairs to write from: .jsonl, .json or .parquet.
    from: PathBuf,
    /// Where the new texts go, by its ending.
    to: PathBuf,
    /// What is written.
    #[arg(long, value_enum, default_value_t = What::Pairs)]
    what: What,
    /// Texts from each pair (of pairs: new prompts, each with one response).
    #[arg(long, default_value_t = 4, value_name = "N")]
    count: usize,
    #[command(flatten)]
    overwrite: OverwriteOption,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    seed: SeedOption,
    #[command(flatten)]
    model: ModelOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// New prompts with responses.
    Pairs,
    /// Responses to the prompts.
    Responses,
    /// Responses that are meant to be worse than those there are.
    Worse,
}

/// A new pair.
#[derive(Serialize)]
struct Row {
    key: String,
    source: String,
    prompt: String,
    response: String,
}

#[derive(Serialize)]
struct Report {
    path: PathBuf,
    written: usize,
    usable: usize,
    /// Why the others are not.
    unusable: std::collections::BTreeMap<&'static str, usize>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let settings: GenerateSettings = arguments.changes.applied()?;
    settings.validate().map_err(|error| Failure::Usage(error.into()))?;
    let model = arguments.model.path()?;
    let place = place::of_rows(&arguments.to, arguments.overwrite, &[&arguments.from, &model])?;
    let mut bars = Bars::new(output);
    let sources: Vec<Source> = read_pairs(&arguments.from, &bars)?
        .into_iter()
        .map(|pair| Source { key: pair.key, prompt: pair.prompt, response: pair.response })
        .collect();
    let mut writer = Writer {
        backend: engines::backend(&arguments.model.engine, &model, engines::Scores::NotAsked)?,
        examples: sources.clone(),
        settings,
        seed: arguments.seed.get(),
        bars: &mut bars,
        written: 0,
        unusable: std::collections::BTreeMap::new(),
    };
    let rows = match arguments.what {
        What::Pairs => {
            let prompts: Vec<Source> = writer
                .write(Writing::NewPrompt, &sources, arguments.count)?
                .into_iter()
                .map(|row| Source { key: row.key, prompt: row.response, response: String::new() })
                .collect();
            writer.write(Writing::Response, &prompts, 1)?
        }
        What::Responses => writer.write(Writing::Response, &sources, arguments.count)?,
        What::Worse => writer.write(Writing::WorseResponse, &sources, arguments.count)?,
    };
    interrupt::check()?;
    let report = Report {
        path: arguments.to.clone(),
        written: writer.written,
        usable: rows.len(),
        unusable: writer.unusable,
    };
    lancer_data::write_rows_to(&place, &rows)?;
    output.print(&report, |report| {
        outln!("{}: {} of {} texts can be used", report.path.display(), report.usable, report.written);
        for (reason, count) in &report.unusable {
            outln!("  {reason}: {count}");
        }
    });
    Ok(())
}

struct Writer<'a> {
    backend: Box<dyn lancer_backend::Backend>,
    examples: Vec<Source>,
    settings: GenerateSettings,
    seed: lancer_backend::Seed,
    bars: &'a mut Bars,
    written: usize,
    unusable: std::collections::BTreeMap<&'static str, usize>,
}

impl Writer<'_> {
    /// What can be used of `count` texts from each source; the text is the row's response.
    fn write(&mut self, writing: Writing, sources: &[Source], count: usize) -> Result<Vec<Row>, Failure> {
        let jobs: Vec<Job> = sources.iter().map(|source| Job::new(source.clone(), count)).collect();
        self.bars.start(writing.as_str().replace('_', " "), "texts", 0, jobs.len() * count);
        let mut sink = Sink { bars: self.bars, written: Vec::new() };
        let watching = interrupt::watch();
        let result = lancer_generate::write(
            self.backend.as_mut(),
            writing,
            &jobs,
            &self.examples,
            &self.settings,
            self.seed,
            &mut sink,
        );
        drop(watching);
        let mut written = sink.written;
        self.bars.stop();
        result.map_err(failure)?;
        written.sort_by_key(|written| (written.job, written.sample));
        self.written += written.len();
        let mut rows = Vec::new();
        for Written { job, sample, outcome, .. } in written {
            let source = &jobs[job].source;
            match outcome {
                Ok(text) => rows.push(Row {
                    key: format!("{}/{}{sample}", source.key, &writing.as_str()[..1]),
                    source: source.key.clone(),
                    prompt: source.prompt.clone(),
                    response: text,
                }),
                Err(reason) => *self.unusable.entry(reason.as_str()).or_default() += 1,
            }
        }
        Ok(rows)
    }
}

fn failure(error: GenerateError) -> Failure {
    match error {
        GenerateError::Cancelled => Failure::Interrupted("interrupted; nothing was written".into()),
        error => Failure::Failed(error.into()),
    }
}

struct Sink<'a> {
    bars: &'a mut Bars,
    written: Vec<Written>,
}

impl WritingSink for Sink<'_> {
    fn written(&mut self, written: Written) -> ControlFlow<()> {
        self.written.push(written);
        self.bars.add(1, 0)
    }

    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        self.bars.add(0, tokens)
    }
}
