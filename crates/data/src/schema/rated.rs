//! Prompts with several responses and their ratings: `UltraFeedback`'s `completions`, or `responses` beside `ratings`.

use lancer_core::Message;
use serde_json::{Map, Value};

use super::{Unused, kind, layout::joined_instruction, text};

/// Names of a prompt, of a list of responses, and of the list of their ratings.
const PROMPTS: [&str; 3] = ["prompt", "instruction", "question"];
const RESPONSES: [&str; 4] = ["completions", "responses", "generations", "answers"];
const RATINGS: [&str; 2] = ["ratings", "scores"];

/// Names of a response's text and of its rating within `completions`.
const TEXTS: [&str; 3] = ["response", "text", "content"];
const RATING: [&str; 5] = ["overall_score", "overall_rating", "fine-grained_score", "rating", "score"];

fn first<'a>(names: &[&'static str], row: &'a Map<String, Value>) -> Option<(&'static str, &'a Value)> {
    names.iter().find_map(|&name| Some((name, row.get(name)?)))
}

/// Whether a row is one of these.
pub(super) fn is(row: &Map<String, Value>) -> bool {
    let is_list = first(&RESPONSES, row).is_some_and(|(_, value)| value.is_array());
    first(&PROMPTS, row).is_some() && is_list
}

/// Whether a field holds part of what is read here.
pub(super) fn is_field(name: &str) -> bool {
    PROMPTS.contains(&name) || RESPONSES.contains(&name) || RATINGS.contains(&name)
}

/// The responses of a row with their ratings, in their order.
fn rated(row: &Map<String, Value>) -> Result<Vec<(f64, Message)>, String> {
    let (name, responses) = first(&RESPONSES, row).ok_or("there are no responses")?;
    let responses =
        responses.as_array().ok_or_else(|| format!("`{name}` is {}, not a list", kind(responses)))?;
    let ratings = first(&RATINGS, row).and_then(|(_, ratings)| ratings.as_array());
    if ratings.is_some_and(|ratings| ratings.len() != responses.len()) {
        return Err(format!("`{name}` has {} responses, and there are not as many ratings", responses.len()));
    }
    let read = |(place, response): (usize, &Value)| {
        let (said, own) = match response {
            Value::Object(fields) => {
                let (name, said) = first(&TEXTS, fields)
                    .ok_or_else(|| format!("response {} has no `response` and no `text`", place + 1))?;
                (text(name, said)?, first(&RATING, fields).map(|(_, rating)| rating))
            }
            other => (text(name, other)?, None),
        };
        let rating = own.or_else(|| ratings.map(|ratings| &ratings[place])).and_then(number);
        let rating = rating.ok_or_else(|| format!("response {} has no rating", place + 1))?;
        Ok((rating, Message::assistant(said).with_thought_apart()))
    };
    let rated: Vec<(f64, Message)> = responses.iter().enumerate().map(read).collect::<Result<_, String>>()?;
    if rated.is_empty() { Err(format!("`{name}` is empty")) } else { Ok(rated) }
}

/// A number, or a text that is one.
fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    number.filter(|number| number.is_finite())
}

fn prompt(row: &Map<String, Value>, unused: &mut Unused) -> Result<Vec<Message>, String> {
    let (name, value) = first(&PROMPTS, row).ok_or("there is no prompt")?;
    match value {
        Value::Array(_) => super::turns::read(name, value, unused),
        _ if name == "instruction" => Ok(vec![Message::user(joined_instruction(row)?)]),
        value => Ok(vec![Message::user(text(name, value)?)]),
    }
}

/// The prompt, and the response with the best rating; the first among equals.
pub(super) fn best(row: &Map<String, Value>, unused: &mut Unused) -> Result<Vec<Message>, String> {
    let mut messages = prompt(row, unused)?;
    let mut best: Option<(f64, Message)> = None;
    for (rating, response) in rated(row)? {
        if best.as_ref().is_none_or(|(known, _)| rating > *known) {
            best = Some((rating, response));
        }
    }
    unused.push("responses with lower ratings".into());
    messages.extend(best.map(|(_, response)| response));
    Ok(messages)
}

/// The prompt, the response with the best rating and that with the worst.
pub(super) fn best_and_worst(
    row: &Map<String, Value>,
    unused: &mut Unused,
) -> Result<(Vec<Message>, Message, Message), String> {
    let messages = prompt(row, unused)?;
    let mut rated = rated(row)?;
    // Stable: the first among equals is taken for the better one, the last for the worse one.
    rated.sort_by(|one, other| other.0.total_cmp(&one.0));
    let (Some(best), Some(worst)) = (rated.first(), rated.last()) else {
        return Err("there are no responses".into());
    };
    if best.0 <= worst.0 {
        return Err("all responses have the same rating".into());
    }
    if rated.len() > 2 {
        unused.push("responses with ratings between the best and the worst".into());
    }
    Ok((messages, best.1.clone(), worst.1.clone()))
}
