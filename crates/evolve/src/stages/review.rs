//! Reviews of the pool and of new records.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
};

use lancer_backend::WithSystem;
use lancer_review::{Item, Outcome, Review, ReviewSink, Unreadable};

use super::{Groups, Recording, Session, calibrate::item};
use crate::{
    error::EvolveError,
    ledger::{Ledger, Record, ReviewRow},
    recipe::PoolScores,
    stage::Stage,
};

/// The pool of seeds.
pub(crate) fn seeds(session: &mut Session<'_>, iteration: u32) -> Result<(), EvolveError> {
    let pool = session.ledger.pool(iteration)?;
    if session.recipe.expand.pool_scores == PoolScores::Kept {
        keep_scores(session.ledger, iteration, &pool)?;
    }
    review(session, iteration, Stage::ReviewSeeds, &pool)
}

/// What cleaning has kept.
pub(crate) fn new_records(session: &mut Session<'_>, iteration: u32) -> Result<(), EvolveError> {
    let kept = session.ledger.kept_records(iteration)?;
    review(session, iteration, Stage::ReviewNew, &kept)
}

/// Gives records that were reviewed in an earlier iteration the score of their last review.
fn keep_scores(ledger: &Ledger, iteration: u32, pool: &[Record]) -> Result<(), EvolveError> {
    let mut scores: HashMap<String, ReviewRow> = HashMap::new();
    for earlier in 1..iteration {
        scores.extend(ledger.reviews(earlier)?.into_iter().map(|row| (row.record.clone(), row)));
    }
    let known: HashSet<String> = ledger.reviews(iteration)?.into_iter().map(|row| row.record).collect();
    let kept = pool.iter().filter(|record| !known.contains(&record.key));
    let kept = kept.filter_map(|record| scores.remove(&record.key));
    ledger.together(|| {
        kept.map(|row| ReviewRow { iteration, ..row }).try_for_each(|row| ledger.add_review(&row))
    })
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
    let (unreadable, system) = (session.recipe.review.unreadable, session.recipe.system.review.clone());
    session.work(
        (iteration, stage),
        model,
        ("pairs", &groups),
        |backend, group, recording| {
            let items = &items[group];
            let mut sink = Sink { recording, iteration, items, unreadable };
            let backend = &mut WithSystem::new(backend, system.as_deref());
            lancer_review::review(backend, &calibrated.reviewer, items, seed, &mut sink)
        },
        Ledger::add_review,
    )
}

struct Sink<'a, 'b> {
    recording: &'a mut Recording<'b, ReviewRow>,
    iteration: u32,
    items: &'a [Item],
    unreadable: Unreadable,
}

impl ReviewSink for Sink<'_, '_> {
    fn reviewed(&mut self, review: Review) -> ControlFlow<()> {
        let detail = crate::ledger::json(&review.kept_detail());
        let (score, reason) = match review.outcome {
            Outcome::Scored(score) => (Some(score.get()), None),
            Outcome::Unscored { reason } => match self.unreadable {
                Unreadable::NoScore => (None, Some(reason)),
                Unreadable::Zero => (Some(0.0), Some(reason)),
            },
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
