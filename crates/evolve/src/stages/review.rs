//! Reviews of the pool and of new records.

use std::{collections::HashSet, ops::ControlFlow};

use lancer_review::{Item, Outcome, Review, ReviewSink};

use super::{Groups, Recording, Session, calibrate::item};
use crate::{
    error::EvolveError,
    ledger::{Ledger, Record, ReviewRow},
    stage::Stage,
};

/// The pool of seeds.
pub(crate) fn seeds(session: &mut Session<'_>, iteration: u32) -> Result<(), EvolveError> {
    let pool = session.ledger.pool(iteration)?;
    review(session, iteration, Stage::ReviewSeeds, &pool)
}

/// What cleaning has kept.
pub(crate) fn new_records(session: &mut Session<'_>, iteration: u32) -> Result<(), EvolveError> {
    let kept = session.ledger.kept_records(iteration)?;
    review(session, iteration, Stage::ReviewNew, &kept)
}

/// Pairs that are reviewed together; see [`Groups`].
const GROUP: usize = 32;

fn review(
    session: &mut Session<'_>,
    iteration: u32,
    stage: Stage,
    records: &[Record],
) -> Result<(), EvolveError> {
    let Some(calibrated) = session.ledger.calibration(iteration)? else { return Ok(()) };
    let model = session.ledger.start(iteration)?;
    let reviewed: HashSet<String> =
        session.ledger.reviews(iteration)?.into_iter().map(|row| row.record).collect();
    let items: Vec<Item> = records.iter().map(item).collect();
    let groups = Groups::new(items.len(), GROUP, 1, |place| reviewed.contains(&items[place].key));
    let seed = session.seed(iteration, "review");
    session.work(
        (iteration, stage),
        model,
        ("pairs", &groups),
        |backend, group, recording| {
            let items = &items[group];
            let mut sink = Sink { recording, iteration, items };
            lancer_review::review(backend, &calibrated.reviewer, items, seed, &mut sink)
        },
        Ledger::add_review,
    )
}

struct Sink<'a, 'b> {
    recording: &'a mut Recording<'b, ReviewRow>,
    iteration: u32,
    items: &'a [Item],
}

impl ReviewSink for Sink<'_, '_> {
    fn reviewed(&mut self, review: Review) -> ControlFlow<()> {
        let detail = crate::ledger::json(&review.kept_detail());
        let (score, reason) = match review.outcome {
            Outcome::Scored(score) => (Some(score.get()), None),
            Outcome::Unscored { reason } => (None, Some(reason)),
        };
        self.recording.row(ReviewRow {
            iteration: self.iteration,
            record: self.items[review.item].key.clone(),
            score,
            reason,
            detail,
        })
    }

    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        self.recording.tokens(tokens)
    }
}
