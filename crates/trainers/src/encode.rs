//! Chats as the tokens of the model that is trained, as lancer's own engines have them.

use lancer_backend::{Conversation, LearnerError, TokenId, TrainedTurns, TrainingSequence};
use lancer_model::{Model, ModelTurns};
use lancer_prefer::Encode;

/// A model whose tokenizer and chat template are used, and not its weights.
pub(crate) struct Tokens<'a>(pub(crate) &'a Model);

impl Encode for Tokens<'_> {
    fn context_length(&self) -> usize {
        self.0.config().context_length
    }

    fn encode(&self, chat: &Conversation, turns: TrainedTurns) -> Result<TrainingSequence, LearnerError> {
        let turns = match turns {
            TrainedTurns::Last => ModelTurns::Last,
            TrainedTurns::All => ModelTurns::All,
        };
        let encoded = self
            .0
            .tokenizer()
            .encode_conversation(self.0.chat_template(), &chat.messages, &chat.tools, turns)
            .map_err(|error| LearnerError::ChatTemplate(error.into()))?;
        let tokens = encoded.tokens.into_iter().map(TokenId).collect();
        let mut sequence = TrainingSequence { tokens, trained: encoded.of_model };
        sequence.truncate(sequence.tokens.len());
        Ok(sequence)
    }
}
