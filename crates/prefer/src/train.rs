//! Supervised fine-tuning and preference training: examples are encoded, then [`run`](crate::run) makes the steps.

use lancer_backend::{Learner, Seed, TrainingSequence};

use crate::{
    checkpoint::CheckpointPolicy,
    encoded::Encoder,
    error::TrainingError,
    example::{PreferenceExample, SftExample, Split},
    loss::{PairLogProb, PreferenceLoss, ResponseLogProb},
    observer::TrainingObserver,
    record::{Outcome, SkipReason, TrainingPlan, TrainingReport},
    reference::{Mismatched, ReferenceLogProbs, ReferenceStore},
    run::{Item, MismatchedItem, Objective, Run},
    settings::TrainSettings,
};

/// Fine-tunes on responses with the negative log-likelihood of their tokens, weighted by example.
///
/// # Errors
/// Settings out of range, examples that cannot be encoded or that leave nothing to train on, a loss or gradient that is
/// not finite, a checkpoint of another run, and whatever the learner fails with.
pub fn train_sft(
    learner: &mut dyn Learner,
    examples: Split<'_, SftExample>,
    settings: &TrainSettings,
    checkpoints: CheckpointPolicy<'_>,
    seed: Seed,
    observer: &mut dyn TrainingObserver,
) -> Result<TrainingReport, TrainingError> {
    settings.validate()?;
    let mut encoder = Encoder::new(learner, settings);
    let mut encode = |examples: &[SftExample]| -> Result<Vec<Item>, TrainingError> {
        let mut items = Vec::new();
        for example in examples {
            encoder.begin(&example.key)?;
            if !(example.weight >= 0.0 && example.weight.is_finite()) {
                return Err(TrainingError::InvalidWeight {
                    key: example.key.clone(),
                    weight: example.weight,
                });
            }
            if example.weight == 0.0 {
                encoder.skip(&example.key, SkipReason::NoWeight);
            } else if let Some(sequences) =
                encoder.encode(&example.key, &example.prompt, [example.response.as_str()])?
            {
                items.push(Item::new(&example.key, sequences.to_vec(), example.weight));
            }
        }
        Ok(items)
    };
    let (train, held_out) = (encode(examples.train)?, encode(examples.held_out)?);
    let plan = plan(encoder, &train, &held_out);
    if train.is_empty() {
        return Err(nothing_left(examples.train.len(), &plan));
    }
    Run { learner, train, held_out, objective: Objective::Sft, settings, checkpoints, seed }
        .execute(plan, observer)
}

/// Trains on pairs with a preference loss. The learner as it is given is the reference.
///
/// The reference's log-probabilities are taken from `references` where it has them and put there where it has not,
/// before the first step; when a run is resumed they must all be there, since the learner is no longer the reference.
///
/// # Errors
/// As [`train_sft`], and [`TrainingError::NoReference`] where a resumed run lacks a reference.
#[expect(clippy::too_many_arguments, reason = "each is a different thing that only the caller has")]
pub fn train_preference(
    learner: &mut dyn Learner,
    examples: Split<'_, PreferenceExample>,
    loss: &PreferenceLoss,
    settings: &TrainSettings,
    checkpoints: CheckpointPolicy<'_>,
    seed: Seed,
    references: &mut dyn ReferenceStore,
    observer: &mut dyn TrainingObserver,
) -> Result<TrainingReport, TrainingError> {
    settings.validate()?;
    loss.validate()?;
    let mut encoder = Encoder::new(learner, settings);
    let needs_mismatched = matches!(loss, PreferenceLoss::Kto(_));
    let mut train = encode_pairs(&mut encoder, examples.train, needs_mismatched)?;
    let mut held_out = encode_pairs(&mut encoder, examples.held_out, needs_mismatched)?;
    let plan = plan(encoder, &train, &held_out);
    if train.is_empty() {
        return Err(nothing_left(examples.train.len(), &plan));
    }
    if loss.uses_reference() {
        let total = train.len() + held_out.len();
        for (done, item) in train.iter_mut().chain(&mut held_out).enumerate() {
            let stored = references.get(&item.key).filter(|stored| fits(stored, item));
            let given = match stored {
                Some(stored) => stored,
                None if crate::run::resumes(checkpoints)? => {
                    return Err(TrainingError::NoReference { key: item.key.clone() });
                }
                None => {
                    let computed = compute(learner, item)?;
                    if references.put(&item.key, &computed).is_break() {
                        return Ok(interrupted(plan));
                    }
                    computed
                }
            };
            item.reference = Some(given.pair);
            if let (Some(item), Some(given)) = (&mut item.mismatched, given.mismatched) {
                item.reference = given.log_prob.sum;
            }
            if observer.referenced(done + 1, total).is_break() {
                return Ok(interrupted(plan));
            }
        }
    }
    let objective = Objective::Preference(*loss);
    Run { learner, train, held_out, objective, settings, checkpoints, seed }.execute(plan, observer)
}

