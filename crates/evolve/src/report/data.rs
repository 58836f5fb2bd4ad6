//! What the page shows.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;

use crate::{
    error::EvolveError,
    ledger::{
        HeldOutRow, Ledger, PairRow, Phase, Record, RejectRow, ReviewRow, Sample, SftRow, StepRow, VerdictRow,
    },
    stage::Stage,
    summary::{FunnelRow, IterationSummary, Summary},
};

/// Everything that the page's scripts read.
#[derive(Debug, Serialize)]
pub(super) struct PageData {
    summary: Summary,
    /// The funnel of each iteration as rows, as far as it has come.
    funnels: Vec<Vec<FunnelRow>>,
    /// The names of stages for people.
    stages: BTreeMap<&'static str, &'static str>,
    training: Vec<Curves>,
    rejects: Vec<RejectRow>,
    records: Vec<Record>,
    samples: Vec<Sample>,
    reviews: Vec<ReviewRow>,
    verdicts: Vec<VerdictRow>,
    sft: Vec<InIteration<SftRow>>,
    pairs: Vec<InIteration<PairRow>>,
    /// The first iteration in whose pool a record is.
    pool: BTreeMap<String, u32>,
}

/// A phase of training, step by step.
#[derive(Debug, Serialize)]
struct Curves {
    iteration: u32,
    phase: Phase,
    steps: Vec<StepRow>,
    held_out: Vec<HeldOutRow>,
}

/// A row with the iteration that made it.
#[derive(Debug, Serialize)]
struct InIteration<T> {
    iteration: u32,
    #[serde(flatten)]
    row: T,
}

impl PageData {
    pub(super) fn of(ledger: &Ledger, folder: &Path) -> Result<Self, EvolveError> {
        let summary = Summary::of(ledger, folder)?;
        let last = summary.iterations.last().map_or(0, |iteration| iteration.iteration);
        let mut page = Self {
            funnels: summary.iterations.iter().map(IterationSummary::funnel_rows).collect(),
            summary,
            stages: Stage::ITERATION
                .into_iter()
                .chain(Stage::BEFORE)
                .map(|stage| (stage.as_str(), stage.title()))
                .collect(),
            training: Vec::new(),
            rejects: ledger.rejects()?,
            records: ledger.records(0)?,
            samples: Vec::new(),
            reviews: Vec::new(),
            verdicts: Vec::new(),
            sft: Vec::new(),
            pairs: Vec::new(),
            pool: BTreeMap::new(),
        };
        for iteration in 1..=last {
            page.add(ledger, iteration)?;
        }
        // What the last iteration merged is in the pool of the one after it.
        for iteration in 1..=last + 1 {
            for record in ledger.pool(iteration)? {
                page.pool.entry(record.key).or_insert(iteration);
            }
        }
        Ok(page)
    }

    fn add(&mut self, ledger: &Ledger, iteration: u32) -> Result<(), EvolveError> {
        for phase in [Phase::Sft, Phase::Preference] {
            let steps = ledger.steps(iteration, phase)?;
            if !steps.is_empty() {
                let held_out = ledger.held_out(iteration, phase)?;
                self.training.push(Curves { iteration, phase, steps, held_out });
            }
        }
        self.records.extend(ledger.records(iteration)?);
        self.samples.extend(ledger.samples(iteration)?);
        self.reviews.extend(ledger.reviews(iteration)?);
        self.verdicts.extend(ledger.verdicts(iteration)?);
        self.sft.extend(ledger.sft(iteration)?.into_iter().map(|row| InIteration { iteration, row }));
        self.pairs.extend(ledger.pairs(iteration)?.into_iter().map(|row| InIteration { iteration, row }));
        Ok(())
    }
}
