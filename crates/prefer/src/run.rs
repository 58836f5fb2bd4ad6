//! The steps of a run.

use std::ops::ControlFlow;

use lancer_backend::{Learner, LearnerError, Seed};

use crate::{
    batch_loss::{Derivatives, Item, Objective, contributions, losses, sequences, totals},
    batches::{run_batches, within_tokens},
    checkpoint::{Checkpoint, Checkpoints, Progress},
    error::TrainingError,
    observer::TrainingObserver,
    record::{EvaluationRecord, Outcome, StepExample, StepRecord, Tally, TrainingPlan, TrainingReport},
    set_aside::SetAside,
    settings::TrainSettings,
};

/// The record of a step and the examples that it was made with.
type MadeStep = (StepRecord, Vec<StepExample>);

pub(crate) struct Run<'a> {
    pub(crate) learner: &'a mut dyn Learner,
    pub(crate) train: Vec<Item>,
    pub(crate) held_out: Vec<Item>,
    pub(crate) objective: Objective,
    pub(crate) settings: &'a TrainSettings,
    pub(crate) seed: Seed,
    /// The folder for checkpoints, where there is one.
    pub(crate) checkpoints: Option<Checkpoints>,
    /// The checkpoint to go on from.
    pub(crate) resume: Option<(Checkpoint, Progress)>,
    /// All that is set aside, in the order in which it was.
    pub(crate) set_aside: Vec<SetAside>,
    /// Whether the weights are no longer those that the training began with.
    pub(crate) has_stepped: bool,
}

/// What came of a try to make a step.
enum Tried {
    Made(StepRecord, Vec<StepExample>),
    /// The loss or the gradient is not finite. Nothing has changed.
    NotFinite,
}

