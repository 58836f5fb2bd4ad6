//! Reading an instruction's arguments, with errors that name them.

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::relation::Relation;
use crate::{EvalError, record::Record};

/// The arguments of one instruction. One that is null, zero or empty counts as absent, as it does for
/// lm-evaluation-harness, which would then draw one at random; here it is an error.
pub(crate) struct Arguments<'a> {
    pub(crate) record: &'a Record<'a>,
    pub(crate) instruction: &'a str,
    pub(crate) values: &'a Map<String, Value>,
}

impl Arguments<'_> {
    pub(crate) fn error(&self, name: &str, reason: &str) -> EvalError {
        self.record.error(name, format!("the instruction `{}` {reason}", self.instruction))
    }

    /// A count of at least 1.
    pub(crate) fn number(&self, name: &str) -> Result<usize, EvalError> {
        let value = self.values.get(name).and_then(Value::as_f64);
        let whole = value.filter(|value| value.fract() == 0.0 && (1.0..=1e9).contains(value));
        whole
            .map(|value| value as usize)
            .ok_or_else(|| self.error(name, "needs this argument, a whole number of at least 1"))
    }

    /// A text that is not empty, without white space at its ends.
    pub(crate) fn text(&self, name: &str) -> Result<String, EvalError> {
        let text = self.values.get(name).and_then(Value::as_str).map(str::trim);
        let text = text.filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or_else(|| self.error(name, "needs this argument, a text"))
    }

    /// A list of at least one text, as they stand.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, EvalError> {
        let values = self.values.get(name).and_then(Value::as_array);
        let texts: Option<Vec<String>> = values
            .filter(|values| !values.is_empty())
            .and_then(|values| values.iter().map(|value| value.as_str().map(str::to_owned)).collect());
        texts.ok_or_else(|| self.error(name, "needs this argument, a list of texts"))
    }

    pub(crate) fn relation(&self, name: &str) -> Result<Relation, EvalError> {
        let value = self.values.get(name).cloned().unwrap_or_default();
        serde_json::from_value(value)
            .map_err(|_| self.error(name, "needs this argument, `less than` or `at least`"))
    }

    /// A regular expression of which the argument `name` is a part.
    pub(crate) fn pattern(&self, name: &str, source: &str) -> Result<Regex, EvalError> {
        RegexBuilder::new(source).case_insensitive(true).multi_line(true).build().map_err(|error| {
            self.error(name, &format!("reads this argument as a regular expression: {error}"))
        })
    }

    /// A regular expression that does not depend on an argument's text.
    pub(crate) fn constant(&self, source: &str) -> Result<Regex, EvalError> {
        Regex::new(source)
            .map_err(|error| self.error("instruction", &format!("has a wrong regular expression: {error}")))
    }
}
