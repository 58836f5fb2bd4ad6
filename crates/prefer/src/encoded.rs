//! Examples as tokens, within the longest sequence allowed; what does not fit is noted.

use std::collections::HashSet;

use lancer_backend::{Conversation, Learner, LearnerError, TrainedTurns, TrainingSequence};

use crate::{
    error::TrainingError,
    record::{SkipReason, Skipped},
    settings::{LongExamples, TrainSettings},
};

/// Gives the tokens of a chat, as a [`Learner`] does; a model's tokenizer is enough for it.
pub trait Encode {
    /// The longest sequence that can be trained on.
    fn context_length(&self) -> usize;

    /// The training sequence of a chat: see [`Learner::encode`].
    ///
    /// # Errors
    /// Where the chat template cannot render the conversation.
    fn encode(&self, chat: &Conversation, turns: TrainedTurns) -> Result<TrainingSequence, LearnerError>;
}

impl Encode for &dyn Learner {
    fn context_length(&self) -> usize {
        Learner::context_length(*self)
    }

    fn encode(&self, chat: &Conversation, turns: TrainedTurns) -> Result<TrainingSequence, LearnerError> {
        Learner::encode(*self, chat, turns)
    }
}

/// Encodes examples and notes which were skipped or cut.
pub(crate) struct Encoder<'a> {
    model: &'a dyn Encode,
    limit: usize,
    long_examples: LongExamples,
    keys: HashSet<String>,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) truncated: Vec<String>,
}

impl<'a> Encoder<'a> {
    pub(crate) fn new(model: &'a dyn Encode, settings: &TrainSettings) -> Self {
        Self {
            limit: settings.max_length.min(model.context_length()),
            model,
            long_examples: settings.long_examples,
            keys: HashSet::new(),
            skipped: Vec::new(),
            truncated: Vec::new(),
        }
    }

    /// Registers an example's key.
    pub(crate) fn begin(&mut self, key: &str) -> Result<(), TrainingError> {
        if self.keys.insert(key.into()) {
            Ok(())
        } else {
            Err(TrainingError::DuplicateKey { key: key.into() })
        }
    }

    pub(crate) fn skip(&mut self, key: &str, reason: SkipReason) {
        self.skipped.push(Skipped { key: key.into(), reason });
    }

    /// The sequences of an example's conversations; `None` where they do not fit, or the model's chat template refuses one of
    /// them, and the example is skipped.
    pub(crate) fn encode<const N: usize>(
        &mut self,
        key: &str,
        chats: [&Conversation; N],
        turns: TrainedTurns,
    ) -> Result<Option<[TrainingSequence; N]>, TrainingError> {
        let mut sequences = Vec::with_capacity(N);
        for chat in chats {
            match self.model.encode(chat, turns) {
                Ok(sequence) => sequences.push(sequence),
                Err(LearnerError::ChatTemplate(reason)) => {
                    self.skip(key, SkipReason::Refused { said: reason.to_string() });
                    return Ok(None);
                }
                Err(source) => return Err(TrainingError::Encode { key: key.into(), source }),
            }
        }
        let longest = sequences.iter().map(|sequence| sequence.tokens.len()).max().unwrap_or(0);
        let prompt = sequences.iter().map(lancer_backend::TrainingSequence::prompt_length).max().unwrap_or(0);
        if longest > self.limit {
            if prompt >= self.limit {
                self.skip(key, SkipReason::PromptTooLong { tokens: prompt, limit: self.limit });
                return Ok(None);
            }
            match self.long_examples {
                LongExamples::Skip => {
                    self.skip(key, SkipReason::TooLong { tokens: longest, limit: self.limit });
                    return Ok(None);
                }
                LongExamples::Truncate => {
                    self.truncated.push(key.into());
                    for sequence in &mut sequences {
                        sequence.truncate(self.limit);
                    }
                }
            }
        }
        // One sequence was pushed for each of the N responses.
        Ok(sequences.try_into().ok())
    }

    /// A response that belongs to another prompt, cut where it is too long; `None` where the model's chat template refuses it
    /// after this one.
    pub(crate) fn mismatched(
        &self,
        key: &str,
        chat: &Conversation,
    ) -> Result<Option<TrainingSequence>, TrainingError> {
        match self.model.encode(chat, TrainedTurns::Last) {
            Ok(mut sequence) => {
                sequence.truncate(self.limit);
                Ok(Some(sequence))
            }
            Err(LearnerError::ChatTemplate(_)) => Ok(None),
            Err(source) => Err(TrainingError::Encode { key: key.into(), source }),
        }
    }
}
