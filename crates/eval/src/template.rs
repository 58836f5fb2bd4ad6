//! Templates of prompts: Jinja, as in lm-evaluation-harness's task files.

use minijinja::{Error, ErrorKind, State, UndefinedBehavior};
use regex::Regex;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

/// A Jinja template over the fields of a record, such as `Question: {{ question }}`.
///
/// A field that a record lacks is an error and not an empty text. As in lm-evaluation-harness, the filter
/// `regex_replace(pattern, replacement)` replaces what matches a regular expression.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(lancer_jinja::Template);

/// Why a template did not render: the field or the place, and the reason.
pub(crate) struct RenderError {
    pub(crate) field: Option<String>,
    pub(crate) reason: String,
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(source: String) -> Result<Self, Self::Error> {
        let template = Self::read(&source)?;
        if template.fields().is_empty() {
            return Err("the template uses no field of the records; write a field as {{ field }}".into());
        }
        Ok(template)
    }
}

impl Template {
    /// A template that may be the same for every record.
    fn read(source: &str) -> Result<Self, String> {
        let mut environment = lancer_jinja::environment();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_keep_trailing_newline(true);
        environment.add_filter("regex_replace", regex_replace);
        lancer_jinja::Template::new(environment, source).map(Self).map_err(|error| error.to_string())
    }

    /// The fields that the template uses, in the order of the alphabet.
    pub fn fields(&self) -> Vec<String> {
        self.0.names()
    }

    pub(crate) fn render(&self, record: &Map<String, Value>) -> Result<String, RenderError> {
        let rendered = self.0.render(record);
        rendered.map_err(|error| {
            let field = self.fields().into_iter().find(|field| !record.contains_key(field));
            let reason = match field {
                Some(_) => format!("the record has no such field; it has {}", names(record)),
                None => error.to_string(),
            };
            RenderError { field, reason }
        })
    }
}

/// Reads a template that need not use a field.
pub(crate) fn constant_or_template<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Template>, D::Error> {
    let source = Option::<String>::deserialize(deserializer)?;
    source.as_deref().map(Template::read).transpose().map_err(de::Error::custom)
}

/// `text` with every match of `pattern` replaced. Where the replacement has `$1`, the first group is put.
fn regex_replace(
    state: &State<'_, '_>,
    text: &str,
    pattern: &str,
    replacement: &str,
) -> Result<String, Error> {
    let pattern =
        Regex::new(pattern).map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))?;
    // A `$` may put what was matched: all matches together are at most the text.
    let put = pattern.find_iter(text).count().saturating_mul(replacement.len());
    let matched = replacement.matches('$').count().saturating_mul(text.len());
    lancer_jinja::charge(state, text.len().saturating_add(put).saturating_add(matched))?;
    Ok(pattern.replace_all(text, replacement).into_owned())
}

/// The fields of a record, for a message.
pub(crate) fn names(record: &Map<String, Value>) -> String {
    if record.is_empty() {
        return "none".into();
    }
    record.keys().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(source: &str) -> Result<Template, String> {
        Template::try_from(source.to_string())
    }

    fn record(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn white_space_and_markup_stay_as_they_are() {
        let text =
            template("Q: {{ q }}\nA:\n").unwrap().render(&record(&json!({"q": "<b> {{ x }} & \"y\""})));
        assert_eq!(text.ok().unwrap(), "Q: <b> {{ x }} & \"y\"\nA:\n");
    }

    #[test]
    fn matches_are_replaced() {
        let text = template(r#"{{ q | regex_replace("\\[.*?\\]", "") }}"#).unwrap();
        assert_eq!(text.render(&record(&json!({"q": "a [b] c [d]"}))).ok().unwrap(), "a  c ");
        let wrong = template(r#"{{ q | regex_replace("(", "") }}"#).unwrap();
        assert!(wrong.render(&record(&json!({"q": "a"}))).err().unwrap().reason.contains("unclosed group"));
    }

    #[test]
    fn a_missing_field_is_named() {
        let error = template("{{ q }} {{ r }}").unwrap().render(&record(&json!({"q": "a"}))).err().unwrap();
        assert_eq!(error.field.as_deref(), Some("r"));
        assert!(error.reason.contains("it has `q`"), "{}", error.reason);
    }

    #[test]
    fn a_template_without_a_field_or_with_wrong_syntax_is_refused() {
        assert!(template("question").unwrap_err().contains("{{ field }}"));
        assert!(template("{{ question").is_err());
    }
}
