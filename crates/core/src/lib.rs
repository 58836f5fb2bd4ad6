//! What all crates of lancer share: chat messages and conversations.
//!
//! * A [`Message`] is one turn: a [`Role`], its text, its reasoning, and the tools that it calls.
//! * A [`Conversation`] is a record: messages and the tools that were offered. Its prompt is every message but the last
//!   assistant turn, its response is that turn.
//!
//! * [`split_thought`] tells the thought of a reasoning model from its answer.
//!
//! Both are written and read as the field writes them (`role`, `content`, `reasoning_content`, `tool_calls`), so that what
//! chat templates, servers and trainers expect needs no second form.

mod conversation;
mod message;
mod thought;
mod words;

pub use conversation::Conversation;
pub use message::{Message, Role, ToolCall};
pub use thought::{answer_of, split_thought, with_thought};
pub use words::spaced;

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
