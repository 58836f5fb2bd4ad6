//! The records: a prompt with its response, and what could not be read as one.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::schema;

/// One prompt and its response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// Its name, unique within what was read. Empty only where a pair was made without one; it is then not written.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// What is asked.
    pub prompt: String,
    /// What is answered.
    pub response: String,
}

impl Pair {
    /// The pair that a row holds in any of the layouts that [`read_pairs`](crate::read_pairs) knows, under its own key or
    /// `automatic_key`.
    ///
    /// # Errors
    /// Why it holds none.
    pub fn of_row(row: &Map<String, Value>, automatic_key: &str) -> Result<Self, String> {
        schema::pair(row.clone(), automatic_key)
    }
}

/// A prompt with a better and a worse response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreferencePair {
    /// Its name, unique within what was read.
    pub key: String,
    /// The turns before the response; the last is the user's.
    pub prompt: Vec<Message>,
    /// The better response.
    pub chosen: String,
    /// The worse one, another text.
    pub rejected: String,
}

/// What was read from a file of preference pairs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PreferencePairs {
    /// The pairs, in the file's order; no two have one key.
    pub pairs: Vec<PreferencePair>,
    /// The rest, in the file's order.
    pub rejects: Vec<Reject>,
}

/// A line or row that is no record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The file; none where a frame was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The line of a file of lines, otherwise the row or array element; the first is 1.
    pub place: u64,
    /// What is wrong with it.
    pub reason: String,
    /// Its beginning, at most 200 characters.
    pub text: String,
}

/// What was read from a file of pairs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pairs {
    /// The pairs, in the file's order; no two have one key.
    pub pairs: Vec<Pair>,
    /// The rest, in the file's order.
    pub rejects: Vec<Reject>,
}

/// One record of any fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The key of a pair in it that names none: the file's name without its ending, `-`, and the line.
    pub automatic_key: String,
    /// Its fields.
    pub fields: Map<String, Value>,
}

/// What was read from a file of any records.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows {
    /// The records, in the file's order.
    pub rows: Vec<Map<String, Value>>,
    /// The rest, in the file's order.
    pub rejects: Vec<Reject>,
}

/// Who speaks in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sets the scene for the others.
    System,
    /// Asks.
    User,
    /// Answers: the model.
    Assistant,
}

/// One turn of a conversation, as chat templates take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A user's turn.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: Role::User, content: content.into() }
    }

    /// A model's turn.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: Role::Assistant, content: content.into() }
    }
}