fn encode_pairs(
    encoder: &mut Encoder<'_>,
    examples: &[PreferenceExample],
    needs_mismatched: bool,
) -> Result<Vec<Item>, TrainingError> {
    let mut items = Vec::new();
    for (place, example) in examples.iter().enumerate() {
        encoder.begin(&example.key)?;
        let sides = [example.chosen.as_str(), example.rejected.as_str()];
        let Some(sequences) = encoder.encode(&example.key, &example.prompt, sides)? else { continue };
        if sequences[0] == sequences[1] {
            encoder.skip(&example.key, SkipReason::SameSides);
            continue;
        }
        let mut item = Item::new(&example.key, sequences.to_vec(), 1.0);
        if needs_mismatched {
            let other = &examples[(place + 1) % examples.len()];
            let sequence = encoder.mismatched(&example.key, &example.prompt, &other.chosen)?;
            item.mismatched =
                Some(MismatchedItem { response_of: other.key.clone(), sequence, reference: 0.0 });
        }
        items.push(item);
    }
    Ok(items)
}

/// Whether what is stored was computed from this item's tokens, as far as their numbers tell.
fn fits(stored: &ReferenceLogProbs, item: &Item) -> bool {
    let targets = |sequence: &TrainingSequence| sequence.targets().len();
    let mismatched = match (&stored.mismatched, &item.mismatched) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(stored), Some(item)) => {
            stored.response_of == item.response_of && stored.log_prob.tokens == targets(&item.sequence)
        }
    };
    mismatched
        && stored.pair.chosen.tokens == targets(&item.sequences[0])
        && stored.pair.rejected.tokens == targets(&item.sequences[1])
}

fn compute(learner: &mut dyn Learner, item: &Item) -> Result<ReferenceLogProbs, TrainingError> {
    let mut sequences = item.sequences.clone();
    sequences.extend(item.mismatched.iter().map(|mismatched| mismatched.sequence.clone()));
    let log_probs = learner
        .log_probs(&sequences)
        .map_err(TrainingError::learner("computing reference log-probabilities"))?;
    crate::run::check_shape(&item.key, &sequences, &log_probs)?;
    let of = |place: usize| ResponseLogProb::from_tokens(&log_probs[place]);
    let mismatched = item
        .mismatched
        .as_ref()
        .map(|mismatched| Mismatched { response_of: mismatched.response_of.clone(), log_prob: of(2) });
    Ok(ReferenceLogProbs { pair: PairLogProb { chosen: of(0), rejected: of(1) }, mismatched })
}

fn plan(encoder: Encoder<'_>, train: &[Item], held_out: &[Item]) -> TrainingPlan {
    TrainingPlan {
        steps: 0,
        done: 0,
        examples: train.len(),
        held_out: held_out.len(),
        tokens: train.iter().map(|item| item.tokens() as u64).sum(),
        skipped: encoder.skipped,
        truncated: encoder.truncated,
    }
}

fn nothing_left(given: usize, plan: &TrainingPlan) -> TrainingError {
    let first_reason =
        plan.skipped.first().map_or_else(|| "none were given".into(), |first| first.reason.to_string());
    TrainingError::NoExamples { given, skipped: plan.skipped.len(), first_reason }
}

fn interrupted(plan: TrainingPlan) -> TrainingReport {
    TrainingReport {
        plan,
        steps: Vec::new(),
        evaluations: Vec::new(),
        outcome: Outcome::Interrupted { step: 0 },
    }
}
