//! What both phases of training share: watching the steps, and writing them.

use std::{collections::HashMap, ops::ControlFlow, path::Path};

use lancer_backend::{Learner, Usage, WeightFormat};
use lancer_prefer::{
    Checkpoint, EvaluationRecord, Outcome, ReferenceLogProbs, ReferenceStore, SetAside, StepExample,
    StepRecord, TrainingError, TrainingObserver, TrainingPlan, TrainingReport,
};

use super::Session;
use crate::{
    engines::{TrainElsewhereError, TrainerSettings, TrainingPlace, TrainingTask, WritableModel},
    error::EvolveError,
    files,
    laps::Laps,
    ledger::{Ledger, Phase},
    progress::Progress,
    stage::Stage,
};

/// What a phase of training came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trained {
    /// It made its steps.
    Finished,
    /// There was no example to train on.
    Nothing,
}

/// Writes steps into the ledger and shows them.
pub(super) struct Observer<'a> {
    ledger: &'a Ledger,
    progress: &'a mut dyn Progress,
    laps: &'a Laps,
    iteration: u32,
    phase: Phase,
    /// Tokens of the step that is being made, shown so far.
    shown: u64,
    failed: Option<EvolveError>,
}

impl<'a> Observer<'a> {
    pub(super) fn new(
        ledger: &'a Ledger,
        progress: &'a mut dyn Progress,
        laps: &'a Laps,
        iteration: u32,
        phase: Phase,
    ) -> Self {
        Self { ledger, progress, laps, iteration, phase, shown: 0, failed: None }
    }

    fn stage(&self) -> Stage {
        match self.phase {
            Phase::Sft => Stage::Sft,
            Phase::Preference => Stage::Preference,
        }
    }

    /// Whether anything was trained on, if the run was finished; where there was no example to train on, that is noted: the
    /// phase is skipped. The rows are committed, so that no model is written before them.
    pub(super) fn outcome(
        self,
        report: Result<TrainingReport, TrainingError>,
    ) -> Result<Trained, EvolveError> {
        self.outcome_of(report.map_err(EvolveError::from))
    }

    /// [`outcome`](Self::outcome) of a training that may have failed otherwise.
    fn outcome_of(self, report: Result<TrainingReport, EvolveError>) -> Result<Trained, EvolveError> {
        self.progress.end();
        let stage = self.stage();
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.ledger.flush()?;
        match report {
            Err(EvolveError::Training(error @ TrainingError::NoExamples { .. })) => {
                self.progress.note(&format!("{stage} is skipped: {error}"));
                Ok(Trained::Nothing)
            }
            Err(error) => Err(error),
            Ok(TrainingReport { outcome: Outcome::Finished, .. }) => Ok(Trained::Finished),
            Ok(TrainingReport { outcome: Outcome::Interrupted { .. }, .. }) => {
                Err(EvolveError::Interrupted { iteration: self.iteration, stage })
            }
        }
    }

    fn keep(&mut self, written: Result<(), EvolveError>) -> ControlFlow<()> {
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

impl TrainingObserver for Observer<'_> {
    fn planned(&mut self, plan: &TrainingPlan) -> ControlFlow<()> {
        if let Some(first) = plan.skipped.first() {
            let count = plan.skipped.len();
            self.progress.note(&format!(
                "{count} examples are not trained on; the first is {}: {}",
                first.key, first.reason
            ));
        }
        for note in &plan.notes {
            self.progress.note(note);
        }
        self.progress.begin(self.iteration, self.stage(), "steps", plan.done as usize, plan.steps as usize);
        ControlFlow::Continue(())
    }

    fn referenced(&mut self, done: usize, total: usize) -> ControlFlow<()> {
        if done == 1 {
            self.progress.begin(self.iteration, self.stage(), "reference log-probabilities", 0, total);
        }
        let flow = self.progress.advance(1, 0);
        if done == total {
            self.progress.end();
        }
        flow
    }

    fn advanced(&mut self, _: u64, done: u64, _: u64) {
        let more = done.saturating_sub(self.shown);
        self.shown = done;
        // Whether to stop is asked after the step.
        let _ = self.progress.advance(0, more as usize);
    }

    fn waiting(&mut self) -> ControlFlow<()> {
        self.progress.advance(0, 0)
    }

    fn seen(&mut self, step: u64, examples: &[StepExample]) -> ControlFlow<()> {
        let written = self.ledger.add_step_examples(self.iteration, self.phase, (step, examples));
        self.keep(written)
    }

    fn stepped(&mut self, record: &StepRecord) -> ControlFlow<()> {
        self.shown = 0;
        // The time goes with the step that took it.
        let written = self.ledger.add_step(self.iteration, self.phase, record).and_then(|()| {
            self.ledger.add_timing((self.iteration, self.stage()), self.laps.lap(), Usage::default())
        });
        self.keep(written)?;
        self.progress.advance(1, 0)
    }

    fn step_corrected(&mut self, record: &StepRecord) {
        let written = self.ledger.add_step(self.iteration, self.phase, record);
        // The caller gets the first error.
        let _ = self.keep(written);
    }

    fn evaluation_corrected(&mut self, record: &EvaluationRecord) {
        let written = self.ledger.add_held_out(self.iteration, self.phase, record);
        let _ = self.keep(written);
    }

    fn evaluated(&mut self, record: &EvaluationRecord) -> ControlFlow<()> {
        let written = self.ledger.add_held_out(self.iteration, self.phase, record);
        self.keep(written)?;
        self.progress.advance(0, 0)
    }

    fn set_aside(&mut self, example: &SetAside) -> ControlFlow<()> {
        // The step is begun again.
        self.shown = 0;
        self.progress
            .note(&format!("{} is set aside at step {}: {}", example.key, example.step, example.reason));
        let written = self.ledger.add_set_aside(self.iteration, self.phase, example);
        self.keep(written)
    }

    fn saving(&mut self, _: &Checkpoint) -> ControlFlow<()> {
        // The rows before a checkpoint must be in the ledger before a run can go on from it, and one of them is not.
        if self.failed.is_some() {
            return ControlFlow::Break(());
        }
        let written = self.ledger.flush();
        self.keep(written)
    }

    fn damaged(&mut self, checkpoint: &Checkpoint, reason: &str) {
        self.progress.note(&format!(
            "the checkpoint of step {} is damaged and was renamed ({reason}); training goes on from before it",
            checkpoint.step
        ));
    }
}

/// Reference log-probabilities in the ledger.
pub(super) struct References<'a> {
    ledger: &'a Ledger,
    iteration: u32,
    known: HashMap<String, ReferenceLogProbs>,
    pub(super) failed: Option<EvolveError>,
}

