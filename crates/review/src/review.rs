//! What is reviewed and what comes of it.

use std::ops::ControlFlow;

use std::borrow::Cow;

use lancer_backend::{Conversation, Message, Role};
use serde::{Deserialize, Serialize};

use crate::{Features, Score};

/// A prompt and the response to it, to review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What the record is called in its run. The seeds of its samples are derived from it.
    pub key: String,
    /// The turns before the response.
    pub chat: Conversation,
    /// The answer: the response without its thoughts.
    pub response: String,
}

impl Item {
    /// One turn of the user and the answer to it.
    pub fn of_pair(key: impl Into<String>, prompt: impl Into<String>, response: impl Into<String>) -> Self {
        let chat = vec![Message::user(prompt)].into();
        Self { key: key.into(), chat, response: response.into() }
    }

    /// A conversation and the answer with which it ends. What the model thought is not reviewed.
    pub fn of_conversation(key: impl Into<String>, conversation: &Conversation) -> Self {
        let response = conversation.answer().into_owned();
        Self { key: key.into(), chat: conversation.without_response(), response }
    }

    /// What the user wrote last.
    pub(crate) fn last_user_turn(&self) -> &str {
        let user = self.chat.messages.iter().rev().find(|message| message.role == Role::User);
        user.map_or("", |message| message.content.as_str())
    }

    /// The prompt as a reviewer reads it: the user's text, or where there is more than that, each turn under the name of who
    /// speaks.
    pub(crate) fn prompt(&self) -> Cow<'_, str> {
        if let [only] = self.chat.messages.as_slice() {
            return Cow::Borrowed(&only.content);
        }
        let turn = |message: &Message| {
            let speaker = match message.role {
                Role::System => "System",
                Role::User => "User",
                Role::Assistant => "Assistant",
                Role::Tool => "Tool",
            };
            format!("{speaker}:\n{}", message.said())
        };
        Cow::Owned(self.chat.messages.iter().map(turn).collect::<Vec<_>>().join("\n\n"))
    }
}

/// The review of one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// The item's index in the call.
    pub item: usize,
    /// The score, or why there is none.
    pub outcome: Outcome,
    /// What the score was made from.
    pub detail: Detail,
    /// The sentences of the pair that the model was not shown, since they are written for its reviewer.
    pub left_out: Vec<String>,
}

impl Review {
    /// What a run keeps of how a score came about, beside the score.
    pub fn kept_detail(&self) -> KeptDetail<'_> {
        KeptDetail { detail: &self.detail, left_out: &self.left_out }
    }
}

/// What a score was made from and what of the pair it was made without.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct KeptDetail<'a> {
    #[serde(flatten)]
    detail: &'a Detail,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    left_out: &'a [String],
}

/// The score, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The pair has a score.
    Scored(Score),
    /// The pair has none.
    Unscored {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// The score, where there is one.
    pub fn score(&self) -> Option<Score> {
        match self {
            Self::Scored(score) => Some(*score),
            Self::Unscored { .. } => None,
        }
    }
}

/// What a score was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// The pair was not shown to the model.
    None,
    /// The written reviews, those that could not be read too, in the order of their seeds.
    Samples(Vec<SampleReview>),
    /// The model's probabilities of the scores 0 to 10; they sum to 1.
    Probabilities([f64; 11]),
    /// Log-probabilities.
    Likelihoods(Features),
}

/// One written review.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleReview {
    /// What the model wrote.
    pub text: String,
    /// The score in it; `None` where it could not be read.
    pub score: Option<Score>,
}

/// Receives reviews as they are made.
pub trait ReviewSink {
    /// An item has been reviewed; in any order, each item once. `Break` ends the call, which then returns
    /// [`ReviewError::Cancelled`](crate::ReviewError::Cancelled).
    fn reviewed(&mut self, review: Review) -> ControlFlow<()>;

    /// The engine has computed `tokens` more tokens.
    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        let _ = tokens;
        ControlFlow::Continue(())
    }
}

/// A sink that keeps every review, in the order in which they are made.
impl ReviewSink for Vec<Review> {
    fn reviewed(&mut self, review: Review) -> ControlFlow<()> {
        self.push(review);
        ControlFlow::Continue(())
    }
}
