//! What every setting is for: names, values and descriptions, from the documentation of the settings' own types.

use schemars::schema_for;
use serde_json::{Map, Value};

use super::Recipe;

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described {
    /// Its name without its section's.
    pub(super) name: String,
    /// What it does, with its range, as one line.
    pub(super) description: String,
    /// What it holds.
    pub(super) holds: Holds,
}

/// What a setting holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holds {
    /// A value of a type that the description says more about.
    Value,
    /// One of some words.
    Choice(Vec<Word>),
    /// One of some forms, as a table that has the form's name as its only key.
    Forms(Vec<Word>),
    /// Further settings. Those of another kind than the chosen one are among them.
    Section(Vec<Described>),
    /// A table that the training engine, or a program that trains, reads.
    Table,
}

/// One of the words that a setting takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) word: String,
    pub(super) description: String,
}

/// The JSON Schema of a recipe file, for editors and other programs. `learner` is the schema of the training engine's table,
/// where its engine gives one.
pub fn schema(learner: Option<&Value>) -> Value {
    let mut schema = schema_for!(Recipe).to_value();
    if let Some(learner) = learner {
        put_learner(&mut schema, learner);
    }
    schema
}

/// Puts the engine's schema in the place of every table named `learner`, and its definitions beside the recipe's.
fn put_learner(schema: &mut Value, learner: &Value) {
    let mut learner = learner.clone();
    let definitions = learner.as_object_mut().and_then(|learner| learner.remove("$defs"));
    // Names of the engine's own types may be names of the recipe's too.
    let mut learner = renamed(&learner);
    if let Some(learner) = learner.as_object_mut() {
        learner.remove("$schema");
        learner.remove("title");
    }
    put(schema, &learner);
    let (Some(own), Some(Value::Object(definitions))) =
        (schema.get_mut("$defs").and_then(Value::as_object_mut), definitions)
    else {
        return;
    };
    own.extend(definitions.into_iter().map(|(name, value)| (format!("Learner{name}"), renamed(&value))));
}

fn put(schema: &mut Value, learner: &Value) {
    match schema {
        Value::Object(object) => {
            if let Some(table) = object.get_mut("properties").and_then(|all| all.get_mut("learner")) {
                let description = table.get("description").cloned();
                *table = learner.clone();
                if let (Some(table), Some(description)) = (table.as_object_mut(), description) {
                    table.insert("description".into(), description);
                }
            }
            object.values_mut().for_each(|value| put(value, learner));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| put(value, learner)),
        _ => {}
    }
}

/// The same schema with references to definitions of the learner's own.
fn renamed(schema: &Value) -> Value {
    match schema {
        Value::Object(object) => Value::Object(
            object
                .iter()
                .map(|(name, value)| match value.as_str().and_then(|text| text.strip_prefix("#/$defs/")) {
                    Some(of) if name == "$ref" => (name.clone(), format!("#/$defs/Learner{of}").into()),
                    _ => (name.clone(), renamed(value)),
                })
                .collect(),
        ),
        Value::Array(values) => Value::Array(values.iter().map(renamed).collect()),
        other => other.clone(),
    }
}

/// Every setting of a recipe.
pub(super) fn settings(learner: Option<&Value>) -> Vec<Described> {
    let schema = schema(learner);
    let reader = Reader { schema: &schema };
    reader.properties(&schema)
}

/// Reads the schema that schemars makes of the types.
struct Reader<'a> {
    schema: &'a Value,
}

