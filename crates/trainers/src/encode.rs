//! Chats as the tokens of the model that is trained, as lancer's own engines have them.

use lancer_backend::{LearnerError, Message, TokenId, TrainingSequence};
use lancer_model::{ChatInput, GenerationPrompt, Model, SpecialTokens};
use lancer_prefer::Encode;

/// A model whose tokenizer and chat template are used, and not its weights.
pub(crate) struct Tokens<'a>(pub(crate) &'a Model);

impl Encode for Tokens<'_> {
    fn context_length(&self) -> usize {
        self.0.config().context_length
    }

    fn encode(&self, prompt: &[Message], response: &str) -> Result<TrainingSequence, LearnerError> {
        let tokenizer = self.0.tokenizer();
        let chat = ChatInput::new(prompt, GenerationPrompt::Open);
        let mut tokens = tokenizer
            .encode_chat(self.0.chat_template(), &chat)
            .map_err(|error| LearnerError::ChatTemplate(error.into()))?;
        let prompt_length = tokens.len();
        tokens.extend(tokenizer.encode(response, SpecialTokens::AsText));
        tokens.push(tokenizer.end_of_turn());
        Ok(TrainingSequence { tokens: tokens.into_iter().map(TokenId).collect(), prompt_length })
    }
}
