//! The steps of a run.

use std::ops::ControlFlow;

use lancer_backend::{Learner, Seed, TrainingSequence};

use crate::{
    batches::{run_batches, within_tokens},
    checkpoint::{Checkpoint, CheckpointPolicy},
    error::TrainingError,
    loss::{BatchTotals, PairLogProb, PreferenceLoss, ResponseLogProb, nll},
    observer::TrainingObserver,
    record::{EvaluationRecord, Outcome, StepRecord, Tally, TrainingPlan, TrainingReport},
    settings::TrainSettings,
};

/// An encoded example: one sequence, or the chosen and the rejected one.
pub(crate) struct Item {
    pub(crate) key: String,
    pub(crate) sequences: Vec<TrainingSequence>,
    pub(crate) reference: Option<PairLogProb>,
    pub(crate) mismatched: Option<MismatchedItem>,
    weight: f64,
}

/// Another pair's chosen response after this pair's prompt, for KTO.
pub(crate) struct MismatchedItem {
    pub(crate) response_of: String,
    pub(crate) sequence: TrainingSequence,
    /// Its log-probability under the reference.
    pub(crate) reference: f64,
}

impl Item {
    pub(crate) fn new(key: &str, sequences: Vec<TrainingSequence>, weight: f64) -> Self {
        Self { key: key.into(), sequences, reference: None, mismatched: None, weight }
    }

    /// Tokens of all sequences, prompts included.
    pub(crate) fn tokens(&self) -> usize {
        self.sequences.iter().map(|sequence| sequence.tokens.len()).sum()
    }

    fn targets(&self) -> usize {
        self.sequences.iter().map(|sequence| sequence.targets().len()).sum()
    }
}

/// What is minimised.
pub(crate) enum Objective {
    Sft,
    Preference(PreferenceLoss),
}

/// What a whole batch must know before its parts are computed.
enum Totals {
    Sft { weighted_tokens: f64 },
    Preference { loss: PreferenceLoss, totals: BatchTotals },
}

pub(crate) struct Run<'a> {
    pub(crate) learner: &'a mut dyn Learner,
    pub(crate) train: Vec<Item>,
    pub(crate) held_out: Vec<Item>,
    pub(crate) objective: Objective,
    pub(crate) settings: &'a TrainSettings,
    pub(crate) checkpoints: CheckpointPolicy<'a>,
    pub(crate) seed: Seed,
}

/// Whether the policy has a checkpoint to go on from.
pub(crate) fn resumes(checkpoints: CheckpointPolicy<'_>) -> Result<bool, TrainingError> {
    match checkpoints {
        CheckpointPolicy::None => Ok(false),
        CheckpointPolicy::Within(folder) => Ok(Checkpoint::latest(folder)?.is_some()),
    }
}

