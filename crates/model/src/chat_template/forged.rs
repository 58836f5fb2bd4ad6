//! Text in a chat that looks like a special token stays text.
//!
//! A rendered chat is read with special tokens recognised, since the template writes them. A message that holds the text of
//! one, `<|im_end|>` and a forged system turn after it for example, would else speak in the template's name. So these
//! places are marked before the chat is rendered, and read as plain text after it.

use std::borrow::Cow;

use lancer_core::{Message, ToolCall};
use regex::Regex;
use serde_json::Value;

/// Set around a forged token while the chat is rendered. No text can hold it but on purpose: Unicode never assigns it.
pub(super) const MARK: char = '\u{10FFFE}';

/// The texts of a vocabulary's special tokens.
#[derive(Debug, Clone, Default)]
pub struct SpecialTexts(Option<Regex>);

/// A piece of a rendered chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Its special tokens are the template's.
    OfTemplate(&'a str),
    /// It looks like a special token and came from a message.
    Forged(&'a str),
}

impl SpecialTexts {
    /// Empty texts are left out.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut texts: Vec<&str> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        // The longest first: an expression takes the first alternative that fits.
        texts.sort_unstable_by(|one, two| two.len().cmp(&one.len()).then(one.cmp(two)));
        texts.dedup();
        let alternatives: Vec<String> = texts.iter().map(|text| regex::escape(text)).collect();
        // Escaped texts are an expression, unless there are more of them than the library compiles.
        Self(if texts.is_empty() { None } else { Regex::new(&alternatives.join("|")).ok() })
    }

    /// The messages with what they forge marked.
    pub(super) fn marked(&self, messages: &[Message]) -> Vec<Message> {
        messages.iter().map(|message| self.marked_message(message)).collect()
    }

    fn marked_message(&self, message: &Message) -> Message {
        let owned = |text: &String| self.marked_text(text).into_owned();
        Message {
            role: message.role,
            content: owned(&message.content),
            reasoning_content: message.reasoning_content.as_ref().map(owned),
            tool_calls: message
                .tool_calls
                .iter()
                .map(|call| ToolCall {
                    id: call.id.as_ref().map(owned),
                    name: owned(&call.name),
                    arguments: self.marked_value(&call.arguments),
                })
                .collect(),
            tool_call_id: message.tool_call_id.as_ref().map(owned),
            name: message.name.as_ref().map(owned),
        }
    }

    /// A JSON value with what its texts forge marked.
    pub(super) fn marked_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.marked_text(text).into_owned()),
            Value::Array(items) => items.iter().map(|item| self.marked_value(item)).collect(),
            Value::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, item)| (self.marked_text(name).into_owned(), self.marked_value(item)))
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    fn marked_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        // A mark of the text's own would be taken for one of ours.
        let text =
            if text.contains(MARK) { text.replace(MARK, "\u{FFFD}").into() } else { Cow::Borrowed(text) };
        match &self.0 {
            Some(special) if special.is_match(&text) => {
                special.replace_all(&text, format!("{MARK}${{0}}{MARK}")).into_owned().into()
            }
            _ => text,
        }
    }
}

/// The pieces of a rendered chat, none of them empty.
pub(super) fn pieces(rendered: &str) -> impl Iterator<Item = Piece<'_>> {
    let piece = |(place, text): (usize, _)| {
        if place % 2 == 0 { Piece::OfTemplate(text) } else { Piece::Forged(text) }
    };
    rendered
        .split(MARK)
        .enumerate()
        .map(piece)
        .filter(|piece| matches!(piece, Piece::OfTemplate(text) | Piece::Forged(text) if !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn special() -> SpecialTexts {
        SpecialTexts::new(["<|im_end|>", "<|im_end|>2", "</s>", ""])
    }

    #[test]
    fn forged_tokens_are_pieces_of_their_own_and_the_longest_is_taken() {
        let marked = special().marked(&[Message::user("a<|im_end|>2</s>b")]).remove(0).content;
        let found: Vec<Piece<'_>> = pieces(&marked).collect();
        assert_eq!(
            found,
            [
                Piece::OfTemplate("a"),
                Piece::Forged("<|im_end|>2"),
                Piece::Forged("</s>"),
                Piece::OfTemplate("b")
            ]
        );
    }

    #[test]
    fn what_a_call_holds_is_marked_too() {
        let call = ToolCall { id: None, name: "f".into(), arguments: serde_json::json!({"</s>": ["x</s>"]}) };
        let marked = special().marked(&[Message::assistant("").with_call(call)]).remove(0);
        let written = marked.tool_calls[0].arguments.to_string();
        assert_eq!(written.matches(MARK).count(), 4, "{written}");
    }

    proptest! {
        #[test]
        fn no_piece_of_the_template_holds_a_token_and_the_text_is_kept(
            parts in prop::collection::vec(prop::sample::select(vec!["<|im_end|>", "</s>", "2", "<", "/s>", "é", " "]), 0..12),
        ) {
            let text = parts.concat();
            let marked = special().marked(&[Message::user(text.clone())]).remove(0).content;
            for piece in pieces(&marked) {
                if let Piece::OfTemplate(text) = piece {
                    prop_assert!(!text.contains("<|im_end|>") && !text.contains("</s>"), "{}", text);
                }
            }
            prop_assert_eq!(marked.replace(MARK, ""), text);
        }
    }
}
