//! From prompts to tokens: one way for all engines, over what a model's tokenizer does.

use std::error::Error;

use crate::{BackendError, Continuation, Conversation, Ending, Grammars, Prompt, TokenId};

/// What the model's turn is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opened {
    /// For the model to write its whole turn.
    Turn,
    /// For an answer that is there already: where the template opens a thought with the turn, the thought is closed again,
    /// empty, so that the answer is not read as its inside.
    Answer,
}

/// A model's tokenizer and chat template, as an engine has them. What is built on them is the same in every engine.
pub trait Tokenizer {
    /// The tokens of a chat, rendered with the model's template with the model's turn opened for `what` it is to hold, special
    /// tokens recognised.
    ///
    /// # Errors
    /// Where there is no template or it cannot render the messages.
    fn chat(&self, chat: &Conversation, what: Opened) -> Result<Vec<TokenId>, Box<dyn Error + Send + Sync>>;

    /// The tokens of a text in which nothing is a special token.
    fn plain(&self, text: &str) -> Vec<TokenId>;

    /// The tokens of a text that is read from its beginning: after the beginning-of-text token, where the model's tokenizer
    /// sets one.
    fn document(&self, text: &str) -> Vec<TokenId> {
        self.plain(text)
    }

    /// The bytes of a token; none for a special token.
    fn bytes(&self, token: TokenId) -> Vec<u8>;

    /// The token that ends the model's turn.
    fn end_of_turn(&self) -> TokenId;

    /// Number of tokens in the vocabulary.
    fn vocabulary(&self) -> usize;

    /// The grammars of this vocabulary, kept between calls.
    fn grammars(&self) -> &Grammars;

    /// The token that begins a text, where the model has one.
    fn beginning_of_text(&self) -> Option<TokenId>;

    /// Whether a token ends the model's turn or text.
    fn ends(&self, token: TokenId) -> bool {
        token == self.end_of_turn()
    }

    /// The tokens of a prompt.
    ///
    /// # Errors
    /// [`BackendError::ChatTemplate`] where [`chat`](Self::chat) fails.
    fn prompt(&self, prompt: &Prompt) -> Result<Vec<TokenId>, BackendError> {
        match prompt {
            Prompt::Chat(chat) => self.chat(chat, Opened::Turn).map_err(BackendError::ChatTemplate),
            Prompt::Text(text) => Ok(self.document(text)),
            Prompt::Tokens(tokens) => Ok(tokens.clone()),
        }
    }

    /// The tokens of a prompt and of continuations to score after it; see [`Continuation`] on how text is cut.
    ///
    /// # Errors
    /// [`BackendError::ChatTemplate`] where [`chat`](Self::chat) fails.
    fn scored(
        &self,
        before: &Prompt,
        continuations: &[Continuation],
    ) -> Result<(Vec<TokenId>, Vec<Vec<TokenId>>), BackendError> {
        let (mut read, moved, text) = match before {
            Prompt::Text(text) => {
                let kept = text.trim_end();
                (self.document(kept), &text[kept.len()..], Some(kept))
            }
            Prompt::Chat(chat) => {
                (self.chat(chat, Opened::Answer).map_err(BackendError::ChatTemplate)?, "", None)
            }
            Prompt::Tokens(tokens) => (tokens.clone(), "", None),
        };
        let tokens_of = |continuation: &Continuation| {
            let own = format!("{moved}{}", continuation.text);
            let mut tokens = match text {
                // Where the border's merge leaves nothing after it, the continuation stands for itself.
                Some(kept) => self
                    .document(&format!("{kept}{own}"))
                    .get(read.len()..)
                    .filter(|rest| !rest.is_empty())
                    .map_or_else(|| self.plain(&own), <[TokenId]>::to_vec),
                None => self.plain(&own),
            };
            if continuation.ending == Ending::EndOfTurn {
                tokens.push(self.end_of_turn());
            }
            tokens
        };
        let tokens = continuations.iter().map(tokens_of).collect();
        if read.is_empty() {
            // White space alone: something must stand before the first token.
            read.push(self.beginning_of_text().unwrap_or_else(|| self.end_of_turn()));
        }
        Ok((read, tokens))
    }
}
