//! A training as data: the examples as tokens and the steps that see them, for a program that trains elsewhere.

use lancer_backend::{Seed, TrainingSequence};

use crate::{
    batch_loss::Item,
    batches::run_batches,
    encoded::{Encode, Encoder},
    error::TrainingError,
    example::{PreferenceExample, SftExample, Split},
    loss::PreferenceLoss,
    record::TrainingPlan,
    settings::TrainSettings,
    train::{encode_examples, encode_pairs, plan},
};

/// What a training learns from.
#[derive(Debug, Clone, Copy)]
pub enum Examples<'a> {
    /// Responses to be made more probable.
    Sft(Split<'a, SftExample>),
    /// Pairs, and the loss that learns from them.
    Preference(Split<'a, PreferenceExample>, &'a PreferenceLoss),
}

/// An example as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedExample {
    /// The example's key.
    pub key: String,
    /// One sequence for fine-tuning; the chosen and the rejected one for a pair.
    pub sequences: Vec<TrainingSequence>,
}

impl PreparedExample {
    /// Tokens of all sequences, prompts included.
    pub fn tokens(&self) -> usize {
        self.sequences.iter().map(|sequence| sequence.tokens.len()).sum()
    }

    /// Tokens that are trained on.
    pub fn targets(&self) -> usize {
        self.sequences.iter().map(lancer_backend::TrainingSequence::target_count).sum()
    }
}

/// A training, ready to be made.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// What it is going to do.
    pub plan: TrainingPlan,
    /// The examples that are trained on.
    pub train: Vec<PreparedExample>,
    /// The examples that are held out.
    pub held_out: Vec<PreparedExample>,
    /// The examples of every step, as places in `train`.
    pub steps: Vec<Vec<usize>>,
}

/// The tokens and the steps that [`train_sft`](crate::train_sft) or [`train_preference`](crate::train_preference) would train
/// on, in the same order, with the same examples left out.
///
/// # Errors
/// As theirs, before the first step.
pub fn prepare(
    model: &dyn Encode,
    examples: Examples<'_>,
    settings: &TrainSettings,
    seed: Seed,
) -> Result<Prepared, TrainingError> {
    settings.validate()?;
    let mut encoder = Encoder::new(model, settings);
    let (train, held_out, given) = match examples {
        Examples::Sft(split) => (
            encode_examples(&mut encoder, split.train)?,
            encode_examples(&mut encoder, split.held_out)?,
            split.train.len(),
        ),
        Examples::Preference(split, loss) => {
            loss.validate()?;
            (
                encode_pairs(&mut encoder, split.train, false)?,
                encode_pairs(&mut encoder, split.held_out, false)?,
                split.train.len(),
            )
        }
    };
    let mut plan = plan(encoder, &train, &held_out, given)?;
    let lengths: Vec<usize> = train.iter().map(Item::tokens).collect();
    let steps = run_batches(&lengths, settings, seed);
    plan.steps = steps.len() as u64;
    let prepared = |items: Vec<Item>| -> Vec<PreparedExample> {
        items.into_iter().map(|Item { key, sequences, .. }| PreparedExample { key, sequences }).collect()
    };
    Ok(Prepared { plan, train: prepared(train), held_out: prepared(held_out), steps })
}
