//! The model's turns within a conversation: which of its tokens the model is to have written.
//!
//! Where the template marks what is generated, the marks count, as in transformers' `return_assistant_tokens_mask`. Elsewhere
//! a turn is what the template adds to the chat before it, from where the turn is opened to the token that ends it.

use std::ops::Range;

use lancer_core::{Message, Role};
use serde_json::Value;

use super::{
    ChatInput, ChatTemplate, GenerationPrompt,
    forged::{MARK, SpecialTexts},
    thought,
};
use crate::{ModelError, SpecialTokens, Tokenizer};

/// Which of the model's turns are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelTurns {
    /// The last, with which the conversation ends.
    Last,
    /// All.
    All,
}

/// A conversation as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedConversation {
    /// All tokens.
    pub tokens: Vec<u32>,
    /// The places of those that the model is to have written: ascending, apart from each other, none empty.
    pub of_model: Vec<Range<usize>>,
}

impl EncodedConversation {
    fn after_prompt(mut tokens: Vec<u32>, response: impl IntoIterator<Item = u32>) -> Self {
        let start = tokens.len();
        tokens.extend(response);
        Self { of_model: std::iter::once(start..tokens.len()).collect(), tokens }
    }
}

/// A rendered conversation and the bytes of the model's turns in it.
struct Turns {
    text: String,
    of_model: Vec<Range<usize>>,
}

/// Encodes a conversation whose last message is the model's.
pub(crate) fn encode(
    tokenizer: &Tokenizer,
    template: &ChatTemplate,
    special: &SpecialTexts,
    messages: &[Message],
    tools: &[Value],
    turns: ModelTurns,
) -> Result<EncodedConversation, ModelError> {
    let Some((response, prompt)) = messages.split_last().filter(|(last, _)| last.role == Role::Assistant)
    else {
        return Err(refused("the conversation does not end with the model's turn"));
    };
    let is_only_turn = prompt.iter().all(|message| message.role != Role::Assistant);
    let marked = special.marked(messages);
    let tools: Vec<Value> = tools.iter().map(|tool| special.marked_value(tool)).collect();
    let chat = Chat { template, messages: &marked, tools: &tools };
    let whole = chat.render(marked.len(), GenerationPrompt::None);
    let is_marked = whole.as_ref().is_ok_and(|whole| !whole.generated.is_empty());
    if turns == ModelTurns::Last || (is_only_turn && !is_marked) {
        let opened = chat.render(prompt.len(), GenerationPrompt::Open)?.text;
        let written = match &whole {
            Ok(whole) => whole.text.strip_prefix(opened.as_str()),
            Err(_) => None,
        };
        // What is text alone is read as an engine reads it that scores the text after the prompt.
        let thoughts = response.reasoning_content.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let plain = |text: &str| tokenizer.encode(text, SpecialTokens::AsText);
        match thoughts {
            _ if !response.tool_calls.is_empty() => {}
            Some(thoughts) if written.is_some_and(|written| written.contains(thoughts)) => {}
            Some(thoughts) if thought::is_open(&opened) => {
                let ended = tokenizer.encode(&format!("\n{}\n\n", thought::CLOSE), SpecialTokens::Recognised);
                let response = plain(thoughts).into_iter().chain(ended).chain(plain(&response.content));
                let response = response.chain([tokenizer.end_of_turn()]);
                return Ok(EncodedConversation::after_prompt(tokens(tokenizer, &opened).0, response));
            }
            _ => {
                let opened = chat.render(prompt.len(), GenerationPrompt::Answer)?.text;
                let response = plain(&response.content).into_iter().chain([tokenizer.end_of_turn()]);
                return Ok(EncodedConversation::after_prompt(tokens(tokenizer, &opened).0, response));
            }
        }
    }
    let end_of_turn = tokenizer.text_of(tokenizer.end_of_turn());
    let found = chat.turns(whole?, turns, &end_of_turn)?;
    let (tokens, places) = tokens(tokenizer, &found.text);
    let mut of_model: Vec<Range<usize>> = Vec::new();
    for bytes in found.of_model {
        let start = places.partition_point(|place| place.end <= bytes.start);
        let end = places.partition_point(|place| place.start < bytes.end);
        let start = start.max(of_model.last().map_or(0, |last| last.end));
        if start < end {
            of_model.push(start..end);
        }
    }
    if of_model.is_empty() {
        return Err(refused("the template writes nothing for the model's turns"));
    }
    Ok(EncodedConversation { tokens, of_model })
}

