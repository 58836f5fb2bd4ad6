//! A system prompt in a field of its own.

use lancer_core::{Message, Role};
use serde_json::{Map, Value};

use super::text;

/// Its field.
pub(super) const FIELD: &str = "system";

/// Puts the row's system prompt before the turns, unless they have one.
pub(super) fn add(row: &Map<String, Value>, messages: &mut Vec<Message>) -> Result<(), String> {
    if messages.first().is_some_and(|first| first.role == Role::System) {
        return Ok(());
    }
    let system = row.get(FIELD).map_or(Ok(String::new()), |system| text(FIELD, system))?;
    if !system.trim().is_empty() {
        messages.insert(0, Message::system(system));
    }
    Ok(())
}
