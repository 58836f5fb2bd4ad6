//! The four texts whose log-probabilities are compared.

use lancer_backend::{Continuation, Conversation, Message, Prompt, break_special_tokens};

/// Before a response: the turns before it.
pub(super) fn prompt(chat: &Conversation) -> Prompt {
    let turn =
        |message: &Message| Message { content: break_special_tokens(&message.content), ..message.clone() };
    let messages = chat.messages.iter().map(turn).collect();
    Prompt::Chat(Conversation { messages, tools: chat.tools.clone() })
}

/// Before a response without its prompt.
pub(super) fn no_prompt() -> Prompt {
    Prompt::user("Write something.")
}

/// Before a prompt: its response.
pub(super) fn response(response: &str) -> Prompt {
    Prompt::user(format!("{}\n\nWhat was the question?", break_special_tokens(response)))
}

/// Before a prompt without its response.
pub(super) fn no_response() -> Prompt {
    Prompt::user("What was the question?")
}

/// A response as the model's turn, with its end.
pub(super) fn as_response(response: &str) -> Continuation {
    Continuation::closed(break_special_tokens(response.trim()))
}

/// A prompt as the model's turn.
pub(super) fn as_prompt(prompt: &str) -> Continuation {
    Continuation::open(break_special_tokens(prompt.trim()))
}