/// A conversation and what renders it. What its messages forge of special tokens is marked.
struct Chat<'a> {
    template: &'a ChatTemplate,
    messages: &'a [Message],
    tools: &'a [Value],
}

impl Chat<'_> {
    /// The first `count` messages.
    fn render(&self, count: usize, generation: GenerationPrompt) -> Result<super::RenderedChat, ModelError> {
        let messages = &self.messages[..count];
        self.template.render(&ChatInput { tools: self.tools, ..ChatInput::new(messages, generation) })
    }

    fn turns(
        &self,
        whole: super::RenderedChat,
        turns: ModelTurns,
        end_of_turn: &str,
    ) -> Result<Turns, ModelError> {
        let last = self.messages.len() - 1;
        let mut of_model = whole.generated;
        let text = whole.text;
        if of_model.is_empty() {
            for place in 0..self.messages.len() {
                let is_wanted = turns == ModelTurns::All || place == last;
                if is_wanted && self.messages[place].role == Role::Assistant {
                    of_model.push(self.turn(&text, place, end_of_turn)?);
                }
            }
        } else if turns == ModelTurns::Last {
            let begin = common_prefix(&text, &self.render(last, GenerationPrompt::None)?.text);
            of_model.retain(|range| range.start >= begin);
        }
        Ok(Turns { text, of_model })
    }

    /// The bytes of the turn at `place`, by rendering the chat before it and the chat with it.
    fn turn(&self, whole: &str, place: usize, end_of_turn: &str) -> Result<Range<usize>, ModelError> {
        let otherwise = || {
            refused(format!(
                "the template renders the turns up to turn {} otherwise than within the whole conversation, so what the \
                 model wrote cannot be told apart; train on the last turn alone",
                place + 1
            ))
        };
        let before = self.render(place, GenerationPrompt::None)?.text;
        let opened = self.render(place, GenerationPrompt::Open)?.text;
        let begin = common_prefix(whole, &opened);
        if common_prefix(&before, &opened) > begin {
            return Err(otherwise());
        }
        let through = self.render(place + 1, GenerationPrompt::None)?.text;
        let mut end = if whole.starts_with(&through) && through.len() > begin {
            through.len()
        } else {
            // A template may leave out the thoughts of earlier turns, for example.
            let content = self.messages[place].content.trim();
            let found = if content.is_empty() { None } else { whole[begin..].find(content) };
            let end = begin + found.ok_or_else(otherwise)? + content.len();
            let after = whole[end..].trim_start();
            let gap = whole[end..].len() - after.len();
            if after.starts_with(end_of_turn) { end + gap + end_of_turn.len() } else { end }
        };
        if let Some(found) = whole[begin..end].rfind(end_of_turn).filter(|_| !end_of_turn.is_empty()) {
            end = begin + found + end_of_turn.len();
        }
        Ok(begin..end)
    }
}

/// The tokens of a rendered chat and the bytes that each comes from.
fn tokens(tokenizer: &Tokenizer, text: &str) -> (Vec<u32>, Vec<Range<usize>>) {
    let (mut tokens, mut places, mut before) = (Vec::new(), Vec::new(), 0);
    for (number, piece) in text.split(MARK).enumerate() {
        let special = if number % 2 == 0 { SpecialTokens::Recognised } else { SpecialTokens::AsText };
        for (token, place) in tokenizer.encode_with_places(piece, special) {
            tokens.push(token);
            places.push(before + place.start..before + place.end);
        }
        before += piece.len() + MARK.len_utf8();
    }
    (tokens, places)
}

/// The number of bytes with which both texts begin, whole characters.
fn common_prefix(one: &str, other: &str) -> usize {
    one.chars()
        .zip(other.chars())
        .take_while(|(one, other)| one == other)
        .map(|(one, _)| one.len_utf8())
        .sum()
}

fn refused(reason: impl Into<String>) -> ModelError {
    let reason = reason.into();
    ModelError::ChatTemplate { source: reason.clone().into(), reason }
}