impl Run<'_> {
    /// Makes the steps that are left.
    pub(crate) fn execute(
        mut self,
        mut plan: TrainingPlan,
        observer: &mut dyn TrainingObserver,
    ) -> Result<TrainingReport, TrainingError> {
        let lengths: Vec<usize> = self.train.iter().map(Item::tokens).collect();
        let batches = run_batches(&lengths, self.settings, self.seed);
        let all = batches.len() as u64;
        let mut evaluation_is_due = self.evaluation_is_due(0, all);
        plan.steps = all;
        if let Some((checkpoint, progress)) = self.resume.take() {
            if checkpoint.step > all {
                return Err(TrainingError::Resume { step: checkpoint.step, steps: all });
            }
            Checkpoints::load(&checkpoint, self.learner)?;
            plan.done = checkpoint.step;
            evaluation_is_due = progress.evaluation_is_due;
        }
        let mut made = plan.done;
        let mut saved = made;
        self.has_stepped = made > 0;
        let mut flow = observer.planned(&plan);
        let mut report = TrainingReport {
            steps: Vec::new(),
            evaluations: Vec::new(),
            set_aside: Vec::new(),
            outcome: Outcome::Finished,
            plan,
        };
        if evaluation_is_due && flow.is_continue() {
            flow = self.evaluate(made, &mut report, observer)?;
            evaluation_is_due = false;
        }
        for batch in &batches[made as usize..] {
            if flow.is_break() {
                break;
            }
            let step = made + 1;
            let factor = self.settings.schedule.factor(made, all);
            let (record, after) = self.step(batch, &lengths, step, factor, observer)?;
            made = step;
            flow = after;
            if let Some((record, examples)) = record {
                self.has_stepped = true;
                flow = both(flow, observer.seen(step, &examples));
                flow = both(flow, observer.stepped(&record));
                report.steps.push(record);
            }
            evaluation_is_due = self.evaluation_is_due(made, all);
            if evaluation_is_due && flow.is_continue() {
                flow = self.evaluate(made, &mut report, observer)?;
                evaluation_is_due = false;
            }
            if self.settings.checkpoint_every.is_some_and(|every| made.is_multiple_of(every)) {
                if self.save(made, evaluation_is_due, observer)? {
                    saved = made;
                } else {
                    flow = ControlFlow::Break(());
                }
            }
        }
        if flow.is_break() && evaluation_is_due && made == all && self.checkpoints.is_none() {
            // There is no later: without a checkpoint all would be lost for one evaluation.
            let _ = self.evaluate(made, &mut report, observer)?;
            evaluation_is_due = false;
        }
        report.set_aside.clone_from(&self.set_aside);
        if flow.is_break() && (made < all || evaluation_is_due) {
            if saved != made {
                self.save(made, evaluation_is_due, observer)?;
            }
            report.outcome = Outcome::Interrupted { step: made };
            return Ok(report);
        }
        if !self.has_stepped
            && let Some(first) = self.set_aside.first()
        {
            let (key, reason) = (first.key.clone(), first.reason);
            return Err(TrainingError::AllSetAside { count: self.set_aside.len(), key, reason });
        }
        self.check_weights(made)?;
        Ok(report)
    }

    /// Saves a checkpoint, where there is a folder for them. Gives `false` where the observer could not store what was reported.
    fn save(
        &self,
        step: u64,
        evaluation_is_due: bool,
        observer: &mut dyn TrainingObserver,
    ) -> Result<bool, TrainingError> {
        let Some(checkpoints) = &self.checkpoints else { return Ok(true) };
        let progress = Progress { step, evaluation_is_due, set_aside: self.set_aside.clone() };
        checkpoints.save(self.learner, &progress, self.settings.keep_checkpoints, observer)
    }

    /// Makes a step. Examples with which it cannot be made are set aside, and it is made without them; there is no record
    /// where none is left.
    fn step(
        &mut self,
        batch: &[usize],
        lengths: &[usize],
        step: u64,
        factor: f64,
        observer: &mut dyn TrainingObserver,
    ) -> Result<(Option<MadeStep>, ControlFlow<()>), TrainingError> {
        let mut flow = ControlFlow::Continue(());
        loop {
            let places: Vec<usize> =
                batch.iter().copied().filter(|&place| !self.train[place].is_aside).collect();
            if places.is_empty() {
                return Ok((None, flow));
            }
            match self.try_step(&places, lengths, step, factor, observer)? {
                Tried::Made(record, examples) => return Ok((Some((record, examples)), flow)),
                Tried::NotFinite => {
                    for set_aside in self.set_culprits_aside(&places, step)? {
                        flow = both(flow, observer.set_aside(&set_aside));
                    }
                }
            }
        }
    }

    fn try_step(
        &mut self,
        batch: &[usize],
        lengths: &[usize],
        step: u64,
        factor: f64,
        observer: &mut dyn TrainingObserver,
    ) -> Result<Tried, TrainingError> {
        let items: Vec<&Item> = batch.iter().map(|&place| &self.train[place]).collect();
        let totals = totals(self.learner, &self.objective, &items)?;
        let all: usize = batch.iter().map(|&place| lengths[place]).sum();
        let mut tally = Tally::default();
        let mut examples = Vec::with_capacity(batch.len());
        for part in within_tokens(lengths, batch, self.settings.tokens_per_forward) {
            let items: Vec<&Item> = part.iter().map(|&place| &self.train[place]).collect();
            let sequences = sequences(&items);
            let log_probs =
                self.learner.forward(&sequences).map_err(TrainingError::learner("a forward pass"))?;
            let Derivatives::Finite(derivatives) = losses(&totals, &items, &log_probs, &mut tally)? else {
                self.learner.clear_gradient();
                return Ok(Tried::NotFinite);
            };
            examples.extend(contributions(&totals, &items, &log_probs));
            let weights: Vec<Vec<f32>> = sequences
                .iter()
                .zip(derivatives)
                .map(|(sequence, derivative)| vec![derivative as f32; sequence.target_count()])
                .collect();
            self.learner.backward(&weights).map_err(TrainingError::learner("a backward pass"))?;
            observer.advanced(step, tally.tokens, all as u64);
        }
        let settings = self.settings.optimizer.at(factor);
        let stepped = match self.learner.step(&settings) {
            Ok(stepped) => stepped,
            Err(LearnerError::NotFinite { .. }) => {
                self.learner.clear_gradient();
                return Ok(Tried::NotFinite);
            }
            Err(error) => return Err(TrainingError::learner(format!("making step {step}"))(error)),
        };
        let record = StepRecord {
            step,
            loss: tally.loss,
            learning_rate: settings.learning_rate,
            gradient_norm: stepped.gradient_norm,
            examples: batch.len(),
            tokens: tally.tokens,
            target_tokens: tally.target_tokens,
            preference: tally.preference(),
        };
        Ok(Tried::Made(record, examples))
    }

    /// Whether an evaluation belongs after so many steps.
    fn evaluation_is_due(&self, made: u64, all: u64) -> bool {
        let is_due = |every| made == all || made.is_multiple_of(every);
        !self.held_out.is_empty() && self.settings.evaluate_every.is_some_and(is_due)
    }

    /// Evaluates the held-out examples. Those whose loss is not finite are set aside; there is no record where that is all of
    /// them.
    fn evaluate(
        &mut self,
        made: u64,
        report: &mut TrainingReport,
        observer: &mut dyn TrainingObserver,
    ) -> Result<ControlFlow<()>, TrainingError> {
        let mut flow = ControlFlow::Continue(());
        loop {
            if let Some(record) = self.try_evaluation(made)? {
                flow = both(flow, observer.evaluated(&record));
                report.evaluations.push(record);
                return Ok(flow);
            }
            let found = self.set_held_out_aside(made)?;
            if found.is_empty() {
                return Ok(flow);
            }
            for set_aside in found {
                flow = both(flow, observer.set_aside(&set_aside));
            }
        }
    }

    /// `None` where a loss is not finite, or there is nothing to evaluate.
    fn try_evaluation(&mut self, made: u64) -> Result<Option<EvaluationRecord>, TrainingError> {
        let items: Vec<&Item> = self.held_out.iter().filter(|item| !item.is_aside).collect();
        if items.is_empty() {
            return Ok(None);
        }
        let totals = totals(self.learner, &self.objective, &items)?;
        let lengths: Vec<usize> = items.iter().map(|item| item.tokens()).collect();
        let order: Vec<usize> = (0..items.len()).collect();
        let mut tally = Tally::default();
        for part in within_tokens(&lengths, &order, self.settings.tokens_per_forward) {
            let items: Vec<&Item> = part.iter().map(|&place| items[place]).collect();
            let log_probs =
                self.learner.log_probs(&sequences(&items)).map_err(TrainingError::learner("evaluating"))?;
            if matches!(losses(&totals, &items, &log_probs, &mut tally)?, Derivatives::NotFinite) {
                return Ok(None);
            }
        }
        Ok(Some(EvaluationRecord {
            step: made,
            loss: tally.loss,
            examples: items.len(),
            target_tokens: tally.target_tokens,
            preference: tally.preference(),
        }))
    }
}

fn both(one: ControlFlow<()>, two: ControlFlow<()>) -> ControlFlow<()> {
    if one.is_break() { one } else { two }
}