/// Checks that a learner gave one log-probability for each target.
pub(crate) fn check_shape(
    key: &str,
    sequences: &[TrainingSequence],
    log_probs: &[Vec<f32>],
) -> Result<(), TrainingError> {
    let expected: usize = sequences.iter().map(|sequence| sequence.targets().len()).sum();
    let alike = sequences.len() == log_probs.len()
        && sequences.iter().zip(log_probs).all(|(sequence, given)| sequence.targets().len() == given.len());
    if alike {
        return Ok(());
    }
    Err(TrainingError::Shape { key: key.into(), given: log_probs.iter().map(Vec::len).sum(), expected })
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
        plan.steps = batches.len() as u64;
        plan.done = self.resume(plan.steps)?;
        let mut report =
            TrainingReport { steps: Vec::new(), evaluations: Vec::new(), outcome: Outcome::Finished, plan };
        let mut made = report.plan.done;
        let mut saved = made;
        let mut flow = observer.planned(&report.plan);
        if made == 0 && flow.is_continue() {
            flow = self.evaluate_if_due(made, false, &mut report, observer)?;
        }
        for batch in &batches[made as usize..] {
            if flow.is_break() {
                break;
            }
            let factor = self.settings.schedule.factor(made, batches.len() as u64);
            let record = self.step(batch, &lengths, made + 1, factor, observer)?;
            made += 1;
            flow = observer.stepped(&record);
            report.steps.push(record);
            if flow.is_continue() {
                flow = self.evaluate_if_due(made, made == batches.len() as u64, &mut report, observer)?;
            }
            if self.settings.checkpoint_every.is_some_and(|every| made.is_multiple_of(every)) {
                flow = both(flow, self.save(made, observer)?);
                saved = made;
            }
        }
        if flow.is_break() && made < batches.len() as u64 {
            if made > saved {
                let _ = self.save(made, observer)?;
            }
            report.outcome = Outcome::Interrupted { step: made };
        }
        Ok(report)
    }

    /// Goes back to the last checkpoint; the number of steps made until then.
    fn resume(&mut self, steps: u64) -> Result<u64, TrainingError> {
        let CheckpointPolicy::Within(folder) = self.checkpoints else { return Ok(0) };
        let Some(last) = Checkpoint::latest(folder)? else { return Ok(0) };
        if last.step > steps {
            return Err(TrainingError::Resume { step: last.step, steps });
        }
        self.learner
            .load_checkpoint(&last.folder)
            .map_err(TrainingError::learner(format!("going back to step {}", last.step)))?;
        Ok(last.step)
    }

    fn save(&self, step: u64, observer: &mut dyn TrainingObserver) -> Result<ControlFlow<()>, TrainingError> {
        let CheckpointPolicy::Within(folder) = self.checkpoints else { return Ok(ControlFlow::Continue(())) };
        std::fs::create_dir_all(folder).map_err(|source| TrainingError::CheckpointFolder {
            action: "make the folder",
            path: folder.into(),
            source,
        })?;
        let checkpoint = Checkpoint::within(folder, step);
        self.learner
            .save_checkpoint(&checkpoint.folder)
            .map_err(TrainingError::learner(format!("saving the checkpoint of step {step}")))?;
        let flow = observer.saved(&checkpoint);
        Checkpoint::remove_old(folder, self.settings.keep_checkpoints)?;
        Ok(flow)
    }

    fn step(
        &mut self,
        batch: &[usize],
        lengths: &[usize],
        step: u64,
        factor: f64,
        observer: &mut dyn TrainingObserver,
    ) -> Result<StepRecord, TrainingError> {
        let items: Vec<&Item> = batch.iter().map(|&place| &self.train[place]).collect();
        let totals = totals(self.learner, &self.objective, &items)?;
        let all: usize = batch.iter().map(|&place| lengths[place]).sum();
        let mut tally = Tally::default();
        for part in within_tokens(lengths, batch, self.settings.tokens_per_forward) {
            let items: Vec<&Item> = part.iter().map(|&place| &self.train[place]).collect();
            let sequences = sequences(&items);
            let log_probs =
                self.learner.forward(&sequences).map_err(TrainingError::learner("a forward pass"))?;
            let derivatives = losses(&totals, &items, &log_probs, step, &mut tally)?;
            let weights: Vec<Vec<f32>> = sequences
                .iter()
                .zip(derivatives)
                .map(|(sequence, derivative)| vec![derivative as f32; sequence.targets().len()])
                .collect();
            self.learner.backward(&weights).map_err(TrainingError::learner("a backward pass"))?;
            observer.advanced(step, tally.tokens, all as u64);
        }
        let settings = self.settings.optimizer.at(factor);
        let stepped =
            self.learner.step(&settings).map_err(TrainingError::learner(format!("making step {step}")))?;
        Ok(StepRecord {
            step,
            loss: tally.loss,
            learning_rate: settings.learning_rate,
            gradient_norm: stepped.gradient_norm,
            examples: batch.len(),
            tokens: tally.tokens,
            target_tokens: tally.target_tokens,
            preference: tally.preference(),
        })
    }

    fn evaluate_if_due(
        &mut self,
        made: u64,
        last: bool,
        report: &mut TrainingReport,
        observer: &mut dyn TrainingObserver,
    ) -> Result<ControlFlow<()>, TrainingError> {
        let due = self.settings.evaluate_every.is_some_and(|every| last || made.is_multiple_of(every));
        if !due || self.held_out.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let items: Vec<&Item> = self.held_out.iter().collect();
        let totals = totals(self.learner, &self.objective, &items)?;
        let lengths: Vec<usize> = items.iter().map(|item| item.tokens()).collect();
        let order: Vec<usize> = (0..items.len()).collect();
        let mut tally = Tally::default();
        for part in within_tokens(&lengths, &order, self.settings.tokens_per_forward) {
            let items: Vec<&Item> = part.iter().map(|&place| items[place]).collect();
            let log_probs =
                self.learner.log_probs(&sequences(&items)).map_err(TrainingError::learner("evaluating"))?;
            losses(&totals, &items, &log_probs, made, &mut tally)?;
        }
        let record = EvaluationRecord {
            step: made,
            loss: tally.loss,
            examples: items.len(),
            target_tokens: tally.target_tokens,
            preference: tally.preference(),
        };
        let flow = observer.evaluated(&record);
        report.evaluations.push(record);
        Ok(flow)
    }
}

