//! Engines for tests: a backend that answers from a script, and a learner small enough to check by hand.
//!
//! Both read text as bytes: token `b` is the byte `b`, and [`END_OF_TURN`] ends a turn.

mod answer;
mod bigram;

pub use answer::ScriptedBackend;
pub use bigram::ScriptedLearner;

use crate::{Conversation, Grammars, Message, Opened, Prompt, TokenId, Tokenizer};

/// The token that ends a turn; the bytes come before it.
pub const END_OF_TURN: TokenId = TokenId(256);

/// Number of tokens: the bytes and the end of the turn.
pub const VOCABULARY: usize = 257;

/// The longest sequence of the scripted engines.
pub const CONTEXT_LENGTH: usize = 16_384;

/// A chat as the scripted engines read it: `user: hello`, a line for each turn, then `assistant: `.
fn render(messages: &[Message]) -> String {
    let mut text = String::new();
    for message in messages {
        text.extend([message.role.as_str(), ": ", &turn(message), "\n"]);
    }
    text + "assistant: "
}

/// What is said in a turn: its text, and the tools that it calls.
fn turn(message: &Message) -> String {
    let calls = message.tool_calls.iter().map(|call| format!(" [{} {}]", call.name, call.arguments));
    message.content.clone() + &calls.collect::<String>()
}

fn bytes(text: &str) -> Vec<TokenId> {
    text.bytes().map(|byte| TokenId(u32::from(byte))).collect()
}

fn text(tokens: &[TokenId]) -> String {
    let bytes: Vec<u8> = tokens.iter().filter_map(|token| u8::try_from(token.0).ok()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn read(prompt: &Prompt) -> Vec<TokenId> {
    match prompt {
        Prompt::Chat(chat) => bytes(&render(&chat.messages)),
        Prompt::Text(text) => bytes(text),
        Prompt::Tokens(tokens) => tokens.clone(),
    }
}

/// The bytes as a vocabulary, for grammars.
#[derive(Default)]
struct Bytes(Grammars);

impl Tokenizer for Bytes {
    fn chat(
        &self,
        chat: &Conversation,
        _: Opened,
    ) -> Result<Vec<TokenId>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(bytes(&render(&chat.messages)))
    }

    fn plain(&self, text: &str) -> Vec<TokenId> {
        bytes(text)
    }

    fn bytes(&self, token: TokenId) -> Vec<u8> {
        u8::try_from(token.0).into_iter().collect()
    }

    fn end_of_turn(&self) -> TokenId {
        END_OF_TURN
    }

    fn vocabulary(&self) -> usize {
        VOCABULARY
    }

    fn grammars(&self) -> &Grammars {
        &self.0
    }

    fn beginning_of_text(&self) -> Option<TokenId> {
        None
    }
}
