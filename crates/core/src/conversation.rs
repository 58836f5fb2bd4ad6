//! A record: a conversation, of which prompt and response are views.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Message, Role};

/// A conversation and the tools that were offered in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversation {
    /// The turns in their order.
    pub messages: Vec<Message>,
    /// The tools as JSON schemas, in the form that chat templates are given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Value>,
}

impl Conversation {
    /// A user's prompt and the model's response.
    pub fn of_pair(prompt: impl Into<String>, response: impl Into<String>) -> Self {
        Self { messages: vec![Message::user(prompt), Message::assistant(response)], tools: Vec::new() }
    }

    /// A prompt of several turns, without tools, and the model's response to it.
    pub fn of_turns(prompt: impl IntoIterator<Item = Message>, response: Message) -> Self {
        Self { messages: prompt.into_iter().chain([response]).collect(), tools: Vec::new() }
    }

    /// Every message before the last assistant turn; all of them where there is no such turn.
    pub fn prompt(&self) -> &[Message] {
        &self.messages[..self.place_of_response().unwrap_or(self.messages.len())]
    }

    /// The last assistant turn. Turns after it belong to neither view.
    pub fn response(&self) -> Option<&Message> {
        self.place_of_response().map(|place| &self.messages[place])
    }

    /// The last user turn before the response: what distinguishes this record from others under the same system prompt.
    pub fn last_user_turn(&self) -> Option<&Message> {
        self.prompt().iter().rev().find(|message| message.role == Role::User)
    }

    /// What the user wrote: the user's turns, an empty line between. The system prompt, which many
    /// conversations share, and what others said are no part of it.
    pub fn user_text(&self) -> Cow<'_, str> {
        let mut turns = self.messages.iter().filter(|message| message.role == Role::User);
        match (turns.next(), turns.next()) {
            (None, _) => Cow::Borrowed(""),
            (Some(only), None) => Cow::Borrowed(&only.content),
            (Some(first), Some(second)) => {
                let texts = [first, second].into_iter().chain(turns).map(|turn| turn.content.as_str());
                Cow::Owned(texts.collect::<Vec<_>>().join("\n\n"))
            }
        }
    }

    /// The answer, without thoughts; empty where there is no response.
    pub fn answer(&self) -> Cow<'_, str> {
        self.response().map_or(Cow::Borrowed(""), Message::said)
    }

    /// The text of a system prompt that begins the conversation.
    pub fn system(&self) -> Option<&str> {
        self.messages.first().filter(|first| first.role == Role::System).map(|first| first.content.as_str())
    }

    /// Whether it is one user turn and the response to it, both text alone, without tools.
    pub fn is_pair(&self) -> bool {
        let is = |message: &Message, role| message.role == role && message.is_text_alone();
        let [prompt, response] = self.messages.as_slice() else { return false };
        is(prompt, Role::User) && is(response, Role::Assistant) && self.tools.is_empty()
    }

    /// The conversation up to its response, which it then lacks.
    #[must_use]
    pub fn without_response(&self) -> Self {
        Self { messages: self.prompt().to_vec(), tools: self.tools.clone() }
    }

    /// The conversation with one more turn.
    #[must_use]
    pub fn with(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }

    fn place_of_response(&self) -> Option<usize> {
        self.messages.iter().rposition(|message| message.role == Role::Assistant)
    }
}

impl From<Vec<Message>> for Conversation {
    fn from(messages: Vec<Message>) -> Self {
        Self { messages, tools: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn role() -> impl Strategy<Value = Role> {
        prop_oneof![Just(Role::System), Just(Role::User), Just(Role::Assistant), Just(Role::Tool)]
    }

    proptest! {
        #[test]
        fn prompt_and_response_are_views_that_overlap_nowhere(roles in prop::collection::vec(role(), 0..8)) {
            let messages: Vec<Message> =
                (0..).zip(roles).map(|(place, role): (i32, _)| Message::new(role, place.to_string())).collect();
            let conversation = Conversation { messages: messages.clone(), tools: Vec::new() };
            let (prompt, response) = (conversation.prompt(), conversation.response());
            prop_assert_eq!(prompt, &messages[..prompt.len()]);
            if let Some(response) = response {
                prop_assert_eq!(response, &messages[prompt.len()]);
                prop_assert!(messages[prompt.len() + 1..].iter().all(|later| later.role != Role::Assistant));
            } else {
                prop_assert_eq!(prompt.len(), messages.len());
            }
        }
    }

    #[test]
    fn what_the_user_wrote_is_without_the_system_prompt_and_without_answers() {
        let pair = Conversation::of_pair("One?", "1");
        assert!(pair.is_pair());
        assert_eq!((pair.user_text(), pair.answer()), ("One?".into(), "1".into()));
        let mut longer =
            pair.clone().with(Message::user("Two?")).with(Message::assistant("2").with_reasoning("Hm."));
        longer.messages.insert(0, Message::system("Be brief."));
        assert_eq!((longer.user_text(), longer.answer()), ("One?\n\nTwo?".into(), "2".into()));
        assert_eq!(longer.system(), Some("Be brief."));
        assert!(!longer.is_pair());
    }

    #[test]
    fn the_last_user_turn_comes_before_the_response() {
        let messages = vec![
            Message::system("Be brief."),
            Message::user("One?"),
            Message::assistant("1"),
            Message::user("Two?"),
            Message::assistant("2"),
            Message::user("Three?"),
        ];
        let conversation = Conversation { messages, tools: Vec::new() };
        assert_eq!(conversation.last_user_turn().unwrap().content, "Two?");
        assert_eq!(conversation.response().unwrap().content, "2");
    }
}
