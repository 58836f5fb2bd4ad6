//! The tools that a row offers to the model.

use serde_json::{Map, Value, json};

use super::kind;

/// The fields in which they may be: JSON schemas, or the functions alone, as the first form of `OpenAI`'s interface had them.
pub(super) const FIELDS: [&str; 2] = ["tools", "functions"];

/// The tools, as chat templates are given them.
pub(super) fn of_row(row: &Map<String, Value>) -> Result<Vec<Value>, String> {
    let Some((name, value)) = FIELDS.into_iter().find_map(|name| Some((name, row.get(name)?))) else {
        return Ok(Vec::new());
    };
    // A column of text is how LLaMA-Factory, and Parquet without a common schema, have them.
    let tools = match value {
        Value::String(text) if text.trim().is_empty() => return Ok(Vec::new()),
        Value::String(text) => {
            serde_json::from_str(text).map_err(|error| format!("`{name}` is text and not JSON: {error}"))?
        }
        value => value.clone(),
    };
    let Value::Array(tools) = tools else {
        return Err(format!("`{name}` is {}, not a list of tools", kind(&tools)));
    };
    tools.into_iter().enumerate().map(|(place, tool)| of_value(name, place + 1, tool)).collect()
}

fn of_value(name: &str, place: usize, tool: Value) -> Result<Value, String> {
    let Value::Object(fields) = &tool else {
        return Err(format!("tool {place} of `{name}` is {}, not an object", kind(&tool)));
    };
    Ok(if fields.contains_key("function") { tool } else { json!({"type": "function", "function": tool}) })
}
