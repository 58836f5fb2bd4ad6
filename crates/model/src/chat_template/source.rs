//! Where a model's templates are, and which one renders a chat.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

use crate::{ModelError, json_file};

/// The template for chats without tools.
const DEFAULT: &str = "default";
/// The template for chats with tools.
const TOOLS: &str = "tool_use";

/// The folder, within a model's, of the templates that are not the default.
pub(crate) const ADDITIONAL_TEMPLATES: &str = "additional_chat_templates";

/// A model's templates by name. One is called `default`, unless only others are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedTemplates(BTreeMap<String, String>);

/// The part of `tokenizer_config.json` and `chat_template.json` that is used.
#[derive(Deserialize)]
struct Json {
    chat_template: Option<Written>,
}

/// A template by itself, or several with names.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    One(String),
    Several(Vec<Named>),
}

#[derive(Deserialize)]
struct Named {
    name: String,
    template: String,
}

impl NamedTemplates {
    pub(super) fn one(source: &str) -> Self {
        Self([(DEFAULT.to_owned(), source.to_owned())].into())
    }

    pub(super) fn of_folder(folder: &Path) -> Result<Option<Self>, ModelError> {
        let file = folder.join("chat_template.jinja");
        if file.exists() {
            let mut templates = Self::one(&read(&file)?);
            templates.add_folder(&folder.join(ADDITIONAL_TEMPLATES))?;
            return Ok(Some(templates));
        }
        for file in ["chat_template.json", "tokenizer_config.json"] {
            let file = folder.join(file);
            let json: Option<Json> = json_file::read(&file)?;
            if let Some(written) = json.and_then(|json| json.chat_template) {
                return Self::written(written, &file).map(Some);
            }
        }
        Ok(None)
    }

    pub(super) fn of_gguf(value: &dyn Fn(&str) -> Vec<String>) -> Option<Self> {
        let one = |key: &str| value(key).into_iter().next();
        let mut templates = BTreeMap::new();
        for name in value("tokenizer.chat_templates") {
            templates.extend(one(&format!("tokenizer.chat_template.{name}")).map(|text| (name, text)));
        }
        templates.extend(one("tokenizer.chat_template").map(|text| (DEFAULT.to_owned(), text)));
        (!templates.is_empty()).then_some(Self(templates))
    }

    fn written(written: Written, file: &Path) -> Result<Self, ModelError> {
        match written {
            Written::One(source) => Ok(Self::one(&source)),
            Written::Several(named) if named.is_empty() => Err(ModelError::Config {
                path: file.into(),
                reason:
                    "`chat_template` is a list without a template; leave the field out where there is none"
                        .into(),
            }),
            Written::Several(named) => {
                Ok(Self(named.into_iter().map(|one| (one.name, one.template)).collect()))
            }
        }
    }

    /// Adds each `NAME.jinja` of a folder, if it is there.
    fn add_folder(&mut self, folder: &Path) -> Result<(), ModelError> {
        if !folder.is_dir() {
            return Ok(());
        }
        let failed = |source| ModelError::Io { path: folder.into(), action: "read", source };
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let is_template = path.extension().is_some_and(|ending| ending == "jinja");
            if let (true, Some(name)) = (is_template, path.file_stem().and_then(|name| name.to_str())) {
                self.0.insert(name.to_owned(), read(&path)?);
            }
        }
        Ok(())
    }

    /// The names and texts.
    pub(super) fn named(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The text of the template for chats without tools.
    pub(super) fn default(&self) -> &str {
        self.0.get(self.for_chat(false)).map_or("", String::as_str)
    }

    /// The name of the template that renders a chat, as transformers chooses it.
    pub(super) fn for_chat(&self, has_tools: bool) -> &str {
        let wanted = if has_tools && self.0.contains_key(TOOLS) { TOOLS } else { DEFAULT };
        let first = self.0.keys().next().map_or(DEFAULT, String::as_str);
        if self.0.contains_key(wanted) { wanted } else { first }
    }
}

fn read(path: &Path) -> Result<String, ModelError> {
    fs::read_to_string(path).map_err(|source| ModelError::Io { path: path.into(), action: "read", source })
}
