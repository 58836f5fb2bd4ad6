//! Texts of evaluation tasks in data that is to be trained on, by runs of words (Brown et al. 2020, "Language Models are
//! Few-Shot Learners", appendix C).

use std::{collections::HashMap, fmt};

use lancer_core::spaced;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use xxhash_rust::xxh3::Xxh3;

use crate::SettingError;

/// How much of an evaluation item is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DecontaminationSettings {
    /// So many words in a row, letter case and punctuation aside, that are in an item too, at most 10,000; 0 turns
    /// decontamination off.
    pub words: usize,
    /// A text of an item with fewer words than `words` counts as a whole, unless it has fewer than this, 1 to 10,000. Prompts that are
    /// all of a shorter text count nevertheless; answers do not, since "a quarter of an hour" is nobody's own.
    pub shortest: usize,
}

impl Default for DecontaminationSettings {
    fn default() -> Self {
        Self { words: 13, shortest: 8 }
    }
}

/// The longest run of words.
const MOST_WORDS: usize = 10_000;

impl DecontaminationSettings {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<(), SettingError> {
        let invalid = |setting, reason| Err(SettingError { setting, reason });
        if self.words > MOST_WORDS {
            return invalid("words", format!("{} is not from 0 to {MOST_WORDS}", self.words));
        }
        if self.words > 0 && !(1..=MOST_WORDS).contains(&self.shortest) {
            let reason =
                format!("{} is not from 1 to {MOST_WORDS}; 0 words would be in every text", self.shortest);
            return invalid("shortest", reason);
        }
        Ok(())
    }
}

/// A text has too much of an evaluation item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contamination {
    /// The task.
    pub task: String,
    /// The record of its data, from 1.
    pub record: usize,
    /// The words in common.
    pub words: String,
}

impl fmt::Display for Contamination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, record {}: {}", self.task, self.record, self.words)
    }
}

/// An item of a task.
#[derive(Debug, Clone, Copy)]
struct Item {
    /// The task's place.
    task: usize,
    record: usize,
}

/// Hashes of texts, with the first item that has them.
type Hashes = HashMap<u64, Item>;

/// The texts of evaluation tasks.
#[derive(Debug, Clone, Default)]
pub struct EvaluationTexts {
    settings: DecontaminationSettings,
    tasks: Vec<String>,
    /// Of runs, by their length in words.
    runs: HashMap<usize, Hashes>,
    /// Of short texts as a whole.
    short: Hashes,
}

impl EvaluationTexts {
    /// No task yet.
    pub fn new(settings: DecontaminationSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Takes the records of a task's data: every text in them, also in lists and objects.
    pub fn add<'r>(&mut self, task: &str, records: impl IntoIterator<Item = &'r Map<String, Value>>) {
        if self.settings.words == 0 {
            return;
        }
        let place = self.tasks.len();
        self.tasks.push(task.to_owned());
        for (record, fields) in (1..).zip(records) {
            for value in fields.values() {
                self.add_value(value, Item { task: place, record });
            }
        }
    }

    fn add_value(&mut self, value: &Value, item: Item) {
        match value {
            Value::String(text) => self.add_text(text, item),
            Value::Array(values) => values.iter().for_each(|value| self.add_value(value, item)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    // Choices are sometimes the names of fields, with their labels as values.
                    self.add_text(name, item);
                    self.add_value(value, item);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn add_text(&mut self, text: &str, item: Item) {
        let words = words(text);
        let length = words.len().min(self.settings.words);
        if length >= self.settings.shortest.min(self.settings.words) {
            let runs = self.runs.entry(length).or_default();
            for run in words.windows(length) {
                runs.entry(hash(run)).or_insert(item);
            }
        } else if words.len() > 2 {
            self.short.entry(hash(&words)).or_insert(item);
        }
    }

    /// The first item that is in a pair, if any.
    pub fn find(&self, prompt: &str, response: &str) -> Option<Contamination> {
        let prompt = words(prompt);
        let found = |item: &Item, words: &[String]| Contamination {
            task: self.tasks[item.task].clone(),
            record: item.record,
            words: words.join(" "),
        };
        if !self.short.is_empty()
            && let Some(item) = self.short.get(&hash(&prompt))
        {
            return Some(found(item, &prompt));
        }
        let mut lengths: Vec<(&usize, &Hashes)> = self.runs.iter().collect();
        lengths.sort_unstable_by_key(|(length, _)| std::cmp::Reverse(**length));
        [prompt, words(response)].iter().find_map(|words| {
            lengths.iter().find_map(|&(&length, runs)| {
                words.windows(length).find_map(|run| runs.get(&hash(run)).map(|item| found(item, run)))
            })
        })
    }
}

/// Lower-case runs of letters and digits; in scripts without spaces their characters.
fn words(text: &str) -> Vec<String> {
    spaced(text)
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

fn hash(words: &[String]) -> u64 {
    let mut hash = Xxh3::new();
    for word in words {
        hash.update(word.as_bytes());
        hash.update(b" ");
    }
    hash.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> EvaluationTexts {
        let mut texts = EvaluationTexts::new(DecontaminationSettings::default());
        let records: [Map<String, Value>; 2] = [
            r#"{"question": "Janet's ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins.", "answer": "18"}"#,
            r#"{"goal": "How do you boil an egg?", "choices": {"texts": ["Put it into boiling water for eight minutes.", "no"]}}"#,
        ]
        .map(|row| serde_json::from_str(row).unwrap());
        texts.add("maths", &records[..1]);
        texts.add("everyday", &records[1..]);
        texts
    }

    #[test]
    fn a_run_of_words_is_found_whatever_stands_between_them() {
        let found = texts()
            .find("Solve: the ducks lay 16 eggs PER DAY; she eats three, for breakfast, every morning!", "6")
            .unwrap();
        assert_eq!((found.task.as_str(), found.record), ("maths", 1));
        assert_eq!(found.words, "ducks lay 16 eggs per day she eats three for breakfast every morning");
        // Twelve words.
        assert_eq!(
            texts().find("lay 16 eggs per day she eats three for breakfast every morning?", "6"),
            None
        );
    }

    #[test]
    fn a_short_text_counts_as_a_whole() {
        let found =
            texts().find("What now?", "Well, put it into boiling water for eight minutes, then cool it.");
        assert_eq!(found.unwrap().task, "everyday");
        assert_eq!(texts().find("How do you boil an egg?", "Long.").unwrap().record, 1);
        assert_eq!(texts().find("Tell me, how do you boil an egg?", "How do you boil an egg?"), None);
        assert_eq!(texts().find("no", "no"), None);
    }

    #[test]
    fn it_can_be_turned_off() {
        let mut texts = EvaluationTexts::new(DecontaminationSettings { words: 0, shortest: 8 });
        let record: Map<String, Value> = serde_json::from_str(r#"{"q": "one two three four"}"#).unwrap();
        texts.add("task", [&record]);
        assert_eq!(texts.find("one two three four", ""), None);
    }
}
