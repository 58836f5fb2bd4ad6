//! Reading fields of a record, with errors that name the record and the field.

use std::path::Path;

use serde_json::{Map, Value};

use crate::{
    EvalError,
    template::{Template, names},
};

/// A record of the data, with its place for errors.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) data: &'a Path,
    /// From 1.
    pub(crate) number: usize,
    pub(crate) fields: &'a Map<String, Value>,
}

impl<'a> Record<'a> {
    pub(crate) fn error(&self, field: &str, reason: impl Into<String>) -> EvalError {
        EvalError::Record {
            data: self.data.into(),
            record: self.number,
            field: field.into(),
            reason: reason.into(),
        }
    }

    /// A field, or a field within fields: `choices.text`.
    pub(crate) fn get(&self, path: &str) -> Result<&'a Value, EvalError> {
        let mut parts = path.split('.');
        let first = parts.next().and_then(|name| self.fields.get(name));
        let found = match self.fields.get(path) {
            Some(value) => Some(value),
            None => parts.try_fold(first, |value, name| value.map(|value| value.get(name))).flatten(),
        };
        found.ok_or_else(|| {
            self.error(path, format!("the record has no such field; it has {}", names(self.fields)))
        })
    }

    /// A text that is not empty. Numbers and truth values are taken as they are written.
    pub(crate) fn text(&self, path: &str) -> Result<String, EvalError> {
        self.as_text(path, self.get(path)?)
    }

    /// A list of such texts, or one text as a list of one.
    pub(crate) fn texts(&self, path: &str) -> Result<Vec<String>, EvalError> {
        match self.get(path)? {
            Value::Array(values) if values.is_empty() => Err(self.error(path, "the list is empty")),
            Value::Array(values) => values.iter().map(|value| self.as_text(path, value)).collect(),
            value => Ok(vec![self.as_text(path, value)?]),
        }
    }

    /// A rendered template; `setting` is its name in the task file.
    pub(crate) fn render(&self, setting: &str, template: &Template) -> Result<String, EvalError> {
        let text = template
            .render(self.fields)
            .map_err(|error| self.error(error.field.as_deref().unwrap_or(setting), error.reason))?;
        if text.trim().is_empty() {
            return Err(self.error(setting, "the template gives an empty text"));
        }
        Ok(text)
    }

    fn as_text(&self, path: &str, value: &Value) -> Result<String, EvalError> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            other => return Err(self.error(path, format!("expected a text, found {}", kind(other)))),
        };
        if text.trim().is_empty() {
            return Err(self.error(path, "the text is empty"));
        }
        Ok(text)
    }
}

/// What a value is, for a message.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
