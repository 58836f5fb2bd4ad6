//! The first prompt and response of a conversation.
//!
//! A pair has one prompt and one response, so of a longer conversation the first user turn and the answer after it are
//! taken and the rest is left. System text stands before the prompt, an empty line between. An answer before the first
//! user turn is left out, as `FastChat` does with `ShareGPT`.

use serde_json::Value;

use crate::{
    record::Role,
    schema::{kind, text},
};

/// The prompt and the response of turns with `role` and `content`, or `from` and `value`.
pub(crate) fn first_exchange<'a>(
    turns: impl IntoIterator<Item = &'a Value>,
) -> Result<(String, String), String> {
    let mut before = Vec::new();
    let mut prompt = None;
    for (place, turn) in (1..).zip(turns) {
        let (role, said) = read_turn(place, turn)?;
        match (role, prompt.is_some()) {
            (Role::System, false) if said.trim().is_empty() => {}
            (Role::System, false) => before.push(said),
            (Role::Assistant, false) => {}
            (Role::User, false) => {
                before.push(said);
                prompt = Some(before.join("\n\n"));
            }
            (Role::Assistant, true) => return Ok((prompt.unwrap_or_default(), said)),
            (Role::User | Role::System, true) => {
                return Err(format!("turn {place}, after the first user turn, is not an answer"));
            }
        }
    }
    Err(match prompt {
        Some(_) => "nothing after the first user turn".into(),
        None => "no turn of a user".into(),
    })
}

/// The first two of turns that are text alone, the user's first.
pub(crate) fn first_alternate(turns: &[Value]) -> Result<(String, String), String> {
    match turns {
        [prompt, response, ..] => Ok((text("data", prompt)?, text("data", response)?)),
        [_] => Err("nothing after the first turn".into()),
        [] => Err("no turn of a user".into()),
    }
}

/// Who speaks in a turn, and what is said.
pub(crate) fn read_turn(place: usize, turn: &Value) -> Result<(Role, String), String> {
    let turn = turn.as_object().ok_or_else(|| format!("turn {place} is {}, not an object", kind(turn)))?;
    let field = |names: [&'static str; 2]| {
        names
            .into_iter()
            .find_map(|name| Some((name, turn.get(name)?)))
            .ok_or_else(|| format!("turn {place} has no `{}` and no `{}`", names[0], names[1]))
            .and_then(|(name, value)| text(name, value).map_err(|reason| format!("turn {place}: {reason}")))
    };
    let role = match field(["role", "from"])?.as_str() {
        "system" => Role::System,
        "user" | "human" => Role::User,
        "assistant" | "gpt" | "chatgpt" | "model" => Role::Assistant,
        other => {
            let other: String = other.chars().take(40).collect();
            return Err(format!(
                "turn {place}: the role `{other}` is not known; known are user and assistant"
            ));
        }
    };
    Ok((role, field(["content", "value"])?))
}
