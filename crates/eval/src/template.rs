//! Templates of prompts: Jinja, as in lm-evaluation-harness's task files.

use minijinja::{Environment, UndefinedBehavior};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The name of the one template of an environment.
const NAME: &str = "template";

/// A Jinja template over the fields of a record, such as `Question: {{ question }}`.
///
/// A field that a record lacks is an error and not an empty text.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Template {
    environment: Environment<'static>,
}

/// Why a template did not render: the field or the place, and the reason.
pub(crate) struct RenderError {
    pub(crate) field: Option<String>,
    pub(crate) reason: String,
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(source: String) -> Result<Self, Self::Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_keep_trailing_newline(true);
        environment.add_template_owned(NAME, source).map_err(|error| error.to_string())?;
        let template = Self { environment };
        if template.fields().is_empty() {
            return Err("the template uses no field of the records; write a field as {{ field }}".into());
        }
        Ok(template)
    }
}

impl Template {
    /// The fields that the template uses, in the order of the alphabet.
    pub fn fields(&self) -> Vec<String> {
        let fields = self.environment.get_template(NAME).map(|template| template.undeclared_variables(false));
        let mut fields: Vec<String> = fields.unwrap_or_default().into_iter().collect();
        fields.sort();
        fields
    }

    pub(crate) fn render(&self, record: &Map<String, Value>) -> Result<String, RenderError> {
        let rendered = self.environment.get_template(NAME).and_then(|template| template.render(record));
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
