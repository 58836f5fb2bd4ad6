//! From text to tokens and back, by the tokenizer and the chat template beside the model.

use std::{error::Error, path::Path};

use lancer_backend::{Conversation, Grammars, Opened, TokenId, Tokenizer};
use lancer_model::{ChatInput, ChatTemplate, GenerationPrompt, ModelError, SpecialTokens};

/// A model's tokenizer and chat template.
pub(super) struct Vocabulary {
    tokenizer: lancer_model::Tokenizer,
    chat_template: Option<ChatTemplate>,
    size: usize,
    grammars: Grammars,
}

impl Vocabulary {
    /// `size` is the number of tokens that the model knows, which may be more than the tokenizer does.
    pub(super) fn load(folder: &Path, size: usize) -> Result<Self, ModelError> {
        let tokenizer = lancer_model::Tokenizer::from_folder(folder)?;
        let chat_template = ChatTemplate::from_folder(folder, &tokenizer)?;
        let tokenizer = tokenizer.ending_turns_as(chat_template.as_ref());
        Ok(Self { tokenizer, chat_template, size, grammars: Grammars::default() })
    }

    /// The text of tokens, special ones left out.
    pub(super) fn text(&self, tokens: &[TokenId]) -> String {
        let ids: Vec<u32> = tokens.iter().map(|token| token.0).collect();
        self.tokenizer.decode(&ids)
    }
}

impl Tokenizer for Vocabulary {
    fn chat(&self, chat: &Conversation, what: Opened) -> Result<Vec<TokenId>, Box<dyn Error + Send + Sync>> {
        let generation = match what {
            Opened::Turn => GenerationPrompt::Open,
            Opened::Answer => GenerationPrompt::Answer,
        };
        let chat = ChatInput { tools: &chat.tools, ..ChatInput::new(&chat.messages, generation) };
        let ids = self.tokenizer.encode_chat(self.chat_template.as_ref(), &chat)?;
        Ok(ids.into_iter().map(TokenId).collect())
    }

    fn plain(&self, text: &str) -> Vec<TokenId> {
        self.tokenizer.encode(text, SpecialTokens::AsText).into_iter().map(TokenId).collect()
    }

    fn document(&self, text: &str) -> Vec<TokenId> {
        self.tokenizer.encode_document(text).into_iter().map(TokenId).collect()
    }

    fn bytes(&self, token: TokenId) -> Vec<u8> {
        self.tokenizer.bytes(token.0)
    }

    fn end_of_turn(&self) -> TokenId {
        TokenId(self.tokenizer.end_of_turn())
    }

    fn ends(&self, token: TokenId) -> bool {
        self.tokenizer.ends(token.0)
    }

    fn vocabulary(&self) -> usize {
        self.size
    }

    fn grammars(&self) -> &Grammars {
        &self.grammars
    }

    fn beginning_of_text(&self) -> Option<TokenId> {
        self.tokenizer.beginning_of_text().map(TokenId)
    }
}
