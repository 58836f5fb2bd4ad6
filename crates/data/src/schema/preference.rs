//! A preference pair out of a row in any of the layouts that preference data comes in.

use serde_json::{Map, Value};

use super::{check, joined_instruction, key, kind, named, text};
use crate::{
    conversation::read_turn,
    record::{Message, PreferencePair, Role},
};

/// The pair that a row holds, under its own key or `automatic_key`; or why it holds none.
///
/// `chosen` and `rejected` are each an answer (text, a turn, or a list of one turn) to what stands under `prompt`,
/// `question`, `instruction` (and `input`), `messages` or `conversations`; or each a whole conversation (a list of turns, or
/// one text with the marks of Anthropic's `hh-rlhf`) that ends with an answer, all turns before it being the same.
pub(crate) fn preference(mut row: Map<String, Value>, automatic_key: &str) -> Result<PreferencePair, String> {
    row.retain(|_, value| !value.is_null());
    let key = key(&row)?.unwrap_or_else(|| automatic_key.to_owned());
    let (Some(chosen), Some(rejected)) = (row.get("chosen"), row.get("rejected")) else {
        return Err(format!(
            "found {}; a preference pair is `chosen` and `rejected`, with `prompt` or as whole conversations",
            named(&row)
        ));
    };
    let before = question(&row)?;
    let chosen = conversation("chosen", chosen, &before)?;
    let rejected = conversation("rejected", rejected, &before)?;
    let (mut prompt, chosen) = answered("chosen", chosen)?;
    let (other, rejected) = answered("rejected", rejected)?;
    if prompt != other {
        return Err("`chosen` and `rejected` answer different prompts".into());
    }
    if chosen == rejected {
        return Err("`chosen` and `rejected` are the same text".into());
    }
    if let Some(system) = row.get("system").filter(|_| prompt[0].role != Role::System) {
        let system = text("system", system)?;
        if !system.trim().is_empty() {
            prompt.insert(0, Message { role: Role::System, content: system });
        }
    }
    Ok(PreferencePair { key, prompt, chosen, rejected })
}

/// The turns before the answers, where they stand by themselves.
fn question(row: &Map<String, Value>) -> Result<Vec<Message>, String> {
    let names = ["prompt", "question", "instruction", "messages", "conversations"];
    let Some((name, value)) = names.into_iter().find_map(|name| Some((name, row.get(name)?))) else {
        return Ok(Vec::new());
    };
    match value {
        Value::Array(turns) => messages(name, turns),
        _ if name == "instruction" => Ok(vec![Message::user(joined_instruction(row)?)]),
        value => Ok(vec![Message::user(text(name, value)?)]),
    }
}

/// A side with all that stands before its answer.
fn conversation(name: &str, side: &Value, before: &[Message]) -> Result<Vec<Message>, String> {
    let turns = match side {
        Value::Array(turns) => messages(name, turns)?,
        Value::Object(_) => messages(name, std::slice::from_ref(side))?,
        side => {
            let side = text(name, side)?;
            if before.is_empty() { marked_turns(&side) } else { vec![Message::assistant(side)] }
        }
    };
    if turns.first().is_some_and(|turn| turn.role != Role::Assistant) {
        return Ok(turns);
    }
    if before.is_empty() {
        return Err(format!("there is no `prompt`, and `{name}` does not begin with one"));
    }
    Ok(before.iter().cloned().chain(turns).collect())
}

/// The answer at the end of a conversation, and what is before it.
fn answered(name: &str, mut turns: Vec<Message>) -> Result<(Vec<Message>, String), String> {
    let answer = turns.pop().filter(|turn| turn.role == Role::Assistant);
    let answer = answer.ok_or_else(|| format!("`{name}` does not end with an answer"))?;
    if turns.last().is_none_or(|turn| turn.role != Role::User) {
        return Err(format!("the answer of `{name}` does not come after a user's turn"));
    }
    check(name, &answer.content)?;
    turns.iter().try_for_each(|turn| check("prompt", &turn.content))?;
    Ok((turns, answer.content))
}

fn messages(name: &str, turns: &[Value]) -> Result<Vec<Message>, String> {
    (1..)
        .zip(turns)
        .map(|(place, turn)| match turn {
            Value::Object(_) => read_turn(place, turn).map(|(role, content)| Message { role, content }),
            other => Err(format!("turn {place} is {}, not an object", kind(other))),
        })
        .collect::<Result<_, _>>()
        .map_err(|reason| format!("`{name}`: {reason}"))
}

