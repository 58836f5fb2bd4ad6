//! What is trained on.

use lancer_backend::{Conversation, Message, TrainedTurns};
use serde::{Serialize, Serializer, ser::SerializeStruct};

/// An example for supervised fine-tuning: responses to be made more probable.
#[derive(Debug, Clone, PartialEq)]
pub struct SftExample {
    /// Names the example in reports and errors; unique within a data set.
    pub key: String,
    /// The conversation; its last turn is the model's.
    pub chat: Conversation,
    /// Which of the model's turns are trained on.
    pub turns: TrainedTurns,
    /// How much it counts against the others; at least 0. With 0 it is skipped.
    pub weight: f64,
}

impl SftExample {
    /// An example of full weight, of whose conversation the last turn is trained on.
    pub fn new(key: impl Into<String>, chat: impl Into<Conversation>) -> Self {
        Self { key: key.into(), chat: chat.into(), turns: TrainedTurns::Last, weight: 1.0 }
    }
}

/// An example for preference training: a response to be preferred to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreferenceExample {
    /// Names the pair in reports, errors and the store of reference log-probabilities; unique within a data set.
    pub key: String,
    /// The chat so far, which both sides share.
    pub prompt: Conversation,
    /// The model's turn that is preferred.
    pub chosen: Message,
    /// The other.
    pub rejected: Message,
}

impl PreferenceExample {
    /// The conversation with this turn as its last.
    pub(crate) fn with(&self, response: &Message) -> Conversation {
        let mut chat = self.prompt.clone();
        chat.messages.push(response.clone());
        chat
    }
}

/// What an example is, for the hash that a checkpoint keeps. What is text alone is written as the text, so that the hash is
/// that of versions that knew nothing else.
impl Serialize for SftExample {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("SftExample", 6)?;
        fields.serialize_field("key", &self.key)?;
        fields.serialize_field("prompt", self.chat.prompt())?;
        fields.serialize_field("response", &self.chat.response().map(Turn))?;
        if !self.chat.tools.is_empty() {
            fields.serialize_field("tools", &self.chat.tools)?;
        }
        if self.turns != TrainedTurns::Last {
            fields.serialize_field("turns", &self.turns)?;
        }
        fields.serialize_field("weight", &self.weight)?;
        fields.end()
    }
}

impl Serialize for PreferenceExample {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("PreferenceExample", 5)?;
        fields.serialize_field("key", &self.key)?;
        fields.serialize_field("prompt", &self.prompt.messages)?;
        if !self.prompt.tools.is_empty() {
            fields.serialize_field("tools", &self.prompt.tools)?;
        }
        fields.serialize_field("chosen", &Turn(&self.chosen))?;
        fields.serialize_field("rejected", &Turn(&self.rejected))?;
        fields.end()
    }
}

/// A turn of the model: its text where it is text alone.
struct Turn<'a>(&'a Message);

impl Serialize for Turn<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_text_alone() {
            self.0.content.serialize(serializer)
        } else {
            self.0.serialize(serializer)
        }
    }
}

/// The examples of a run and those it is measured on. Their keys do not overlap.
#[derive(Debug)]
pub struct Split<'a, Example> {
    /// Trained on.
    pub train: &'a [Example],
    /// Held out; may be empty.
    pub held_out: &'a [Example],
}

impl<Example> Clone for Split<'_, Example> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Example> Copy for Split<'_, Example> {}

impl<'a, Example> Split<'a, Example> {
    /// Nothing held out.
    pub fn train_only(train: &'a [Example]) -> Self {
        Self { train, held_out: &[] }
    }
}
