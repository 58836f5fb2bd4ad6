//! A preference pair out of a row in any of the layouts that preference data comes in.

use std::slice;

use lancer_core::{Conversation, Message, Role};
use serde_json::{Map, Value};

use super::{
    Unused, check_characters, key, layout::joined_instruction, named, rated, system, text, tools, turns,
    without_nulls,
};
use crate::record::PreferenceRecord;

/// The names of a better and a worse response.
const SIDES: [(&str, &str); 2] = [("chosen", "rejected"), ("chosen_response", "rejected_response")];

/// The pair that a row holds, under its own key or `automatic_key`; or why it holds none.
///
/// `chosen` and `rejected` are each an answer (text, a turn, or a list of one turn) to what is under `prompt`,
/// `question`, `instruction` (and `input`), `messages` or `conversations`; or each a whole conversation (a list of turns, or
/// one text with the marks of Anthropic's `hh-rlhf`) that ends with an answer, all turns before it being the same. Of
/// responses with ratings the best is chosen and the worst rejected.
pub(crate) fn preference(
    row: Map<String, Value>,
    automatic_key: &str,
) -> Result<(PreferenceRecord, Unused), String> {
    let row = without_nulls(row);
    let key = key(&row)?.unwrap_or_else(|| automatic_key.to_owned());
    let mut unused = Unused::new();
    let sides = SIDES.into_iter().find_map(|(chosen, rejected)| Some((row.get(chosen)?, row.get(rejected)?)));
    let (mut prompt, chosen, rejected) = if let Some((chosen, rejected)) = sides {
        let before = question(&row, &mut unused)?;
        let chosen = conversation("chosen", chosen, &before, &mut unused)?;
        let rejected = conversation("rejected", rejected, &before, &mut unused)?;
        let (prompt, chosen) = answered("chosen", chosen)?;
        let (other, rejected) = answered("rejected", rejected)?;
        if prompt != other {
            return Err("`chosen` and `rejected` answer different prompts".into());
        }
        (prompt, chosen, rejected)
    } else if rated::is(&row) {
        let (prompt, chosen, rejected) = rated::best_and_worst(&row, &mut unused)?;
        checked(&prompt)?;
        (prompt, said("best response", chosen)?, said("worst response", rejected)?)
    } else {
        return Err(format!(
            "found {}; a preference pair is `chosen` and `rejected`, with `prompt` or as whole conversations, or \
             responses with ratings, or a response with a `label`",
            named(&row)
        ));
    };
    if chosen == rejected {
        return Err("`chosen` and `rejected` are the same text".into());
    }
    system::add(&row, &mut prompt)?;
    let prompt = Conversation { messages: prompt, tools: tools::of_row(&row)? };
    Ok((PreferenceRecord { key, prompt, chosen, rejected }, unused))
}

/// A response that is good or bad by its label, KTO's unpaired data.
pub(crate) struct Labelled {
    pub(crate) key: String,
    pub(crate) prompt: Conversation,
    pub(crate) response: Message,
    pub(crate) is_good: bool,
}

/// The labelled response that a row holds; `None` where it has no `label`.
pub(crate) fn labelled(row: &Map<String, Value>, automatic_key: &str) -> Result<Option<Labelled>, String> {
    let Some(is_good) = row.get("label").and_then(label) else { return Ok(None) };
    if SIDES.into_iter().any(|(chosen, _)| row.contains_key(chosen)) {
        return Ok(None);
    }
    let mut row = row.clone();
    // The record is read for its response here, whichever it is.
    row.remove("label");
    let record = super::record(row, automatic_key)?;
    let prompt = record.conversation.without_response();
    let response = record.conversation.response().cloned().ok_or("there is no response")?;
    Ok(Some(Labelled { key: record.key, prompt, response, is_good }))
}

