//! The layouts of rows: in which fields a conversation is.

use std::slice;

use lancer_core::{Conversation, Message, Role, with_thought};
use serde_json::{Map, Value};

use super::{
    Unused, rated, system, text, tools,
    turns::{self, Naming, Style},
};

/// In which fields of a row a conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A prompt and a response as texts, under these names.
    Texts { prompt: &'static str, response: &'static str },
    /// The same two as lists of turns, TRL's conversational prompt and completion.
    Lists { prompt: &'static str, response: &'static str },
    /// Alpaca's `instruction` and `input`, and the response under this name.
    Alpaca { response: &'static str },
    /// One list of turns.
    Turns(Naming),
    /// `UltraChat`'s `data`: texts, the user's and the model's in turn.
    Alternate,
    /// A prompt with several responses and their ratings, of which the best is the response.
    Rated,
}

impl Layout {
    /// The first layout for which a row has the fields: `prompt` with `response` or `completion`; `instruction` (and
    /// `input`) with `output` or `response`; `messages`; `conversations`; `data`; responses with ratings; `question` with
    /// `answer`; `input` with `output`.
    pub(super) fn of_row(row: &Map<String, Value>) -> Option<Self> {
        let has = |name: &str| row.contains_key(name);
        let answer = |names: [&'static str; 2]| names.into_iter().find(|name| has(name));
        if let (true, Some(response)) = (has("prompt"), answer(["response", "completion"])) {
            let are_lists = row["prompt"].is_array() && row[response].is_array();
            return Some(if are_lists {
                Self::Lists { prompt: "prompt", response }
            } else {
                Self::Texts { prompt: "prompt", response }
            });
        }
        if let (true, Some(response)) = (has("instruction"), answer(["output", "response"])) {
            return Some(Self::Alpaca { response });
        }
        if let Some(field) = ["messages", "conversations"].into_iter().find(|name| has(name)) {
            return Some(Self::Turns(Naming { field, style: Style::of(&row[field]) }));
        }
        if has("data") {
            return Some(Self::Alternate);
        }
        if rated::is(row) {
            return Some(Self::Rated);
        }
        let texts =
            [("question", "answer"), ("question", "response"), ("input", "output"), ("query", "response")];
        let (prompt, response) = texts.into_iter().find(|(prompt, response)| has(prompt) && has(response))?;
        Some(Self::Texts { prompt, response })
    }

    /// The layout of a conversation that comes from no row.
    pub(crate) fn of(conversation: &Conversation) -> Self {
        if conversation.is_pair() {
            Self::Texts { prompt: "prompt", response: "response" }
        } else {
            Self::Turns(Naming::MESSAGES)
        }
    }

    /// Whether a field holds part of the conversation.
    pub(super) fn is_field(self, name: &str) -> bool {
        let own = match self {
            Self::Texts { prompt, response } | Self::Lists { prompt, response } => {
                [prompt, response].contains(&name)
            }
            Self::Alpaca { response } => ["instruction", "input", response].contains(&name),
            Self::Turns(naming) => name == naming.field,
            Self::Alternate => name == "data",
            Self::Rated => rated::is_field(name),
        };
        own || name == system::FIELD || tools::FIELDS.contains(&name)
    }

    /// The turns of a row in this layout.
    pub(super) fn read(self, row: &Map<String, Value>, unused: &mut Unused) -> Result<Vec<Message>, String> {
        // A response under a label that says it is bad is not to be learnt from.
        if row.get("label") == Some(&Value::Bool(false))
            && matches!(self, Self::Texts { .. } | Self::Lists { .. })
        {
            return Err("its `label` says that the response is bad".into());
        }
        match self {
            Self::Texts { prompt, response } => Ok(vec![
                Message::user(text(prompt, &row[prompt])?),
                Message::assistant(text(response, &row[response])?).with_thought_apart(),
            ]),
            Self::Lists { prompt, response } => {
                let mut messages = turns::read(prompt, &row[prompt], unused)?;
                messages.extend(turns::read(response, &row[response], unused)?);
                Ok(messages)
            }
            Self::Alpaca { response } => {
                let mut messages = history(row)?;
                messages.push(Message::user(joined_instruction(row)?));
                messages.push(Message::assistant(text(response, &row[response])?).with_thought_apart());
                Ok(messages)
            }
            Self::Turns(naming) => turns::read(naming.field, &row[naming.field], unused),
            Self::Alternate => alternate(&row["data"]),
            Self::Rated => rated::best(row, unused),
        }
    }

    /// The fields of a conversation in this layout; `None` where it does not fit. `has_system` says whether a system prompt
    /// has a field of its own.
    pub(super) fn write(self, conversation: &Conversation, has_system: bool) -> Option<Map<String, Value>> {
        let mut row = Map::new();
        let mut messages = conversation.messages.as_slice();
        let is_text = matches!(self, Self::Texts { .. } | Self::Alpaca { .. } | Self::Alternate);
        if (has_system || is_text)
            && let [Message { role: Role::System, content, .. }, rest @ ..] = messages
        {
            row.insert(system::FIELD.into(), Value::from(content.as_str()));
            messages = rest;
        }
        match self {
            Self::Texts { prompt, response } => {
                let [asked, answered] = texts(messages)?;
                row.extend([(prompt.into(), asked.into()), (response.into(), answered.into())]);
            }
            Self::Alpaca { response } => {
                let [asked, answered] = texts(messages)?;
                row.extend([
                    ("instruction".into(), asked.into()),
                    ("input".into(), "".into()),
                    (response.into(), answered.into()),
                ]);
            }
            Self::Lists { prompt, response } => {
                let (last, before) = messages.split_last()?;
                row.insert(prompt.into(), turns::write(Style::OpenAi, before)?);
                row.insert(response.into(), turns::write(Style::OpenAi, slice::from_ref(last))?);
            }
            Self::Turns(naming) => {
                row.insert(naming.field.into(), turns::write(naming.style, messages)?);
            }
            Self::Alternate => {
                let roles = [Role::User, Role::Assistant].into_iter().cycle();
                let fits = |(turn, role): (&Message, Role)| (turn.role == role).then(|| said(turn)).flatten();
                let texts: Option<Vec<String>> = messages.iter().zip(roles).map(fits).collect();
                row.insert("data".into(), texts?.into());
            }
            Self::Rated => return None,
        }
        if !conversation.tools.is_empty() {
            row.insert("tools".into(), Value::Array(conversation.tools.clone()));
        }
        Some(row)
    }

    /// As [`write`](Self::write), for a layout into which every conversation fits.
    pub(super) fn write_always(self, conversation: &Conversation) -> Map<String, Value> {
        self.write(conversation, false).unwrap_or_default()
    }
}

/// The texts of a user's turn and an answer, where the turns are these two.
fn texts(messages: &[Message]) -> Option<[String; 2]> {
    let [user, answer] = messages else { return None };
    let fits = user.role == Role::User && answer.role == Role::Assistant;
    if fits { Some([said(user)?, said(answer)?]) } else { None }
}

/// A turn as text; `None` where it is more than that.
fn said(turn: &Message) -> Option<String> {
    let text = match &turn.reasoning_content {
        Some(thought) => with_thought(thought, &turn.content),
        None => turn.content.clone(),
    };
    let rest = Message { reasoning_content: None, ..turn.clone() };
    rest.is_text_alone().then_some(text)
}

/// Alpaca's instruction, and its input after an empty line.
pub(super) fn joined_instruction(row: &Map<String, Value>) -> Result<String, String> {
    let field = |name: &str| row.get(name).map_or(Ok(String::new()), |value| text(name, value));
    let (instruction, input) = (field("instruction")?, field("input")?);
    Ok(if input.trim().is_empty() { instruction } else { format!("{instruction}\n\n{input}") })
}

/// The earlier turns under LLaMA-Factory's `history`: a list of pairs of an instruction and the answer to it.
fn history(row: &Map<String, Value>) -> Result<Vec<Message>, String> {
    let Some(Value::Array(pairs)) = row.get("history") else { return Ok(Vec::new()) };
    let mut messages = Vec::new();
    for pair in pairs {
        let Some([asked, answered]) = pair.as_array().map(Vec::as_slice) else {
            return Err("`history` is not a list of pairs of an instruction and an answer".into());
        };
        messages.push(Message::user(text("history", asked)?));
        messages.push(Message::assistant(text("history", answered)?).with_thought_apart());
    }
    Ok(messages)
}

/// Turns that are text alone, the user's first.
fn alternate(value: &Value) -> Result<Vec<Message>, String> {
    let turns =
        value.as_array().ok_or_else(|| format!("`data` is {}, not a list of turns", super::kind(value)))?;
    let roles = [Role::User, Role::Assistant].into_iter().cycle();
    turns
        .iter()
        .zip(roles)
        .map(|(turn, role)| {
            let turn = Message::new(role, text("data", turn)?);
            Ok(if role == Role::Assistant { turn.with_thought_apart() } else { turn })
        })
        .collect()
}