fn both(one: ControlFlow<()>, two: ControlFlow<()>) -> ControlFlow<()> {
    if one.is_break() { one } else { two }
}

fn sequences(items: &[&Item]) -> Vec<TrainingSequence> {
    items.iter().flat_map(|item| item.sequences.iter().cloned()).collect()
}

fn totals(
    learner: &mut dyn Learner,
    objective: &Objective,
    items: &[&Item],
) -> Result<Totals, TrainingError> {
    match objective {
        Objective::Sft => {
            let weighted_tokens = items.iter().map(|item| item.weight * item.targets() as f64).sum();
            Ok(Totals::Sft { weighted_tokens })
        }
        Objective::Preference(loss) => {
            let chosen_tokens = items.iter().map(|item| item.sequences[0].targets().len()).sum();
            let totals = BatchTotals { pairs: items.len(), chosen_tokens, kl: divergence(learner, items)? };
            Ok(Totals::Preference { loss: *loss, totals })
        }
    }
}

/// KTO's estimate of the divergence: the mean over mismatched prompts and responses, at least 0; 0 without any.
fn divergence(learner: &mut dyn Learner, items: &[&Item]) -> Result<f64, TrainingError> {
    let mut sum = 0.0;
    for item in items {
        let Some(mismatched) = &item.mismatched else { return Ok(0.0) };
        let sequence = std::slice::from_ref(&mismatched.sequence);
        let log_probs =
            learner.log_probs(sequence).map_err(TrainingError::learner("estimating the divergence"))?;
        check_shape(&item.key, sequence, &log_probs)?;
        sum += ResponseLogProb::from_tokens(&log_probs[0]).sum - mismatched.reference;
    }
    Ok((sum / items.len() as f64).max(0.0))
}

/// Adds the losses of `items` to the tally; the derivative of the batch's loss by each token of each sequence.
fn losses(
    totals: &Totals,
    items: &[&Item],
    log_probs: &[Vec<f32>],
    step: u64,
    tally: &mut Tally,
) -> Result<Vec<f64>, TrainingError> {
    let mut left = log_probs;
    let mut derivatives = Vec::with_capacity(log_probs.len());
    for item in items {
        let (of_item, rest) = left.split_at(item.sequences.len().min(left.len()));
        left = rest;
        check_shape(&item.key, &item.sequences, of_item)?;
        let of = |place: usize| ResponseLogProb::from_tokens(&of_item[place]);
        let value = match totals {
            Totals::Sft { weighted_tokens } => {
                let loss = nll(of(0), item.weight, *weighted_tokens);
                derivatives.push(loss.derivative);
                loss.value
            }
            Totals::Preference { loss, totals } => {
                let policy = PairLogProb { chosen: of(0), rejected: of(1) };
                let reference = item.reference.unwrap_or(policy);
                let pair = loss.pair(policy, reference, totals);
                derivatives.extend([pair.chosen, pair.rejected]);
                tally.add_pair(loss, policy, reference);
                pair.value
            }
        };
        if !value.is_finite() {
            return Err(TrainingError::LossNotFinite { step, key: item.key.clone(), loss: value });
        }
        tally.loss += value;
        tally.tokens += item.tokens() as u64;
        tally.target_tokens += item.targets() as u64;
    }
    Ok(derivatives)
}
