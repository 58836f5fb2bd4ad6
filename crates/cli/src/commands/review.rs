//! `lancer review`: scores for pairs of a prompt and a response.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Args;
use lancer_backend::Usage;
use lancer_data::Record;
use lancer_review::{
    Calibrated, Detail, Item, ModeSetting, Outcome, Review, ReviewError, ReviewSettings, ReviewSink,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    engines::{self, Scores},
    failure::Failure,
    interrupt,
    options::{Changes, ModelOptions, SeedOption},
    output::Output,
    place::{self, OverwriteOption},
    progress::Bars,
    records::read_records,
};

/// Score pairs of a prompt and a response, 0 to 10, with the model's own review.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Records to review: .jsonl, .json, .csv, .tsv or .parquet, or `-` for JSON from standard input.
    from: PathBuf,
    /// Where the records go with their scores, by its ending, in the layout in which they came; `-` writes JSON lines to standard
    /// output.
    to: PathBuf,
    /// Good pairs that the review is calibrated on; those to review if left out.
    #[arg(long, value_name = "FILE")]
    seeds: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteOption,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    seed: SeedOption,
    #[command(flatten)]
    model: ModelOptions,
}

#[derive(Serialize)]
struct Report {
    path: PathBuf,
    pairs: usize,
    scored: usize,
    mean_score: Option<f64>,
    /// Wall time of the calibration.
    calibration_seconds: f64,
    /// Wall time of the review, without loading the model and without the calibration.
    seconds: f64,
    /// What the calibration took.
    calibration_usage: Usage,
    calibration: Calibrated,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let settings: ReviewSettings = arguments.changes.applied()?;
    settings.validate().map_err(|error| Failure::Usage(error.into()))?;
    let model = arguments.model.path()?;
    let inputs: Vec<&Path> =
        [&arguments.from, &model].into_iter().chain(&arguments.seeds).map(PathBuf::as_path).collect();
    let place = place::of_rows(&arguments.to, arguments.overwrite, &inputs)?;
    let mut bars = Bars::new(output);
    let records = read_records(&arguments.from, &bars)?;
    let items = items(&records);
    let seeds = match &arguments.seeds {
        Some(path) => self::items(&read_records(path, &bars)?),
        None => items.clone(),
    };
    let scores = match settings.mode {
        ModeSetting::Rubric | ModeSetting::None => Scores::NotAsked,
        ModeSetting::Auto | ModeSetting::Expected | ModeSetting::Likelihood => Scores::Asked,
    };
    let mut backend = engines::backend(&arguments.model.engine, &model, scores)?;
    let watching = interrupt::watch();
    let seed = arguments.seed.get();
    let clock = Instant::now();
    bars.start("calibrate".into(), "pairs", 0, 0);
    let calibrated =
        lancer_review::calibrate(backend.as_mut(), &seeds, &settings, seed, &mut |_| bars.add(0, 0));
    bars.stop();
    let (calibration, calibration_usage) = calibrated.map_err(failure)?;
    let (calibration_seconds, clock) = (clock.elapsed().as_secs_f64(), Instant::now());
    bars.start("review".into(), "pairs", 0, items.len());
    let mut sink = Sink { bars: &mut bars, reviews: vec![None; items.len()] };
    let reviewed = lancer_review::review(backend.as_mut(), &calibration.reviewer, &items, seed, &mut sink);
    let reviews = sink.reviews;
    bars.stop();
    reviewed.map_err(failure)?;
    drop(watching);
    interrupt::check()?;
    let seconds = clock.elapsed().as_secs_f64();

    let reviewed =
        || records.iter().zip(&reviews).filter_map(|(record, review)| Some((record, review.as_ref()?)));
    let rows: Vec<Map<String, Value>> = reviewed().map(|(record, review)| row(record, review)).collect();
    lancer_data::write_rows_to(&place, &rows)?;
    place.deliver()?;
    let scores: Vec<f64> =
        reviewed().filter_map(|(_, review)| review.outcome.score()).map(lancer_review::Score::get).collect();
    let report = Report {
        path: arguments.to.clone(),
        pairs: rows.len(),
        scored: scores.len(),
        mean_score: (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64),
        calibration_seconds,
        seconds,
        calibration_usage,
        calibration,
    };
    output.print(&report, |report| {
        for separation in &report.calibration.separations {
            outln!("{}: area under the ROC curve {:.2}", separation.mode, separation.auc);
        }
        let mean = report.mean_score.map_or_else(String::new, |mean| format!(", mean score {mean:.2}"));
        outln!(
            "{}: {} of {} pairs scored{mean}; {:.1} s, and {:.1} s for the calibration",
            report.path.display(),
            report.scored,
            report.pairs,
            report.seconds,
            report.calibration_seconds
        );
    });
    Ok(())
}

fn items(records: &[Record]) -> Vec<Item> {
    records.iter().map(|record| Item::of_conversation(&record.key, record.conversation())).collect()
}

/// The record as it came, with its score.
fn row(record: &Record, review: &Review) -> Map<String, Value> {
    let (score, reason) = match &review.outcome {
        Outcome::Scored(score) => (Some(score.get()), None),
        Outcome::Unscored { reason } => (None, Some(reason.clone())),
    };
    let detail = match (&review.detail, review.left_out.is_empty()) {
        (Detail::None, true) => String::new(),
        _ => serde_json::to_string(&review.kept_detail()).unwrap_or_default(),
    };
    let mut row = record.to_row();
    row.insert("score".into(), score.into());
    row.insert("reason".into(), reason.into());
    row.insert("detail".into(), detail.into());
    row
}

fn failure(error: ReviewError) -> Failure {
    match error {
        ReviewError::Cancelled => Failure::Interrupted("interrupted; nothing was written".into()),
        error => Failure::Failed(error.into()),
    }
}

struct Sink<'a> {
    bars: &'a mut Bars,
    reviews: Vec<Option<Review>>,
}

impl ReviewSink for Sink<'_> {
    fn reviewed(&mut self, review: Review) -> ControlFlow<()> {
        let item = review.item;
        self.reviews[item] = Some(review);
        self.bars.add(1, 0)
    }

    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        self.bars.add(0, tokens)
    }
}