impl<'a> References<'a> {
    pub(super) fn new(ledger: &'a Ledger, iteration: u32) -> Result<Self, EvolveError> {
        let known = ledger.references(iteration)?.into_iter().collect();
        Ok(Self { ledger, iteration, known, failed: None })
    }
}

impl ReferenceStore for References<'_> {
    fn get(&mut self, key: &str) -> Option<ReferenceLogProbs> {
        self.known.get(key).cloned()
    }

    fn put(&mut self, key: &str, log_probs: &ReferenceLogProbs) -> ControlFlow<()> {
        match self.ledger.add_reference(self.iteration, key, log_probs) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn commit(&mut self) -> ControlFlow<()> {
        match self.ledger.flush() {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

/// The task of a phase that another program trains; `None` where it is trained here.
pub(super) fn elsewhere<'a>(
    session: &Session<'_>,
    settings: Option<TrainerSettings<'a>>,
) -> Result<Option<TrainerSettings<'a>>, EvolveError> {
    let Some(settings) = settings else { return Ok(None) };
    let place = session.engines.training_place(settings.trainer).map_err(|error| EvolveError::Recipe {
        path: Path::new("trainer").into(),
        reason: error.to_string(),
    })?;
    Ok((place == TrainingPlace::Elsewhere).then_some(settings))
}

/// Has another program train, with its steps in the ledger; the model, unless there was nothing to train on.
pub(super) fn train_elsewhere(
    session: &mut Session<'_>,
    (iteration, phase): (u32, Phase),
    task: &TrainingTask<'_>,
) -> Result<Option<Box<dyn WritableModel>>, EvolveError> {
    let mut observer = Observer::new(session.ledger, session.progress, &session.laps, iteration, phase);
    let stage = observer.stage();
    let trained = session.engines.train(task, &mut observer);
    let mut model = None;
    let report = trained
        .map(|trained| {
            model = trained.model;
            (trained.report, trained.versions)
        })
        .map_err(|error| match error {
            TrainElsewhereError::Training(error) => EvolveError::from(error),
            TrainElsewhereError::Program(source) => EvolveError::Elsewhere { iteration, stage, source },
        });
    let report = report.and_then(|(report, versions)| {
        let name = format!("trainer of iteration {iteration}, {}", phase.as_str());
        session.ledger.set_meta(&name, &versions)?;
        Ok(report)
    });
    Ok(match observer.outcome_of(report)? {
        Trained::Finished => model,
        Trained::Nothing => None,
    })
}

/// Writes a model that another program trained.
pub(super) fn export_elsewhere(
    model: &dyn WritableModel,
    to: &Path,
    format: WeightFormat,
    (iteration, stage): (u32, Stage),
) -> Result<(), EvolveError> {
    files::whole(to, |to| {
        model.export(to, format).map_err(|source| EvolveError::Elsewhere { iteration, stage, source })
    })
}

/// Writes the trained model as a file in which it is run. Its rows are committed by then ([`Observer::outcome`]): who finds the
/// model finds them.
pub(super) fn export(learner: &dyn Learner, to: &Path, format: WeightFormat) -> Result<(), EvolveError> {
    files::whole(to, |to| Ok(learner.export(to, format)?))
}

/// As [`export`], as a folder to train on from: the adapter alone and a note of its base where adapters are trained, otherwise
/// the model in 32-bit floats.
pub(super) fn export_trained(learner: &dyn Learner, to: &Path) -> Result<(), EvolveError> {
    files::whole(to, |to| Ok(learner.export_trained(to, WeightFormat::F32)?))
}
