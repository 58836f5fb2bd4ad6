//! `lancer clean`: pairs that are too short, too long or too like others are dropped.

use std::path::{Path, PathBuf};

use clap::Args;
use lancer_data::{
    Candidate, CleanSettings, DecontaminationSettings, EvaluationTexts, Origin, Pair, rule_counts,
};
use serde::Serialize;

use crate::{failure::Failure, options::Changes, output::Output, progress::Bars};

/// Drop pairs that are too short, too long, or too like others; each with the rule that dropped it.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Pairs to clean: .jsonl, .json or .parquet.
    from: PathBuf,
    /// Where the pairs that are kept go, by its ending.
    to: PathBuf,
    /// Pairs that are there already: what is too like one of them is dropped too.
    #[arg(long, value_name = "FILE")]
    pool: Option<PathBuf>,
    /// Data of evaluation tasks: what has 13 words in a row from one of its texts is dropped. May be repeated.
    #[arg(long, value_name = "FILE")]
    evaluation: Vec<PathBuf>,
    /// Where those that are dropped go, with the rule and what they resemble.
    #[arg(long, value_name = "FILE")]
    dropped: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
}

#[derive(Serialize)]
struct Dropped<'a> {
    key: &'a str,
    prompt: &'a str,
    response: &'a str,
    rule: &'static str,
    resembles: Option<&'a str>,
    detail: &'a str,
}

#[derive(Serialize)]
struct Report {
    path: PathBuf,
    pairs: usize,
    kept: usize,
    dropped: Vec<(&'static str, usize)>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let settings: CleanSettings = arguments.changes.applied()?;
    settings.validate().map_err(|error| Failure::Usage(error.into()))?;
    let mut bars = Bars::new(output);
    let pairs = read_pairs(&arguments.from, &bars)?;
    let pool = arguments.pool.as_deref().map_or_else(|| Ok(Vec::new()), |path| read_pairs(path, &bars))?;
    let mut evaluation = EvaluationTexts::new(DecontaminationSettings::default());
    for path in &arguments.evaluation {
        let rows = lancer_data::read_rows(path)?;
        evaluation.add(&path.display().to_string(), &rows.rows);
    }
    let candidates: Vec<Candidate> = pairs
        .iter()
        .map(|pair| Candidate {
            key: pair.key.clone(),
            family: pair.key.clone(),
            prompt: pair.prompt.clone(),
            response: pair.response.clone(),
            origin: Origin::NewPrompt,
        })
        .collect();
    bars.start("clean".into(), "pairs", 0, candidates.len());
    let verdicts = lancer_data::clean(&candidates, &pool, &evaluation, &settings);
    let _ = bars.add(candidates.len(), 0);
    bars.stop();
    let kept: Vec<&Pair> =
        pairs.iter().zip(&verdicts).filter(|(_, verdict)| verdict.is_none()).map(|(pair, _)| pair).collect();
    let dropped: Vec<Dropped<'_>> = pairs
        .iter()
        .zip(&verdicts)
        .filter_map(|(pair, verdict)| {
            verdict.as_ref().map(|drop| Dropped {
                key: &pair.key,
                prompt: &pair.prompt,
                response: &pair.response,
                rule: drop.rule.as_str(),
                resembles: drop.resembles.as_deref(),
                detail: &drop.detail,
            })
        })
        .collect();
    lancer_data::write_rows(&arguments.to, &kept)?;
    if let Some(path) = &arguments.dropped {
        lancer_data::write_rows(path, &dropped)?;
    }
    let report = Report {
        path: arguments.to.clone(),
        pairs: pairs.len(),
        kept: kept.len(),
        dropped: rule_counts(&verdicts).into_iter().map(|(rule, count)| (rule.as_str(), count)).collect(),
    };
    output.print(&report, |report| {
        println!("{}: {} of {} pairs kept", report.path.display(), report.kept, report.pairs);
        for (rule, count) in &report.dropped {
            println!("  {rule}: {count}");
        }
    });
    Ok(())
}

/// The pairs of a file; a line of the terminal for those that cannot be used.
pub(crate) fn read_pairs(path: &Path, bars: &Bars) -> Result<Vec<Pair>, Failure> {
    let read = lancer_data::read_pairs(path)?;
    if let Some(first) = read.rejects.first() {
        bars.say(&format!(
            "note: {} records of {} cannot be used, the first at {}: {}",
            read.rejects.len(),
            path.display(),
            first.place,
            first.reason
        ));
    }
    if read.pairs.is_empty() {
        return Err(Failure::failed(format!(
            "{} holds no usable pair of a prompt and a response",
            path.display()
        )));
    }
    Ok(read.pairs)
}
