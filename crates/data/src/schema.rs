//! A pair out of a row in any of the layouts that instruction data comes in.

mod preference;

use serde_json::{Map, Value};

use crate::{conversation, record::Pair};

pub(crate) use preference::preference;

/// The pair that a row holds, under its own key or `automatic_key`; or why it holds none.
///
/// Known layouts, the first that is complete counts: `prompt` with `response` or `completion`; `instruction` (and
/// `input`) with `output` or `response`; `messages`; `conversations`; `data`, the alternate turns of `UltraChat`. Text
/// under `system` stands before the prompt.
pub(crate) fn pair(mut row: Map<String, Value>, automatic_key: &str) -> Result<Pair, String> {
    row.retain(|_, value| !value.is_null());
    let key = key(&row)?.unwrap_or_else(|| automatic_key.to_owned());
    let has = |name: &str| row.contains_key(name);
    let answer = |names: [&'static str; 2]| names.into_iter().find(|name| has(name));

    let (prompt, response) = if let (true, Some(answer)) = (has("prompt"), answer(["response", "completion"]))
    {
        match (&row["prompt"], &row[answer]) {
            (Value::Array(before), Value::Array(after)) => {
                conversation::first_exchange(before.iter().chain(after))?
            }
            (prompt, response) => (text("prompt", prompt)?, text(answer, response)?),
        }
    } else if let (true, Some(answer)) = (has("instruction"), answer(["output", "response"])) {
        (joined_instruction(&row)?, text(answer, &row[answer])?)
    } else if let Some(name) = ["messages", "conversations"].into_iter().find(|name| has(name)) {
        conversation::first_exchange(turns(name, &row[name])?)?
    } else if has("data") {
        conversation::first_alternate(turns("data", &row["data"])?)?
    } else {
        return Err(unknown(&row));
    };
    let system = row.get("system").map_or(Ok(String::new()), |system| text("system", system))?;
    let prompt = if system.trim().is_empty() { prompt } else { format!("{system}\n\n{prompt}") };
    check("prompt", &prompt)?;
    check("response", &response)?;
    Ok(Pair { key, prompt, response })
}

/// Alpaca's instruction, and its input after an empty line.
fn joined_instruction(row: &Map<String, Value>) -> Result<String, String> {
    let field = |name: &str| row.get(name).map_or(Ok(String::new()), |value| text(name, value));
    let (instruction, input) = (field("instruction")?, field("input")?);
    Ok(if input.trim().is_empty() { instruction } else { format!("{instruction}\n\n{input}") })
}

/// The text under `key` or `id`; a whole number is one too.
fn key(row: &Map<String, Value>) -> Result<Option<String>, String> {
    for name in ["key", "id"] {
        match row.get(name) {
            None => {}
            Some(Value::String(text)) if text.trim().is_empty() => {}
            Some(Value::String(text)) if text.contains('\0') => return Err(nul(name)),
            Some(Value::String(text)) => return Ok(Some(text.clone())),
            Some(Value::Number(number)) if number.is_i64() || number.is_u64() => {
                return Ok(Some(number.to_string()));
            }
            Some(other) => return Err(format!("`{name}` is {}, not text or a whole number", kind(other))),
        }
    }
    Ok(None)
}

/// The text of a field.
pub(crate) fn text(name: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        other => Err(format!("`{name}` is {}, not text", kind(other))),
    }
}

fn turns<'a>(name: &str, value: &'a Value) -> Result<&'a Vec<Value>, String> {
    value.as_array().ok_or_else(|| format!("`{name}` is {}, not a list of turns", kind(value)))
}

fn check(name: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err(format!("the {name} is empty"));
    }
    if text.contains('\0') {
        return Err(nul(name));
    }
    Ok(())
}

/// Neither C strings, which tokenizers take, nor database tools keep what follows a NUL.
fn nul(name: &str) -> String {
    format!("the {name} has a NUL character in it")
}

fn unknown(row: &Map<String, Value>) -> String {
    format!(
        "found {}; a pair is `prompt` and `response` (or `completion`), `instruction` and `output`, `messages` or \
         `conversations`",
        named(row)
    )
}

