//! To what a server can hold a text, and in which field it takes it.

use lancer_backend::{Constraint, Grammar, Sampling};

use super::Probe;
use crate::{ChoicesField, RegexField, SchemaField, ServerError, body, body::Asked};

/// Tokens that are enough for the texts asked for here.
const TOKENS: usize = 32;

const PATTERN: &str = "[0-9]{4}-[0-9]{2}";
const SCHEMA: &str = r#"{"type":"object","properties":{"sea":{"enum":["blue","green"]}},"required":["sea"],"additionalProperties":false}"#;

impl Probe<'_> {
    /// Tries each field that its software may know. A server that passes an unknown field over is seen by its text.
    pub(super) fn structure(&mut self) -> Result<(), ServerError> {
        for field in [RegexField::StructuredOutputs, RegexField::Regex] {
            self.can.regex = Some(field);
            let text = self.held(&Constraint::Grammar(Grammar::Regex(PATTERN.into())))?;
            if is_date(&text) {
                break;
            }
            self.can.regex = None;
        }
        for field in [
            SchemaField::StructuredOutputs,
            SchemaField::JsonSchema,
            SchemaField::JsonSchemaText,
            SchemaField::ResponseFormat,
        ] {
            self.can.json_schema = Some(field);
            let text = self.held(&Constraint::Grammar(Grammar::JsonSchema(SCHEMA.into())))?;
            if is_sea(&text) {
                self.can.white_space_in_json = text.contains(char::is_whitespace);
                break;
            }
            self.can.json_schema = None;
        }
        let choices = Constraint::Choices(vec!["vast.".into(), "vast and (wide)".into(), "3".into()]);
        for field in [ChoicesField::StructuredOutputs, ChoicesField::Regex, ChoicesField::Grammar] {
            self.can.choices = Some(field);
            let text = self.held(&choices)?;
            if matches!(&choices, Constraint::Choices(choices) if choices.contains(&text)) {
                break;
            }
            self.can.choices = None;
        }
        Ok(())
    }

    /// A greedy text under a constraint; empty where the server does not take it.
    fn held(&self, constraint: &Constraint) -> Result<String, ServerError> {
        let asked = Asked {
            sampling: Sampling::Greedy,
            penalties: None,
            seed: None,
            stop: &[],
            constraint,
            ends: self.vocabulary.end_tokens(),
        };
        let texts = self.texts(body::of_samples(self.can, &asked, TOKENS, 1))?;
        Ok(texts.into_iter().next().unwrap_or_default())
    }
}

fn is_date(text: &str) -> bool {
    let parts = text.split_once('-');
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    parts.is_some_and(|(year, month)| digits(year, 4) && digits(month, 2))
}

fn is_sea(text: &str) -> bool {
    let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    value.as_object().is_some_and(|fields| fields.len() == 1)
        && ["blue", "green"].iter().any(|colour| value["sea"] == *colour)
}
