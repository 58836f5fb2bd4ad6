//! A record: a conversation, of which prompt and response are views.

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

    fn place_of_response(&self) -> Option<usize> {
        self.messages.iter().rposition(|message| message.role == Role::Assistant)
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
