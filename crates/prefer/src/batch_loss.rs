//! Encoded examples, and the loss of a batch of them from their log-probabilities.

use lancer_backend::{Learner, TrainingSequence};

use crate::{
    error::TrainingError,
    loss::{BatchTotals, PairLogProb, PreferenceLoss, ResponseLogProb, nll},
    record::{StepExample, Tally},
};

/// An encoded example: one sequence, or the chosen and the rejected one.
pub(crate) struct Item {
    pub(crate) key: String,
    pub(crate) sequences: Vec<TrainingSequence>,
    pub(crate) reference: Option<PairLogProb>,
    pub(crate) mismatched: Option<MismatchedItem>,
    /// Whether it is set aside: neither trained on nor evaluated.
    pub(crate) is_aside: bool,
    weight: f64,
}

/// The chosen response to another prompt after this pair's prompt, for KTO.
pub(crate) struct MismatchedItem {
    pub(crate) response_of: String,
    pub(crate) sequence: TrainingSequence,
    /// Its log-probability under the reference.
    pub(crate) reference: f64,
}

impl Item {
    pub(crate) fn new(key: &str, sequences: Vec<TrainingSequence>, weight: f64) -> Self {
        Self { key: key.into(), sequences, reference: None, mismatched: None, is_aside: false, weight }
    }

    /// Tokens of all sequences, prompts included.
    pub(crate) fn tokens(&self) -> usize {
        self.sequences.iter().map(|sequence| sequence.tokens.len()).sum()
    }

    fn targets(&self) -> usize {
        self.sequences.iter().map(lancer_backend::TrainingSequence::target_count).sum()
    }
}

/// What is minimised.
#[derive(Clone, Copy)]
pub(crate) enum Objective {
    Sft,
    Preference(PreferenceLoss),
}

/// What a whole batch must know before its parts are computed.
pub(crate) enum Totals {
    Sft { weighted_tokens: f64 },
    Preference { loss: PreferenceLoss, totals: BatchTotals },
}

/// The derivatives of a batch's loss by each token of each sequence.
pub(crate) enum Derivatives {
    Finite(Vec<f64>),
    /// A loss is infinite or no number.
    NotFinite,
}

/// Checks that a learner gave one log-probability for each target.
pub(crate) fn check_shape(
    key: &str,
    sequences: &[TrainingSequence],
    log_probs: &[Vec<f32>],
) -> Result<(), TrainingError> {
    let expected: usize = sequences.iter().map(lancer_backend::TrainingSequence::target_count).sum();
    let alike = sequences.len() == log_probs.len()
        && sequences.iter().zip(log_probs).all(|(sequence, given)| sequence.target_count() == given.len());
    if alike {
        return Ok(());
    }
    Err(TrainingError::Shape { key: key.into(), given: log_probs.iter().map(Vec::len).sum(), expected })
}

pub(crate) fn sequences(items: &[&Item]) -> Vec<TrainingSequence> {
    items.iter().flat_map(|item| item.sequences.iter().cloned()).collect()
}

/// The totals of a batch.
pub(crate) fn totals(
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
            let chosen_tokens = items.iter().map(|item| item.sequences[0].target_count()).sum();
            let totals = BatchTotals { pairs: items.len(), chosen_tokens, kl: divergence(learner, items)? };
            Ok(Totals::Preference { loss: *loss, totals })
        }
    }
}

/// KTO's estimate of the divergence: the mean over prompts and responses to other prompts, at least 0; 0 without any. Not
/// finite where one of them is not.
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
    let mean = sum / items.len() as f64;
    Ok(if mean.is_finite() { mean.max(0.0) } else { f64::NAN })
}

/// What each of `items` contributes to the loss, whose shapes [`losses`] has checked.
pub(crate) fn contributions(totals: &Totals, items: &[&Item], log_probs: &[Vec<f32>]) -> Vec<StepExample> {
    let mut left = log_probs;
    let mut examples = Vec::with_capacity(items.len());
    for item in items {
        let (of_item, rest) = left.split_at(item.sequences.len().min(left.len()));
        left = rest;
        let of = |place: usize| ResponseLogProb::from_tokens(&of_item[place]);
        let (loss, margin) = match totals {
            Totals::Sft { .. } => {
                let response = of(0);
                (-response.sum / response.tokens.max(1) as f64, None)
            }
            Totals::Preference { loss, totals } => {
                let policy = PairLogProb { chosen: of(0), rejected: of(1) };
                let reference = item.reference.unwrap_or(policy);
                let (chosen, rejected) = loss.rewards(policy, reference);
                // A pair's value is its part of the batch's mean.
                let own = loss.pair(policy, reference, totals).value * totals.pairs as f64;
                (own, Some(chosen - rejected))
            }
        };
        examples.push(StepExample { key: item.key.clone(), loss, margin });
    }
    examples
}

/// Adds the losses of `items` to the tally; the derivatives of the batch's loss by each token of each sequence.
pub(crate) fn losses(
    totals: &Totals,
    items: &[&Item],
    log_probs: &[Vec<f32>],
    tally: &mut Tally,
) -> Result<Derivatives, TrainingError> {
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
                // A loss may forget how far off a log-probability is.
                if policy.chosen.sum.is_finite() && policy.rejected.sum.is_finite() {
                    pair.value
                } else {
                    f64::NAN
                }
            }
        };
        if !value.is_finite() {
            return Ok(Derivatives::NotFinite);
        }
        tally.loss += value;
        tally.tokens += item.tokens() as u64;
        tally.target_tokens += item.targets() as u64;
    }
    Ok(Derivatives::Finite(derivatives))
}