/// The names of a row's fields.
fn named(row: &Map<String, Value>) -> String {
    let mut names: Vec<String> = row.keys().take(8).map(|name| format!("`{name}`")).collect();
    if row.len() > names.len() {
        names.push("...".into());
    }
    if names.is_empty() { "no field".to_owned() } else { names.join(", ") }
}

/// What a JSON value is, with its article.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(row: &str) -> Result<(String, String, String), String> {
        let row = serde_json::from_str(row).unwrap();
        pair(row, "file-1").map(|pair| (pair.key, pair.prompt, pair.response))
    }

    fn texts(key: &str, prompt: &str, response: &str) -> (String, String, String) {
        (key.into(), prompt.into(), response.into())
    }

    #[test]
    fn every_layout_is_recognised() {
        for (row, expected) in [
            (r#"{"prompt":"p","response":"r"}"#, texts("file-1", "p", "r")),
            (r#"{"key":"a","prompt":"p","completion":"r"}"#, texts("a", "p", "r")),
            (r#"{"id":7,"instruction":"p","input":"","output":"r"}"#, texts("7", "p", "r")),
            (r#"{"instruction":"p","input":"i","output":"r"}"#, texts("file-1", "p\n\ni", "r")),
            (r#"{"instruction":"p","input":null,"response":"r"}"#, texts("file-1", "p", "r")),
            (
                r#"{"id":"x","conversations":[{"from":"human","value":"p"},{"from":"gpt","value":"r"}]}"#,
                texts("x", "p", "r"),
            ),
            (
                r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"p"},{"role":"assistant","content":"r"},{"role":"user","content":"q"}]}"#,
                texts("file-1", "s\n\np", "r"),
            ),
            // UltraChat 200k repeats the first turn beside the messages.
            (
                r#"{"prompt":"p","prompt_id":"1","messages":[{"role":"user","content":"p"},{"role":"assistant","content":"r"}]}"#,
                texts("file-1", "p", "r"),
            ),
            (r#"{"system":"s","prompt":"p","response":"r"}"#, texts("file-1", "s\n\np", "r")),
            (r#"{"id":"0","data":["p","r","q"]}"#, texts("0", "p", "r")),
            // TRL's conversational prompt and completion.
            (
                r#"{"prompt":[{"role":"user","content":"p"}],"completion":[{"role":"assistant","content":"r"}]}"#,
                texts("file-1", "p", "r"),
            ),
        ] {
            assert_eq!(read(row), Ok(expected), "{row}");
        }
    }

    #[test]
    fn what_is_no_pair_says_why() {
        for (row, reason) in [
            ("{}", "found no field"),
            (r#"{"prompt":"p"}"#, "found `prompt`; a pair is"),
            (r#"{"prompt":"p","response":null}"#, "found `prompt`; a pair is"),
            (r#"{"prompt":{"text":"p"},"response":"r"}"#, "`prompt` is an object, not text"),
            (r#"{"prompt":"p","response":["r"]}"#, "`response` is a list, not text"),
            (r#"{"prompt":" ","response":"r"}"#, "the prompt is empty"),
            (r#"{"prompt":"p","response":"a\u0000b"}"#, "the response has a NUL"),
            (r#"{"id":1.5,"prompt":"p","response":"r"}"#, "`id` is a number, not text or a whole number"),
            (r#"{"messages":"p"}"#, "`messages` is text, not a list of turns"),
            (r#"{"messages":[]}"#, "no turn of a user"),
            (r#"{"messages":[{"role":"user","content":"p"}]}"#, "nothing after the first user turn"),
            (
                r#"{"messages":[{"role":"user","content":"p"},{"role":"user","content":"q"}]}"#,
                "turn 2, after the first user turn, is not an answer",
            ),
            (
                r#"{"messages":[{"role":"user","content":[{"type":"text","text":"p"}]}]}"#,
                "turn 1: `content` is a list, not text",
            ),
            (r#"{"messages":[{"role":"tool","content":"p"}]}"#, "turn 1: the role `tool` is not known"),
            (r#"{"messages":[{"content":"p"}]}"#, "turn 1 has no `role`"),
            (r#"{"messages":["p"]}"#, "turn 1 is text, not an object"),
            (r#"{"data":["p"]}"#, "nothing after the first turn"),
        ] {
            let found = read(row).unwrap_err();
            assert!(found.contains(reason), "{row}: {found}");
        }
    }
}
