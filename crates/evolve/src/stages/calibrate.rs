//! The reviewer of an iteration, chosen and calibrated on the seeds and damaged seeds.

use std::ops::ControlFlow;

use lancer_backend::WithSystem;
use lancer_review::{CalibrationProgress, Item, Mode, ModeSetting};

use super::{Session, interrupted_if};
use crate::{error::EvolveError, ledger::Record, progress::Progress, stage::Stage, summary::USEFUL_AUC};

pub(crate) fn run(session: &mut Session<'_>, iteration: u32) -> Result<(), EvolveError> {
    if session.recipe.review.mode == ModeSetting::None {
        return Ok(());
    }
    let model = session.ledger.start(iteration)?;
    // The user's seeds alone: what the model wrote would teach the reviewer to like what the model writes.
    let seeds: Vec<Item> = session.ledger.records(0)?.iter().map(item).collect();
    let settings = session.recipe.review;
    let seed = session.seed(iteration, "calibrate");
    let ledger = session.ledger;
    let is_calibrated = ledger.calibration(iteration)?.is_some();
    if !is_calibrated {
        session.load(model)?;
    }
    if let Some((_, backend)) = session.loaded.as_mut().filter(|_| !is_calibrated) {
        // Whatever came before, the reviewer is the same to the last bit, and so is what it took.
        backend.forget();
        let mut bar =
            Bar { progress: session.progress, iteration, mode: None, reviewed: 0, interrupted: false };
        let backend = &mut WithSystem::new(backend.as_mut(), session.recipe.system.review.as_deref());
        let result = lancer_review::calibrate(backend, &seeds, &settings, seed, &mut |at| bar.at(at));
        let is_interrupted = bar.end();
        if let Ok((calibrated, usage)) = &result {
            ledger.together(|| {
                ledger.set_calibration(iteration, calibrated)?;
                ledger.add_timing((iteration, Stage::Calibrate), session.laps.lap(), *usage)
            })?;
        }
        interrupted_if(is_interrupted, iteration, Stage::Calibrate)?;
        result?;
    }
    if let Some(calibrated) = ledger.calibration(iteration)? {
        let used: Mode = calibrated.reviewer.mode();
        for separation in &calibrated.separations {
            if separation.mode == used && separation.auc < USEFUL_AUC {
                session.progress.note(&format!(
                    "the {used} review hardly tells seeds from damaged seeds (area under the ROC curve {:.2}, 0.5 is \
                     chance): scores and what is trained on them are close to noise; try another review.mode or a \
                     larger model",
                    separation.auc
                ));
            }
        }
    }
    Ok(())
}

/// A record as the review takes it.
pub(super) fn item(record: &Record) -> Item {
    Item::of_conversation(&record.key, &record.chat())
}

/// The progress of each mode in turn.
struct Bar<'a> {
    progress: &'a mut dyn Progress,
    iteration: u32,
    mode: Option<Mode>,
    reviewed: usize,
    interrupted: bool,
}

impl Bar<'_> {
    fn at(&mut self, at: CalibrationProgress) -> ControlFlow<()> {
        if self.mode != Some(at.mode) {
            if self.mode.is_some() {
                self.progress.end();
            }
            self.progress.begin(self.iteration, Stage::Calibrate, "pairs", 0, at.total);
            (self.mode, self.reviewed) = (Some(at.mode), 0);
        }
        let flow = self.progress.advance(at.reviewed - self.reviewed, 0);
        self.reviewed = at.reviewed;
        self.interrupted |= flow.is_break();
        flow
    }

    /// Whether the run was interrupted.
    fn end(self) -> bool {
        if self.mode.is_some() {
            self.progress.end();
        }
        self.interrupted
    }
}
