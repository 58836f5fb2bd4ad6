//! Text and chats as tokens: one way for training and for inference.

use std::error::Error;

use lancer_backend::{Conversation, Grammars, Opened, TokenId, Tokenizer};
use lancer_model::{ChatInput, GenerationPrompt, Model, SpecialTokens};

/// A model's own tokenizer and chat template.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) model: &'a Model,
    pub(crate) grammars: &'a Grammars,
}

impl Tokenizer for Reading<'_> {
    fn chat(&self, chat: &Conversation, what: Opened) -> Result<Vec<TokenId>, Box<dyn Error + Send + Sync>> {
        let generation = match what {
            Opened::Turn => GenerationPrompt::Open,
            Opened::Answer => GenerationPrompt::Answer,
        };
        let chat = ChatInput { tools: &chat.tools, ..ChatInput::new(&chat.messages, generation) };
        Ok(ids(self.model.tokenizer().encode_chat(self.model.chat_template(), &chat)?))
    }

    fn plain(&self, text: &str) -> Vec<TokenId> {
        ids(self.model.tokenizer().encode(text, SpecialTokens::AsText))
    }

    fn document(&self, text: &str) -> Vec<TokenId> {
        ids(self.model.tokenizer().encode_document(text))
    }

    fn bytes(&self, token: TokenId) -> Vec<u8> {
        self.model.tokenizer().bytes(token.0)
    }

    fn end_of_turn(&self) -> TokenId {
        TokenId(self.model.tokenizer().end_of_turn())
    }

    fn ends(&self, token: TokenId) -> bool {
        self.model.tokenizer().ends(token.0)
    }

    fn vocabulary(&self) -> usize {
        self.model.config().vocab_size
    }

    fn grammars(&self) -> &Grammars {
        self.grammars
    }

    fn beginning_of_text(&self) -> Option<TokenId> {
        self.model.tokenizer().beginning_of_text().map(TokenId)
    }
}

fn ids(tokens: Vec<u32>) -> Vec<TokenId> {
    tokens.into_iter().map(TokenId).collect()
}
