//! Conversations as the sequences that a model is trained on.

use lancer_backend::{Conversation, LearnerError, TokenId, TrainedTurns, TrainingSequence};
use lancer_model::{Model, ModelTurns};

pub(super) fn encode(
    model: &Model,
    chat: &Conversation,
    turns: TrainedTurns,
) -> Result<TrainingSequence, LearnerError> {
    let turns = match turns {
        TrainedTurns::Last => ModelTurns::Last,
        TrainedTurns::All => ModelTurns::All,
    };
    let encoded = model
        .tokenizer()
        .encode_conversation(model.chat_template(), &chat.messages, &chat.tools, turns)
        .map_err(|source| LearnerError::ChatTemplate(source.into()))?;
    let mut sequence = TrainingSequence {
        tokens: encoded.tokens.into_iter().map(TokenId).collect(),
        trained: encoded.of_model,
    };
    // What comes after the last token that is trained on is not read.
    sequence.truncate(sequence.tokens.len());
    Ok(sequence)
}
