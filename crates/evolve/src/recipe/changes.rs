//! Single settings, changed by their names.

use serde::{Serialize, de::DeserializeOwned};
use toml::{Table, Value};

use super::wording::in_words;
use crate::error::EvolveError;

/// Settings with single ones changed, each as `section.name=value`, the value in TOML (a bare word is text).
///
/// # Errors
/// [`EvolveError::Recipe`] naming the setting that does not exist or whose value does not fit.
pub fn with_changes<T: Serialize + DeserializeOwned>(
    settings: &T,
    changes: &[String],
) -> Result<T, EvolveError> {
    let all = || changes.join(", ").into();
    let mut table = Table::try_from(settings)
        .map_err(|error| EvolveError::Recipe { path: all(), reason: error.to_string() })?;
    for change in changes {
        let wrong = |reason: String| EvolveError::Recipe { path: change.into(), reason };
        let (name, value) = change
            .split_once('=')
            .ok_or_else(|| wrong("a setting is changed as `section.name=value`".into()))?;
        set(&mut table, name.trim(), parse(value.trim())).map_err(wrong)?;
    }
    table.try_into().map_err(|error: toml::de::Error| EvolveError::Recipe {
        path: all(),
        reason: in_words(error.message()),
    })
}

fn parse(value: &str) -> Value {
    toml::from_str::<Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(value.to_owned()))
}

fn set(table: &mut Table, name: &str, value: Value) -> Result<(), String> {
    let Some((section, rest)) = name.split_once('.') else {
        // Another kind has other settings: none of the old one's may stay.
        if name == "kind" {
            table.clear();
        }
        table.insert(name.to_owned(), value);
        return Ok(());
    };
    match table.entry(section).or_insert_with(|| Value::Table(Table::new())) {
        Value::Table(inner) => set(inner, rest, value),
        _ => Err(format!("`{section}` is not a section")),
    }
}
