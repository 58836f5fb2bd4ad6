//! The records: conversations with what else their rows hold, and what could not be read as one.

use std::{borrow::Cow, collections::BTreeMap, path::PathBuf};

use lancer_core::{Conversation, Message};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::schema::{self, Layout};

/// A conversation that ends with the model's response, and the row that it came in.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its name, unique within what was read.
    pub key: String,
    pub(crate) conversation: Conversation,
    pub(crate) row: SourceRow,
}

/// The row of a record: its layout, and its fields as they were. Of those that hold the conversation the ones that can be
/// written from it again are null.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SourceRow {
    pub(crate) layout: Layout,
    pub(crate) fields: Map<String, Value>,
    /// Whether the conversation is another one than was read.
    pub(crate) is_changed: bool,
    /// What of the row is no part of the conversation, each in words.
    pub(crate) unused: Vec<Cow<'static, str>>,
}

impl Record {
    /// A record that is not from a row. It is written as `prompt` and `response` where it is a pair of texts, otherwise as
    /// `messages`.
    pub fn new(key: impl Into<String>, conversation: Conversation) -> Self {
        Self { key: key.into(), row: SourceRow::new(&conversation), conversation }
    }

    /// The record that a row holds in any of the layouts that [`read_records`](crate::read_records) knows, under its own key
    /// or `automatic_key`.
    ///
    /// # Errors
    /// Why it holds none.
    pub fn of_row(row: Map<String, Value>, automatic_key: &str) -> Result<Self, String> {
        schema::record(row, automatic_key)
    }

    /// The conversation. Its last turn is the response.
    pub fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// The conversation by itself.
    pub fn into_conversation(self) -> Conversation {
        self.conversation
    }

    /// The same record with another conversation, in its layout where that can hold it.
    #[must_use]
    pub fn with_conversation(mut self, conversation: Conversation) -> Self {
        self.row.is_changed |= self.conversation != conversation;
        self.conversation = conversation;
        self
    }

    /// Another record in this one's layout, without its other fields.
    #[must_use]
    pub fn like(&self, key: impl Into<String>, conversation: Conversation) -> Self {
        let row = SourceRow { layout: self.row.layout, ..SourceRow::new(&conversation) };
        Self { key: key.into(), conversation, row }
    }

    /// The fields of its row that are no part of the conversation, such as metadata, without its key.
    pub fn fields(&self) -> Map<String, Value> {
        schema::other_fields(self)
    }

    /// The record as a row: as it was read, where its conversation is as it was.
    pub fn to_row(&self) -> Map<String, Value> {
        schema::row(self)
    }

    /// What of the row is neither the conversation nor kept beside it, in words.
    pub fn unused(&self) -> &[Cow<'static, str>] {
        &self.row.unused
    }

    /// What records are compared by.
    pub fn pair(&self) -> Pair {
        Pair {
            key: self.key.clone(),
            prompt: self.conversation.user_text().into_owned(),
            response: self.conversation.answer().into_owned(),
        }
    }
}

impl SourceRow {
    fn new(conversation: &Conversation) -> Self {
        let layout = Layout::of(conversation);
        Self { layout, fields: Map::new(), is_changed: true, unused: Vec::new() }
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_row().serialize(serializer)
    }
}

/// What records are compared by: what the user wrote, and the answer to it without thoughts. A view of a [`Record`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The record's name. Empty only where a pair was made without one; it is then not written.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// What is asked: the user's turns, an empty line between.
    pub prompt: String,
    /// What is answered.
    pub response: String,
}

/// A conversation with a better and a worse response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreferenceRecord {
    /// Its name, unique within what was read.
    pub key: String,
    /// The turns before the response, which both responses share.
    pub prompt: Conversation,
    /// The better response.
    pub chosen: Message,
    /// The worse one, another one.
    pub rejected: Message,
}

/// What was read from a file of preference pairs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PreferenceRecords {
    /// The records, in the file's order; no two have one key.
    pub records: Vec<PreferenceRecord>,
    /// The rest, in the file's order.
    pub rejects: Vec<Reject>,
    /// What of the rows is not used, in words, with the number of rows of each kind.
    pub unused: BTreeMap<String, usize>,
}

impl PreferenceRecords {
    pub(crate) fn count(&mut self, unused: impl Iterator<Item = Cow<'static, str>>) {
        for what in unused {
            *self.unused.entry(what.into_owned()).or_default() += 1;
        }
    }
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

/// What was read from a file of records.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Records {
    /// The records, in the file's order; no two have one key.
    pub records: Vec<Record>,
    /// The rest, in the file's order.
    pub rejects: Vec<Reject>,
}

impl Records {
    /// What of the rows is not used, in words, with the number of records of each kind.
    pub fn unused(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for unused in self.records.iter().flat_map(Record::unused) {
            *counts.entry(unused.as_ref()).or_default() += 1;
        }
        counts
    }
}

/// One record of any fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The key of a record in it that names none: the file's name without its ending, `-`, and the line.
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
