//! `lancer clean`: pairs that are too short, too long or too like others are dropped.

mod screen;
mod summary;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::Args;
use lancer_data::{
    BrokenRule, Candidate, CleanSettings, DecontaminationSettings, EvaluationTexts, Origin, Pair, Record,
};
use serde::Serialize;

use self::screen::{PersonalDataOption, Screen};
use crate::{
    failure::Failure,
    options::Changes,
    output::Output,
    place::{self, OverwriteOption, RowsPlace},
    progress::Bars,
    records::read_records,
};

/// Drop pairs that are too short, too long, or too like others; each with the rule that dropped it.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Records to clean: .jsonl, .json, .csv, .tsv or .parquet, or `-` for JSON from standard input.
    from: PathBuf,
    /// Where the records that are kept go, by its ending, in the layout in which they came; `-` writes JSON lines to standard
    /// output.
    to: PathBuf,
    /// Pairs that are there already: what is too like one of them is dropped too.
    #[arg(long, value_name = "FILE")]
    pool: Option<PathBuf>,
    /// Data of evaluation tasks: what has 13 words in a row from one of its texts is dropped. May be repeated.
    #[arg(long, value_name = "FILE")]
    evaluation: Vec<PathBuf>,
    /// Quality rules: a TOML file of limits, by rule, under [prompt] and [response]. docs/reference/cleaning.md lists the
    /// rules.
    #[arg(long, value_name = "FILE")]
    quality: Option<PathBuf>,
    /// What is done with e-mail addresses, phone and card numbers, IP addresses, keys and tokens.
    #[arg(long, value_enum, default_value = "keep")]
    personal_data: PersonalDataOption,
    /// Where those that are dropped go, with the rule and what they resemble.
    #[arg(long, value_name = "FILE")]
    dropped: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteOption,
    #[command(flatten)]
    changes: Changes,
}

/// A pair that is dropped, and why.
#[derive(Serialize)]
struct Dropped {
    key: String,
    prompt: String,
    response: String,
    rule: &'static str,
    resembles: Option<String>,
    detail: String,
    /// The quality rules that it breaks, with what was measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    broken: Vec<BrokenRule>,
}

impl Dropped {
    fn new(pair: Pair, rule: &'static str, resembles: Option<String>, detail: String) -> Self {
        Self {
            key: pair.key,
            prompt: pair.prompt,
            response: pair.response,
            rule,
            resembles,
            detail,
            broken: Vec::new(),
        }
    }

    /// A pair that breaks quality rules.
    fn by_quality(pair: Pair, broken: Vec<BrokenRule>) -> Self {
        let detail = broken.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        Self { broken, ..Self::new(pair, "quality", None, detail) }
    }
}

#[derive(Serialize)]
struct Report {
    path: PathBuf,
    pairs: usize,
    kept: usize,
    /// How many, by rule.
    dropped: BTreeMap<&'static str, usize>,
    /// Some of each rule.
    examples: BTreeMap<&'static str, Vec<String>>,
    /// How many pairs break each quality rule; a pair may break several.
    quality: Vec<summary::Broken>,
}

/// Where the pairs go.
struct Places {
    kept: RowsPlace,
    dropped: Option<RowsPlace>,
}

impl Places {
    fn of(arguments: &Arguments) -> Result<Self, Failure> {
        let inputs: Vec<&Path> = [&arguments.from]
            .into_iter()
            .chain(&arguments.pool)
            .chain(&arguments.evaluation)
            .chain(&arguments.quality)
            .map(PathBuf::as_path)
            .collect();
        let kept = place::of_rows(&arguments.to, arguments.overwrite, &inputs)?;
        let dropped = arguments.dropped.as_deref();
        let dropped = dropped.map(|path| place::of_rows(path, arguments.overwrite, &inputs)).transpose()?;
        if let Some(dropped) = &dropped {
            place::check_two(&kept, dropped, "--dropped")?;
        }
        Ok(Self { kept, dropped })
    }
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let settings: CleanSettings = arguments.changes.applied()?;
    settings.validate().map_err(|error| Failure::Usage(error.into()))?;
    let places = Places::of(arguments)?;
    let mut bars = Bars::new(output);
    let screen = Screen::new(arguments.personal_data, arguments.quality.as_deref())?;
    let records = read_records(&arguments.from, &bars)?;
    let count = records.len();
    let mut dropped = Vec::new();
    let records = screen.pass(records, &mut dropped);
    let pool = arguments.pool.as_deref().map_or_else(|| Ok(Vec::new()), |path| read_records(path, &bars))?;
    let pool: Vec<Pair> = pool.iter().map(Record::pair).collect();
    let mut evaluation = EvaluationTexts::new(DecontaminationSettings::default());
    for path in &arguments.evaluation {
        let rows = lancer_data::read_rows(path)?;
        evaluation.add(&path.display().to_string(), &rows.rows);
    }
    let candidates: Vec<Candidate> = records
        .iter()
        .map(Record::pair)
        .map(|Pair { key, prompt, response }| Candidate {
            family: key.clone(),
            key,
            prompt,
            response,
            origin: Origin::NewPrompt,
        })
        .collect();
    bars.start("clean".into(), "pairs", 0, candidates.len());
    let verdicts = lancer_data::clean(&candidates, &pool, &evaluation, &settings);
    let _ = bars.add(candidates.len(), 0);
    bars.stop();
    let mut kept = Vec::new();
    for (record, verdict) in records.into_iter().zip(verdicts) {
        match verdict {
            None => kept.push(record),
            Some(drop) => {
                dropped.push(Dropped::new(record.pair(), drop.rule.as_str(), drop.resembles, drop.detail));
            }
        }
    }
    if let Some(place) = &places.dropped {
        lancer_data::write_rows_to(place, &dropped)?;
    }
    lancer_data::write_rows_to(&places.kept, &kept)?;
    places.kept.deliver()?;
    let report = Report {
        path: arguments.to.clone(),
        pairs: count,
        kept: kept.len(),
        dropped: summary::counts(&dropped),
        examples: summary::examples(&dropped),
        quality: summary::broken(&dropped),
    };
    output.print(&report, |report| {
        outln!("{}: {} of {} pairs kept", report.path.display(), report.kept, report.pairs);
        for (rule, count) in &report.dropped {
            outln!("  {rule}: {count}, such as");
            report.examples[rule].iter().for_each(|example| outln!("    {example}"));
        }
        if !report.quality.is_empty() {
            outln!("  quality rules, by the pairs that break them:");
            report.quality.iter().for_each(|broken| outln!("    {broken}"));
        }
    });
    Ok(())
}
