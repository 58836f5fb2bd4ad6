//! `lancer generate`: new prompts and responses.

use std::{ops::ControlFlow, path::PathBuf};

use clap::{Args, ValueEnum};
use lancer_backend::Message;
use lancer_data::Record;
use lancer_generate::{GenerateError, GenerateSettings, Job, Source, Writing, WritingSink, Written};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    engines,
    failure::Failure,
    interrupt,
    options::{Changes, ModelOptions, SeedOption},
    output::Output,
    place::{self, OverwriteOption},
    progress::Bars,
    records::read_records,
};

/// Write new prompts in the spirit of old ones, responses to prompts, or worse responses.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Records to write from: .jsonl, .json, .csv, .tsv or .parquet, or `-` for JSON from standard input.
    from: PathBuf,
    /// Where the new records go, by its ending, in the layout of those that they are written from; `-` writes JSON lines to
    /// standard output.
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

/// A text that can be used.
struct Text {
    key: String,
    /// The place of the record that it goes back to.
    record: usize,
    /// What it was written after.
    source: Source,
    written: String,
}

impl Text {
    /// The new record, in the layout of the one that it goes back to.
    fn row(self, records: &[Record]) -> Map<String, Value> {
        let source = &records[self.record];
        let chat = self.source.chat.with(Message::assistant(self.written));
        let mut row = source.like(self.key, chat).to_row();
        row.insert("source".into(), Value::from(self.source.key));
        row
    }
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
    let records = read_records(&arguments.from, &bars)?;
    let sources: Vec<Source> =
        records.iter().map(|record| Source::of_conversation(&record.key, record.conversation())).collect();
    let mut writer = Writer {
        backend: engines::backend(&arguments.model.engine, &model, engines::Scores::NotAsked)?,
        examples: sources.clone(),
        settings,
        seed: arguments.seed.get(),
        bars: &mut bars,
        written: 0,
        unusable: std::collections::BTreeMap::new(),
    };
    let sources: Vec<(usize, Source)> = sources.into_iter().enumerate().collect();
    let texts = match arguments.what {
        What::Pairs => {
            let prompts: Vec<(usize, Source)> = writer
                .write(Writing::NewPrompt, sources, arguments.count)?
                .into_iter()
                .map(|new| {
                    let chat = new.source.begun_with(new.written);
                    (new.record, Source { key: new.key, chat, response: String::new() })
                })
                .collect();
            writer.write(Writing::Response, prompts, 1)?
        }
        What::Responses => writer.write(Writing::Response, sources, arguments.count)?,
        What::Worse => writer.write(Writing::WorseResponse, sources, arguments.count)?,
    };
    let rows: Vec<Map<String, Value>> = texts.into_iter().map(|text| text.row(&records)).collect();
    interrupt::check()?;
    let report = Report {
        path: arguments.to.clone(),
        written: writer.written,
        usable: rows.len(),
        unusable: writer.unusable,
    };
    lancer_data::write_rows_to(&place, &rows)?;
    place.deliver()?;
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
    /// What can be used of `count` texts from each source, with the place of the record that it goes back to.
    fn write(
        &mut self,
        writing: Writing,
        sources: Vec<(usize, Source)>,
        count: usize,
    ) -> Result<Vec<Text>, Failure> {
        let (records, jobs): (Vec<usize>, Vec<Job>) =
            sources.into_iter().map(|(record, source)| (record, Job::new(source, count))).unzip();
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
        let mut texts = Vec::new();
        for Written { job, sample, outcome, .. } in written {
            let source = &jobs[job].source;
            match outcome {
                Ok(text) => texts.push(Text {
                    key: format!("{}/{}{sample}", source.key, &writing.as_str()[..1]),
                    record: records[job],
                    source: source.clone(),
                    written: text,
                }),
                Err(reason) => *self.unusable.entry(reason.as_str()).or_default() += 1,
            }
        }
        Ok(texts)
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