/// The turns of a text in which `\n\nHuman:` and `\n\nAssistant:` begin them, as in Anthropic's `hh-rlhf`.
fn marked_turns(text: &str) -> Vec<Message> {
    const MARKS: [(&str, Role); 2] = [("\n\nHuman:", Role::User), ("\n\nAssistant:", Role::Assistant)];
    let first = |text: &str| {
        MARKS
            .into_iter()
            .filter_map(|(mark, role)| Some((text.find(mark)?, mark.len(), role)))
            .min_by_key(|(place, _, _)| *place)
    };
    let mut turns = Vec::new();
    let mut rest = text;
    while let Some((place, length, role)) = first(rest) {
        let after = &rest[place + length..];
        let end = first(after).map_or(after.len(), |(place, _, _)| place);
        turns.push(Message { role, content: after[..end].trim().to_owned() });
        rest = &after[end..];
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(row: &str) -> Result<PreferencePair, String> {
        preference(serde_json::from_str(row).unwrap(), "file-1")
    }

    #[test]
    fn every_layout_is_recognised() {
        for row in [
            r#"{"prompt":"p","chosen":"good","rejected":"bad"}"#,
            // Intel's orca_dpo_pairs.
            r#"{"system":"","question":"p","chosen":"good","rejected":"bad"}"#,
            // LLaMA-Factory's two.
            r#"{"instruction":"p","input":"","chosen":"good","rejected":"bad"}"#,
            r#"{"conversations":[{"from":"human","value":"p"}],"chosen":{"from":"gpt","value":"good"},"rejected":{"from":"gpt","value":"bad"}}"#,
            // TRL's, with the prompt by itself and within.
            r#"{"prompt":[{"role":"user","content":"p"}],"chosen":[{"role":"assistant","content":"good"}],"rejected":[{"role":"assistant","content":"bad"}]}"#,
            r#"{"chosen":[{"role":"user","content":"p"},{"role":"assistant","content":"good"}],"rejected":[{"role":"user","content":"p"},{"role":"assistant","content":"bad"}]}"#,
            // ultrafeedback_binarized has both.
            r#"{"prompt":"p","prompt_id":"1","chosen":[{"role":"user","content":"p"},{"role":"assistant","content":"good"}],"rejected":[{"role":"user","content":"p"},{"role":"assistant","content":"bad"}],"messages":null,"score_chosen":8.0}"#,
            // hh-rlhf.
            r#"{"chosen":"\n\nHuman: p\n\nAssistant: good","rejected":"\n\nHuman: p\n\nAssistant: bad"}"#,
        ] {
            let found = read(row).unwrap_or_else(|reason| panic!("{row}: {reason}"));
            let expected = PreferencePair {
                key: "file-1".into(),
                prompt: vec![Message::user("p")],
                chosen: "good".into(),
                rejected: "bad".into(),
            };
            assert_eq!(found, expected, "{row}");
        }
    }

    #[test]
    fn a_conversation_of_more_turns_is_the_prompt() {
        let row = r#"{"id":7,"system":"s","chosen":"\n\nHuman: p\n\nAssistant: a\n\nHuman: q\n\nAssistant: good","rejected":"\n\nHuman: p\n\nAssistant: a\n\nHuman: q\n\nAssistant: bad"}"#;
        let found = read(row).unwrap();
        let system = Message { role: Role::System, content: "s".into() };
        assert_eq!(found.prompt, [system, Message::user("p"), Message::assistant("a"), Message::user("q")]);
        assert_eq!(
            (found.key.as_str(), found.chosen.as_str(), found.rejected.as_str()),
            ("7", "good", "bad")
        );
    }

    #[test]
    fn what_is_no_pair_says_why() {
        for (row, reason) in [
            (r#"{"prompt":"p","chosen":"good"}"#, "found `prompt`, `chosen`; a preference pair is"),
            (
                r#"{"chosen":"good","rejected":"bad"}"#,
                "there is no `prompt`, and `chosen` does not begin with one",
            ),
            (r#"{"prompt":"p","chosen":"same","rejected":"same"}"#, "are the same text"),
            (r#"{"prompt":"p","chosen":3,"rejected":"bad"}"#, "`chosen` is a number, not text"),
            (r#"{"prompt":"p","chosen":" ","rejected":"bad"}"#, "the chosen is empty"),
            (r#"{"prompt":"p\u0000","chosen":"a","rejected":"b"}"#, "the prompt has a NUL"),
            (r#"{"prompt":"p","chosen":["a"],"rejected":"b"}"#, "`chosen`: turn 1 is text, not an object"),
            (r#"{"prompt":"p","chosen":[],"rejected":"b"}"#, "`chosen` does not end with an answer"),
            (
                r#"{"chosen":"\n\nHuman: p\n\nAssistant: good","rejected":"\n\nHuman: q\n\nAssistant: bad"}"#,
                "answer different prompts",
            ),
            (
                r#"{"prompt":"p","chosen":[{"role":"assistant","content":"a"},{"role":"assistant","content":"b"}],"rejected":"c"}"#,
                "does not come after a user's turn",
            ),
        ] {
            let found = read(row).unwrap_err();
            assert!(found.contains(reason), "{row}: {found}");
        }
    }
}
