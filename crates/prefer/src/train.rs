//! Supervised fine-tuning and preference training: examples are encoded, then the steps of `run.rs` are made.

use std::{collections::HashSet, ops::ControlFlow};

use lancer_backend::{Learner, Message, Seed, TrainedTurns, TrainingSequence};

use crate::{
    batch_loss::{Item, MismatchedItem, Objective, check_shape},
    checkpoint::{Checkpoint, CheckpointPolicy, Checkpoints, Progress},
    description::TrainingDescription,
    encoded::Encoder,
    error::TrainingError,
    example::{PreferenceExample, SftExample, Split},
    loss::{PairLogProb, PreferenceLoss, ResponseLogProb},
    observer::TrainingObserver,
    record::{Outcome, SkipReason, TrainingPlan, TrainingReport},
    reference::{Mismatched, ReferenceLogProbs, ReferenceStore},
    run::Run,
    set_aside::{SetAside, SetAsideReason},
    settings::TrainSettings,
};

/// Fine-tunes on responses with the negative log-likelihood of their tokens, weighted by example.
///
/// # Errors
/// Settings out of range, examples that cannot be encoded or that leave nothing to train on, a training that diverges,
/// checkpoints of another training, and whatever the learner fails with.
pub fn train_sft(
    learner: &mut dyn Learner,
    examples: Split<'_, SftExample>,
    settings: &TrainSettings,
    checkpoints: CheckpointPolicy<'_>,
    seed: Seed,
    observer: &mut dyn TrainingObserver,
) -> Result<TrainingReport, TrainingError> {
    settings.validate()?;
    let model: &dyn Learner = learner;
    let mut encoder = Encoder::new(&model, settings);
    let mut train = encode_examples(&mut encoder, examples.train)?;
    let mut held_out = encode_examples(&mut encoder, examples.held_out)?;
    let plan = plan(encoder, &train, &held_out, examples.train.len())?;
    let Opened { checkpoints, resume, set_aside } = open(
        checkpoints,
        |base| TrainingDescription::of_sft(base, examples, settings, seed),
        [&mut train, &mut held_out],
        observer,
    )?;
    let objective = Objective::Sft;
    let has_stepped = false;
    Run { learner, train, held_out, objective, settings, seed, checkpoints, resume, set_aside, has_stepped }
        .execute(plan, observer)
}

/// Trains on pairs with a preference loss. The learner as it is given is the reference.
///
/// The reference's log-probabilities are taken from `references` where it has them and put there where it has not,
/// before the first step; when a run is resumed they must all be there, since the learner is no longer the reference.
/// [`ReferenceFile`](crate::ReferenceFile) keeps them beside the checkpoints.
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
    let model: &dyn Learner = learner;
    let mut encoder = Encoder::new(&model, settings);
    let needs_mismatched = matches!(loss, PreferenceLoss::Kto(_));
    let mut train = encode_pairs(&mut encoder, examples.train, needs_mismatched)?;
    let mut held_out = encode_pairs(&mut encoder, examples.held_out, needs_mismatched)?;
    let mut plan = plan(encoder, &train, &held_out, examples.train.len())?;
    if needs_mismatched {
        plan.notes.extend(without_other_prompts("trained on", &train));
        plan.notes.extend(without_other_prompts("held out", &held_out));
    }
    let mut opened = open(
        checkpoints,
        |base| TrainingDescription::of_preference(base, examples, loss, settings, seed),
        [&mut train, &mut held_out],
        observer,
    )?;
    if loss.uses_reference()
        && refer(learner, [&mut train, &mut held_out], references, &mut opened, observer)?.is_break()
    {
        return Ok(TrainingReport {
            plan,
            steps: Vec::new(),
            evaluations: Vec::new(),
            set_aside: opened.set_aside,
            outcome: Outcome::Interrupted {
                step: opened.resume.map_or(0, |(checkpoint, _)| checkpoint.step),
            },
        });
    }
    let Opened { checkpoints, resume, set_aside } = opened;
    let objective = Objective::Preference(*loss);
    let has_stepped = false;
    Run { learner, train, held_out, objective, settings, seed, checkpoints, resume, set_aside, has_stepped }
        .execute(plan, observer)
}

