//! A recipe as TOML in which every setting has its description above it.

use std::fmt::Write;

use serde_json::Value as Json;
use toml::{Table, Value};

use super::{
    Recipe,
    described::{Described, Holds, Word, settings},
};

/// Columns of a line of a comment.
const WIDTH: usize = 100;

impl Recipe {
    /// The recipe as TOML with every setting's description and choices above it; settings that are absent are commented out.
    /// With `only`, a setting's or a section's name such as `review` or `sft.train.epochs`, nothing else; `None` where
    /// there is no such setting. `learner` is the schema of the training engine's table, where its engine gives one.
    pub fn commented(&self, only: Option<&str>, learner: Option<&Json>) -> Option<String> {
        let mut text = String::new();
        let mut writer = Writer { text: &mut text, only: only.unwrap_or_default() };
        writer.section("", &settings(learner), Some(&self.table()));
        let text = text.trim_start().to_owned();
        (!text.is_empty()).then_some(text)
    }
}

impl Recipe {
    /// The full names of all settings and sections, such as `review` and `review.samples`.
    pub fn setting_names(learner: Option<&Json>) -> Vec<String> {
        fn collect(section: &str, settings: &[Described], names: &mut Vec<String>) {
            for setting in settings {
                let full = full_name(section, &setting.name);
                if let Holds::Section(inner) = &setting.holds {
                    collect(&full, inner, names);
                }
                names.push(full);
            }
        }
        let mut names = Vec::new();
        collect("", &settings(learner), &mut names);
        names
    }
}

struct Writer<'a> {
    text: &'a mut String,
    /// The name of all that is written, empty for everything.
    only: &'a str,
}

impl Writer<'_> {
    /// Writes a section: first its own values, then the sections in it, as TOML wants them. `table` holds its values, where it
    /// is not absent.
    fn section(&mut self, name: &str, settings: &[Described], table: Option<&Table>) {
        let value = |setting: &Described| table.and_then(|table| table.get(&setting.name));
        let is_section = |setting: &&Described| matches!(setting.holds, Holds::Section(_) | Holds::Table);
        let mut is_named = name.is_empty();
        for setting in settings.iter().filter(|setting| !is_section(setting)) {
            let full = full_name(name, &setting.name);
            if !self.is_wanted(&full) {
                continue;
            }
            if !is_named {
                let _ = writeln!(self.text, "\n[{name}]");
                is_named = true;
            }
            self.setting(setting, value(setting));
        }
        for setting in settings.iter().filter(is_section) {
            let full = full_name(name, &setting.name);
            let inner = value(setting).and_then(Value::as_table);
            match &setting.holds {
                Holds::Section(settings) => {
                    if self.is_wanted(&full) && !setting.description.is_empty() {
                        self.text.push('\n');
                        self.comment(&setting.description, "");
                    }
                    self.section(&full, settings, inner);
                }
                _ if self.is_wanted(&full) => {
                    self.text.push('\n');
                    self.comment(&setting.description, "");
                    let _ = writeln!(self.text, "[{full}]");
                    for (name, value) in inner.into_iter().flatten() {
                        let _ = writeln!(self.text, "{name} = {value}");
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether a setting is what was asked for, or lies in it.
    fn is_wanted(&self, full: &str) -> bool {
        let inner = full.strip_prefix(self.only);
        self.only.is_empty() || inner.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    fn setting(&mut self, setting: &Described, value: Option<&Value>) {
        self.text.push('\n');
        self.comment(&setting.description, "");
        match &setting.holds {
            Holds::Choice(words) => self.words("One of", words),
            Holds::Forms(words) => self.words("One of the forms", words),
            _ => {}
        }
        let _ = match value {
            Some(value) => writeln!(self.text, "{} = {value}", setting.name),
            None => writeln!(self.text, "# {} =", setting.name),
        };
    }

    fn words(&mut self, title: &str, words: &[Word]) {
        let _ = writeln!(self.text, "# {title}:");
        for Word { word, description } in words {
            self.comment(&format!("{word}: {description}"), "  ");
        }
    }

    /// Writes a text as comment lines, `indent` before each.
    fn comment(&mut self, text: &str, indent: &str) {
        let mut line = String::new();
        for word in text.split_whitespace() {
            if !line.is_empty() && line.chars().count() + word.chars().count() + indent.len() + 3 > WIDTH {
                let _ = writeln!(self.text, "# {indent}{line}");
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            let _ = writeln!(self.text, "# {indent}{line}");
        }
    }
}

fn full_name(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commented_recipe_is_the_recipe() {
        let changes = ["model=a.gguf", "seeds=b.jsonl", "sft.learner.activations=keep", "budget_tokens=5"];
        for recipe in [Recipe::default(), Recipe::default().with(&changes.map(str::to_owned)).unwrap()] {
            let text = recipe.commented(None, None).unwrap();
            let read: Recipe = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(read, recipe);
        }
    }

    #[test]
    fn every_setting_has_a_description_and_choices_are_listed() {
        fn undescribed(name: &str, settings: &[Described], found: &mut Vec<String>) {
            for setting in settings {
                let full = full_name(name, &setting.name);
                if setting.description.is_empty() {
                    found.push(full.clone());
                }
                if setting.description.contains("](") || setting.description.contains("[`") {
                    found.push(format!("{full} shows a link: {}", setting.description));
                }
                match &setting.holds {
                    Holds::Section(inner) => undescribed(&full, inner, found),
                    Holds::Choice(words) | Holds::Forms(words) => {
                        let silent = words.iter().filter(|word| word.description.is_empty());
                        found.extend(silent.map(|word| format!("{full}: {}", word.word)));
                    }
                    Holds::Value | Holds::Table => {}
                }
            }
        }
        let mut found = Vec::new();
        undescribed("", &settings(None), &mut found);
        assert!(found.is_empty(), "{found:#?}");
    }

    #[test]
    fn one_setting_or_one_section_is_shown() {
        let recipe = Recipe::default();
        let shown = |name: &str| recipe.commented(Some(name), None);
        let one = shown("expand.to").unwrap();
        assert!(one.contains("by_score:") && one.contains("to = \"by_score\""), "{one}");
        assert!(one.starts_with("[expand]") && !one.contains("worse_over ="), "{one}");
        let section = shown("preference.loss").unwrap();
        assert!(section.contains("simpo:") && section.contains("beta = 0.1"), "{section}");
        assert!(section.contains("With kind simpo"), "{section}");
        assert_eq!(shown("expand.too"), None);
        assert_eq!(shown("exp"), None);
    }
}