impl Reader<'_> {
    /// The settings of an object, in the order of its fields.
    fn properties(&self, object: &Value) -> Vec<Described> {
        let Some(properties) = object.get("properties").and_then(Value::as_object) else { return Vec::new() };
        properties.iter().map(|(name, property)| self.setting(name, property)).collect()
    }

    fn setting(&self, name: &str, property: &Value) -> Described {
        let resolved = self.resolved(property);
        let own = description(property);
        let description = if own.is_empty() { description(&resolved) } else { own };
        Described { name: name.to_owned(), description, holds: self.holds(name, &resolved) }
    }

    fn holds(&self, name: &str, resolved: &Value) -> Holds {
        let words = |schema: &Value| -> Vec<Word> {
            self.alternatives(schema)
                .iter()
                .flat_map(|one| {
                    let const_ = one.get("const").into_iter();
                    let all = one.get("enum").and_then(Value::as_array).into_iter().flatten();
                    let word = |word: &Value| {
                        let word = word.as_str()?.to_owned();
                        Some(Word { word, description: description(one) })
                    };
                    const_.chain(all).filter_map(word).collect::<Vec<_>>()
                })
                .collect()
        };
        let alternatives = self.alternatives(resolved);
        let form = |one: &Value| {
            let word = one.get("required")?.as_array()?.first()?.as_str()?.to_owned();
            Some(Word { word, description: description(one) })
        };
        let mut choices = words(resolved);
        if !choices.is_empty() {
            // A form among words, such as `lora` with its settings, is chosen by its name too.
            choices.extend(alternatives.iter().filter_map(form));
            return Holds::Choice(choices);
        }
        if alternatives.iter().any(|one| one.pointer("/properties/kind").is_some()) {
            return Holds::Section(self.kinds(&alternatives));
        }
        if !alternatives.is_empty() {
            return Holds::Forms(alternatives.iter().filter_map(form).collect());
        }
        match self.properties(resolved) {
            settings if settings.is_empty() && matches!(name, "learner" | "job") => Holds::Table,
            settings if settings.is_empty() => Holds::Value,
            settings => Holds::Section(settings),
        }
    }

    /// The settings of all kinds of something, the kind itself first. Of one name there is one, with what it means in each kind.
    fn kinds(&self, alternatives: &[Value]) -> Vec<Described> {
        let mut words = Vec::new();
        let mut settings: Vec<Described> = Vec::new();
        for one in alternatives {
            let resolved = self.resolved(one);
            let kind = one.pointer("/properties/kind/const").or(resolved.pointer("/properties/kind/const"));
            let word = kind.and_then(Value::as_str).unwrap_or_default().to_owned();
            for mut setting in self.properties(&resolved) {
                if setting.name == "kind" {
                    continue;
                }
                setting.description = format!("With kind {word}: {}", setting.description);
                match settings.iter_mut().find(|known| known.name == setting.name) {
                    // One name for each of several kinds.
                    Some(known) => {
                        known.description = format!("{} {}", known.description, setting.description);
                    }
                    None => settings.push(setting),
                }
            }
            words.push(Word { word, description: description(one) });
        }
        let kind =
            Described { name: "kind".into(), description: "Which one.".into(), holds: Holds::Choice(words) };
        [kind].into_iter().chain(settings).collect()
    }

    /// The forms that a schema allows, `null` apart.
    fn alternatives(&self, schema: &Value) -> Vec<Value> {
        let all = ["oneOf", "anyOf"].iter().find_map(|key| schema.get(key)?.as_array());
        let is_null = |one: &&Value| one.get("type").and_then(Value::as_str) == Some("null");
        let Some(all) = all else {
            let is_word = schema.get("const").is_some() || schema.get("enum").is_some();
            return if is_word { vec![schema.clone()] } else { Vec::new() };
        };
        let mut found: Vec<Value> = all.iter().filter(|one| !is_null(one)).cloned().collect();
        // An optional setting is its own form or nothing.
        if let ([only], true) = (found.as_slice(), all.len() > found.len()) {
            found = self.alternatives(&self.resolved(only));
        }
        found
    }

    /// What a reference refers to, with what is said beside the reference over it.
    fn resolved(&self, schema: &Value) -> Value {
        let Some(of) = schema.get("$ref").and_then(Value::as_str).and_then(|of| of.strip_prefix('#')) else {
            return schema.clone();
        };
        let mut found = self.schema.pointer(of).map_or(Value::Null, |found| self.resolved(found));
        let (Some(object), Some(own)) = (found.as_object_mut(), schema.as_object()) else { return found };
        for (key, value) in own.iter().filter(|(key, _)| *key != "$ref") {
            match (object.get_mut(key), value) {
                (Some(Value::Object(inner)), Value::Object(own)) => join(inner, own),
                _ => {
                    object.insert(key.clone(), value.clone());
                }
            }
        }
        found
    }
}

fn join(inner: &mut Map<String, Value>, own: &Map<String, Value>) {
    inner.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
}

/// A schema's description as one line of plain text: links of Rust's documentation become what they show.
fn description(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('[') {
        let Some((shown, after)) = after.split_once(']') else { break };
        plain.push_str(before);
        if shown.starts_with('`') {
            plain.push_str(shown.trim_matches('`'));
            // The link's target, where one follows.
            rest = match after.strip_prefix('(').and_then(|target| target.split_once(')')) {
                Some((_, after)) => after,
                None => after,
            };
        } else {
            plain.push('[');
            plain.push_str(shown);
            plain.push(']');
            rest = after;
        }
    }
    plain.push_str(rest);
    plain
}