/// The folder for checkpoints, and what a run goes on from.
struct Opened {
    checkpoints: Option<Checkpoints>,
    resume: Option<(Checkpoint, Progress)>,
    set_aside: Vec<SetAside>,
}

/// Opens the folder for checkpoints, where there is to be one, and marks what is set aside.
fn open(
    policy: CheckpointPolicy<'_>,
    describe: impl FnOnce(&crate::Base) -> TrainingDescription,
    items: [&mut Vec<Item>; 2],
    observer: &mut dyn TrainingObserver,
) -> Result<Opened, TrainingError> {
    let CheckpointPolicy::Within { folder, base } = policy else {
        return Ok(Opened { checkpoints: None, resume: None, set_aside: Vec::new() });
    };
    let checkpoints = Checkpoints::open(folder, &describe(base))?;
    let resume = checkpoints.latest(observer)?;
    let set_aside = resume.as_ref().map(|(_, progress)| progress.set_aside.clone()).unwrap_or_default();
    let keys: HashSet<&str> = set_aside.iter().map(|one| one.key.as_str()).collect();
    for item in items.into_iter().flatten() {
        item.is_aside = keys.contains(item.key.as_str());
    }
    Ok(Opened { checkpoints: Some(checkpoints), resume, set_aside })
}

/// Gives each pair its log-probabilities under the reference. A pair that has none that are finite is set aside.
fn refer(
    learner: &mut dyn Learner,
    [train, held_out]: [&mut Vec<Item>; 2],
    references: &mut dyn ReferenceStore,
    opened: &mut Opened,
    observer: &mut dyn TrainingObserver,
) -> Result<ControlFlow<()>, TrainingError> {
    let total = train.len() + held_out.len();
    for (done, item) in train.iter_mut().chain(held_out).enumerate() {
        if !item.is_aside {
            let stored = references.get(&item.key).filter(|stored| fits(stored, item));
            let (given, is_new) = match stored {
                Some(stored) => (stored, false),
                None if opened.resume.is_some() => {
                    return Err(TrainingError::NoReference { key: item.key.clone() });
                }
                None => (compute(learner, item)?, true),
            };
            if is_finite(&given) {
                if is_new && references.put(&item.key, &given).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                item.reference = Some(given.pair);
                if let (Some(item), Some(given)) = (&mut item.mismatched, given.mismatched) {
                    item.reference = given.log_prob.sum;
                }
            } else {
                item.is_aside = true;
                let one = SetAside { key: item.key.clone(), step: 0, reason: SetAsideReason::Reference };
                opened.set_aside.push(one.clone());
                if observer.set_aside(&one).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        if observer.referenced(done + 1, total).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(references.commit())
}

/// The examples as tokens, without the ones that are skipped.
pub(crate) fn encode_examples(
    encoder: &mut Encoder<'_>,
    examples: &[SftExample],
) -> Result<Vec<Item>, TrainingError> {
    let mut items = Vec::new();
    for example in examples {
        encoder.begin(&example.key)?;
        if !(example.weight >= 0.0 && example.weight.is_finite()) {
            return Err(TrainingError::InvalidWeight { key: example.key.clone(), weight: example.weight });
        }
        if example.weight == 0.0 {
            encoder.skip(&example.key, SkipReason::NoWeight);
        } else if let Some(sequences) = encoder.encode(&example.key, [&example.chat], example.turns)? {
            items.push(Item::new(&example.key, sequences.to_vec(), example.weight));
        }
    }
    Ok(items)
}

/// The pairs as tokens, without the ones that are skipped.
pub(crate) fn encode_pairs(
    encoder: &mut Encoder<'_>,
    examples: &[PreferenceExample],
    needs_mismatched: bool,
) -> Result<Vec<Item>, TrainingError> {
    let mut items = Vec::new();
    let next_prompts = if needs_mismatched { next_prompts(examples) } else { Vec::new() };
    for (place, example) in examples.iter().enumerate() {
        encoder.begin(&example.key)?;
        let (chosen, rejected) = (example.with(&example.chosen), example.with(&example.rejected));
        let sides = [&chosen, &rejected];
        let Some(sequences) = encoder.encode(&example.key, sides, TrainedTurns::Last)? else { continue };
        if sequences[0] == sequences[1] {
            encoder.skip(&example.key, SkipReason::SameSides);
            continue;
        }
        let mut item = Item::new(&example.key, sequences.to_vec(), 1.0);
        if let Some(&Some(other)) = next_prompts.get(place) {
            let other = &examples[other];
            let sequence = encoder.mismatched(&example.key, &example.with(&other.chosen))?;
            item.mismatched = sequence.map(|sequence| MismatchedItem {
                response_of: other.key.clone(),
                sequence,
                reference: 0.0,
            });
        }
        items.push(item);
    }
    Ok(items)
}

/// For each example the place of the next one that has another prompt, from the first on again after the last; nothing where
/// all have one prompt.
fn next_prompts(examples: &[PreferenceExample]) -> Vec<Option<usize>> {
    // Spaces apart.
    let turn = |message: &Message| {
        let words: Vec<&str> = message.content.split_whitespace().collect();
        Message { content: words.join(" "), ..message.clone() }
    };
    let prompts: Vec<Vec<Message>> =
        examples.iter().map(|example| example.prompt.messages.iter().map(turn).collect()).collect();
    let mut next = vec![None; examples.len()];
    // Twice, since the one after the last is the first.
    for place in (0..2 * examples.len()).rev() {
        let (here, after) = (place % examples.len(), (place + 1) % examples.len());
        next[here] = if prompts[here] == prompts[after] { next[after] } else { Some(after) };
    }
    next
}

/// A note where KTO has no response to another prompt.
fn without_other_prompts(what: &str, items: &[Item]) -> Option<String> {
    (!items.is_empty() && items.iter().all(|item| item.mismatched.is_none())).then(|| {
        format!(
            "KTO: all pairs that are {what} have one prompt, so there is no response to another prompt to estimate the \
             divergence from the reference with: it is taken as 0"
        )
    })
}

/// Whether what is stored was computed from this item's tokens, as far as their numbers tell.
fn fits(stored: &ReferenceLogProbs, item: &Item) -> bool {
    let targets = |sequence: &TrainingSequence| sequence.target_count();
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

fn is_finite(given: &ReferenceLogProbs) -> bool {
    let PairLogProb { chosen, rejected } = given.pair;
    let mismatched = given.mismatched.as_ref().is_none_or(|other| other.log_prob.sum.is_finite());
    chosen.sum.is_finite() && rejected.sum.is_finite() && mismatched
}

fn compute(learner: &mut dyn Learner, item: &Item) -> Result<ReferenceLogProbs, TrainingError> {
    let mut sequences = item.sequences.clone();
    sequences.extend(item.mismatched.iter().map(|mismatched| mismatched.sequence.clone()));
    let log_probs = learner
        .log_probs(&sequences)
        .map_err(TrainingError::learner("computing reference log-probabilities"))?;
    check_shape(&item.key, &sequences, &log_probs)?;
    let of = |place: usize| ResponseLogProb::from_tokens(&log_probs[place]);
    let mismatched = item
        .mismatched
        .as_ref()
        .map(|mismatched| Mismatched { response_of: mismatched.response_of.clone(), log_prob: of(2) });
    Ok(ReferenceLogProbs { pair: PairLogProb { chosen: of(0), rejected: of(1) }, mismatched })
}

/// What a run is going to do.
///
/// # Errors
/// [`TrainingError::NoExamples`] where nothing of the `given` examples is left to train on.
pub(crate) fn plan(
    encoder: Encoder<'_>,
    train: &[Item],
    held_out: &[Item],
    given: usize,
) -> Result<TrainingPlan, TrainingError> {
    if train.is_empty() {
        return Err(TrainingError::NoExamples { given, skipped: encoder.skipped });
    }
    Ok(TrainingPlan {
        steps: 0,
        done: 0,
        examples: train.len(),
        held_out: held_out.len(),
        tokens: train.iter().map(|item| item.tokens() as u64).sum(),
        skipped: encoder.skipped,
        truncated: encoder.truncated,
        notes: Vec::new(),
    })
}
