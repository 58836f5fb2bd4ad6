//! Writing a configuration as YAML that `PyYAML` reads as it is meant.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Settings in the order in which they were put.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Config(Map<String, Value>);

impl Config {
    /// Sets a field.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The text of the file, a field a line; what is in a field is in YAML's flow style.
    pub(crate) fn to_yaml(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.0 {
            // A string takes all that is written to it.
            let _ = writeln!(text, "{name}: {}", flow(value));
        }
        text
    }
}

fn flow(value: &Value) -> String {
    match value {
        // PyYAML takes a number for a text where it has an exponent and no point.
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (None, None, Some(float)) => decimal(float),
            _ => number.to_string(),
        },
        Value::Array(values) => format!("[{}]", values.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(name, value)| format!("{}: {}", Value::from(name.as_str()), flow(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        // A text in JSON's quotes is one in YAML's.
        Value::Null | Value::Bool(_) | Value::String(_) => value.to_string(),
    }
}

/// A float without an exponent, with a point.
fn decimal(float: f64) -> String {
    let text = float.to_string();
    if text.contains('.') { text } else { format!("{text}.0") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Config;

    #[test]
    fn floats_have_a_point_and_no_exponent_and_texts_are_quoted() {
        let mut config = Config::default();
        config.set("rate", 1e-5);
        config.set("weight", 1.0);
        config.set("steps", 7);
        config.set("text", "a: \"b\" # c");
        config.set("list", json!(["q_proj", 0.25, null, true]));
        config.set("table", json!({"a b": 1e-7}));
        assert_eq!(
            config.to_yaml(),
            "rate: 0.00001\nweight: 1.0\nsteps: 7\ntext: \"a: \\\"b\\\" # c\"\n\
             list: [\"q_proj\", 0.25, null, true]\ntable: {\"a b\": 0.0000001}\n"
        );
    }
}
