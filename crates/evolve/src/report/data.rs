//! What the page shows.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;

use crate::{
    error::EvolveError,
    ledger::{Ledger, PairRow, Record, RejectRow, ReviewRow, Sample, SftRow, VerdictRow},
    view::{InIteration, RunView},
};

/// Everything that the page's scripts read.
#[derive(Debug, Serialize)]
pub(super) struct PageData {
    #[serde(flatten)]
    run: RunView,
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

impl PageData {
    pub(super) fn of(ledger: &Ledger, folder: &Path) -> Result<Self, EvolveError> {
        let run = RunView::of(ledger, folder)?;
        let last = run.summary.iterations.last().map_or(0, |iteration| iteration.iteration);
        let mut page = Self {
            run,
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
        self.records.extend(ledger.records(iteration)?);
        self.samples.extend(ledger.samples(iteration)?);
        self.reviews.extend(ledger.reviews(iteration)?);
        self.verdicts.extend(ledger.verdicts(iteration)?);
        self.sft.extend(ledger.sft(iteration)?.into_iter().map(|row| InIteration { iteration, row }));
        self.pairs.extend(ledger.pairs(iteration)?.into_iter().map(|row| InIteration { iteration, row }));
        Ok(())
    }
}