fn label(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(label) => Some(*label),
        Value::Number(number) => {
            number.as_i64().filter(|number| [0, 1].contains(number)).map(|number| number == 1)
        }
        // All values of a .csv file are text.
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// The turns before the answers, where they stand by themselves.
fn question(row: &Map<String, Value>, unused: &mut Unused) -> Result<Vec<Message>, String> {
    let names = ["prompt", "question", "instruction", "messages", "conversations"];
    let Some((name, value)) = names.into_iter().find_map(|name| Some((name, row.get(name)?))) else {
        return Ok(Vec::new());
    };
    match value {
        Value::Array(_) => messages(name, value, unused),
        _ if name == "instruction" => Ok(vec![Message::user(joined_instruction(row)?)]),
        value => Ok(vec![Message::user(text(name, value)?)]),
    }
}

/// A side with all that stands before its answer.
fn conversation(
    name: &str,
    side: &Value,
    before: &[Message],
    unused: &mut Unused,
) -> Result<Vec<Message>, String> {
    let turns = match side {
        Value::Array(_) => messages(name, side, unused)?,
        Value::Object(_) => messages(name, &Value::Array(slice::from_ref(side).to_vec()), unused)?,
        side => {
            let side = text(name, side)?;
            if before.is_empty() {
                marked_turns(&side)
            } else {
                vec![Message::assistant(side).with_thought_apart()]
            }
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
fn answered(name: &str, mut turns: Vec<Message>) -> Result<(Vec<Message>, Message), String> {
    turns.retain(|turn| turn.role != Role::System || !turn.content.trim().is_empty());
    let answer = turns.pop().filter(|turn| turn.role == Role::Assistant);
    let answer = answer.ok_or_else(|| format!("`{name}` does not end with an answer"))?;
    if turns.last().is_none_or(|turn| turn.role != Role::User && turn.role != Role::Tool) {
        return Err(format!("the answer of `{name}` does not come after a user's turn"));
    }
    checked(&turns)?;
    Ok((turns, said(name, answer)?))
}

fn checked(prompt: &[Message]) -> Result<(), String> {
    prompt.iter().try_for_each(check_characters)?;
    let user = prompt.iter().rev().find(|turn| turn.role == Role::User).ok_or("no turn of a user")?;
    if user.content.trim().is_empty() { Err("the prompt is empty".into()) } else { Ok(()) }
}

fn said(name: &str, answer: Message) -> Result<Message, String> {
    check_characters(&answer)?;
    if answer.said().trim().is_empty() { Err(format!("the {name} is empty")) } else { Ok(answer) }
}

fn messages(name: &str, turns: &Value, unused: &mut Unused) -> Result<Vec<Message>, String> {
    turns::read(name, turns, unused).map_err(|reason| format!("`{name}`: {reason}"))
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
        turns.push(Message::new(role, after[..end].trim()));
        rest = &after[end..];
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(row: &str) -> Result<PreferenceRecord, String> {
        preference(serde_json::from_str(row).unwrap(), "file-1").map(|(record, _)| record)
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
            let expected = PreferenceRecord {
                key: "file-1".into(),
                prompt: vec![Message::user("p")].into(),
                chosen: Message::assistant("good"),
                rejected: Message::assistant("bad"),
            };
            assert_eq!(found, expected, "{row}");
        }
    }

    #[test]
    fn a_conversation_of_more_turns_is_the_prompt() {
        let row = r#"{"id":7,"system":"s","chosen":"\n\nHuman: p\n\nAssistant: a\n\nHuman: q\n\nAssistant: good","rejected":"\n\nHuman: p\n\nAssistant: a\n\nHuman: q\n\nAssistant: bad"}"#;
        let found = read(row).unwrap();
        let system = Message::system("s");
        assert_eq!(
            found.prompt.messages,
            [system, Message::user("p"), Message::assistant("a"), Message::user("q")]
        );
        assert_eq!(
            (found.key.as_str(), found.chosen.content.as_str(), found.rejected.content.as_str()),
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

    #[test]
    fn the_best_of_rated_responses_is_chosen_and_the_worst_rejected() {
        for row in [
            r#"{"instruction":"p","completions":[{"response":"fair","overall_score":5},{"response":"bad","overall_score":2.5},{"response":"good","overall_score":"8"}]}"#,
            r#"{"prompt":"p","responses":["bad","good"],"ratings":[1,2]}"#,
        ] {
            let found = read(row).unwrap_or_else(|reason| panic!("{row}: {reason}"));
            assert_eq!(
                (found.chosen.content.as_str(), found.rejected.content.as_str()),
                ("good", "bad"),
                "{row}"
            );
        }
        let equal = r#"{"prompt":"p","responses":["a","b"],"ratings":[2,2]}"#;
        assert!(read(equal).unwrap_err().contains("the same rating"));
    }

    #[test]
    fn calls_and_thoughts_belong_to_a_side() {
        let row = r#"{"prompt":"Rain?","chosen":[{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"weather","arguments":"{}"}}]}],"rejected":"<think>\nNo.\n</think>\n\nNo idea."}"#;
        let found = read(row).unwrap();
        assert_eq!(found.chosen.tool_calls[0].name, "weather");
        assert_eq!(found.rejected, Message::assistant("No idea.").with_reasoning("No."));
    }
}
