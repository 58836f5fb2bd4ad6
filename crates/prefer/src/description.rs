//! What a training is: everything that decides its weights. A checkpoint belongs to one training.

use std::collections::BTreeMap;

use lancer_backend::Seed;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    example::{PreferenceExample, SftExample, Split},
    loss::PreferenceLoss,
    sealed::{Sha256Hex, json},
    settings::TrainSettings,
};

/// What is trained, as its caller knows it: texts under the names that an error gives, such as the SHA-256 of each of the
/// model's files, and the learner's settings. Other weights, another tokenizer or chat template, or other settings of the
/// learner must give other texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Base(BTreeMap<String, String>);

impl Base {
    /// With one more part.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, content: impl Into<String>) -> Self {
        self.0.insert(name.into(), content.into());
        self
    }
}

/// What a training is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainingDescription {
    base: Base,
    /// Of preference training; fine-tuning has none.
    loss: Option<PreferenceLoss>,
    examples: ExamplesDescription,
    held_out: ExamplesDescription,
    /// Batches, lengths, optimizer and schedule, without what may change on the way.
    settings: Value,
    seed: Seed,
}

/// Examples in their order: their keys, contents and weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExamplesDescription {
    count: usize,
    sha_256: Sha256Hex,
}

impl ExamplesDescription {
    fn of(examples: &[impl Serialize]) -> Self {
        Self { count: examples.len(), sha_256: Sha256Hex::of_json(&examples) }
    }
}

impl TrainingDescription {
    pub(crate) fn of_sft(
        base: &Base,
        examples: Split<'_, SftExample>,
        settings: &TrainSettings,
        seed: Seed,
    ) -> Self {
        Self::new(base, None, examples, settings, seed)
    }

    pub(crate) fn of_preference(
        base: &Base,
        examples: Split<'_, PreferenceExample>,
        loss: &PreferenceLoss,
        settings: &TrainSettings,
        seed: Seed,
    ) -> Self {
        Self::new(base, Some(*loss), examples, settings, seed)
    }

    fn new(
        base: &Base,
        loss: Option<PreferenceLoss>,
        examples: Split<'_, impl Serialize>,
        settings: &TrainSettings,
        seed: Seed,
    ) -> Self {
        // How often a checkpoint is saved and how many are kept changes no weight.
        let mut settings = serde_json::to_value(settings).unwrap_or_default();
        if let Value::Object(fields) = &mut settings {
            fields.retain(|name, _| !["checkpoint_every", "keep_checkpoints"].contains(&name.as_str()));
        }
        Self {
            base: base.clone(),
            loss,
            examples: ExamplesDescription::of(examples.train),
            held_out: ExamplesDescription::of(examples.held_out),
            settings,
            seed,
        }
    }

    /// The description as JSON. Two trainings are the same where their texts are.
    pub(crate) fn to_json(&self) -> String {
        json(self)
    }

    /// What differs between two trainings, both as JSON: each part as it is there and as it is here.
    pub(crate) fn differences(here: &str, there: &str) -> Result<Vec<String>, serde_json::Error> {
        let (here, there): (Self, Self) = (serde_json::from_str(here)?, serde_json::from_str(there)?);
        let mut found = Vec::new();
        let (here_parts, there_parts) = (&here.base.0, &there.base.0);
        for name in
            there_parts.keys().chain(here_parts.keys().filter(|name| !there_parts.contains_key(*name)))
        {
            if here_parts.get(name) != there_parts.get(name) {
                found.push(format!("{name} of the base model"));
            }
        }
        for (what, here, there) in [
            ("the examples that are trained on", &here.examples, &there.examples),
            ("the held-out examples", &here.held_out, &there.held_out),
        ] {
            if here.count != there.count {
                found.push(format!("{what}: {}, now {}", there.count, here.count));
            } else if here != there {
                found.push(format!(
                    "{what}: as many ({}), but their texts, weights or order differ",
                    here.count
                ));
            }
        }
        let value = |of: &Self| serde_json::json!({ "loss": of.loss, "seed": of.seed, "train": of.settings });
        compare("", Some(&value(&there)), Some(&value(&here)), &mut found);
        Ok(found)
    }
}

/// Names the leaves that differ.
fn compare(path: &str, there: Option<&Value>, here: Option<&Value>, found: &mut Vec<String>) {
    if there == here {
        return;
    }
    if let (Some(Value::Object(there)), Some(Value::Object(here))) = (there, here) {
        for name in there.keys().chain(here.keys().filter(|name| !there.contains_key(*name))) {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            compare(&path, there.get(name), here.get(name), found);
        }
        return;
    }
    let text = |value: Option<&Value>| value.map_or_else(|| "absent".into(), Value::to_string);
    found.push(format!("{path}: {}, now {}", text(there), text(here)));
}

#[cfg(test)]
mod tests {
    use lancer_backend::{Conversation, Seed};

    use super::{Base, TrainingDescription};
    use crate::{
        example::{SftExample, Split},
        settings::{BatchSize, TrainSettings},
    };

    fn examples() -> Vec<SftExample> {
        ["one", "two", "three"]
            .map(|key| SftExample::new(key, Conversation::of_pair(format!("Say {key}."), key)))
            .into()
    }

    fn base() -> Base {
        Base::default().with("the weights", "a hash")
    }

    fn of(base: &Base, examples: &[SftExample], settings: &TrainSettings, seed: u64) -> TrainingDescription {
        let split = Split { train: &examples[1..], held_out: &examples[..1] };
        TrainingDescription::of_sft(base, split, settings, Seed(seed))
    }

    #[test]
    fn each_part_that_differs_is_named() {
        let (settings, known) = (TrainSettings::default(), examples());
        let first = of(&base(), &known, &settings, 1);
        let differs = |other: TrainingDescription| {
            TrainingDescription::differences(&other.to_json(), &first.to_json()).unwrap().join("; ")
        };
        assert_eq!(differs(of(&base(), &examples(), &settings, 1)), "");

        let other = base().with("the weights", "another");
        assert_eq!(differs(of(&other, &known, &settings, 1)), "the weights of the base model");
        let mut swapped = examples();
        swapped.swap(1, 2);
        assert!(differs(of(&base(), &swapped, &settings, 1)).contains("trained on: as many (2)"));
        let mut heavier = examples();
        heavier[2].weight = 2.0;
        assert!(differs(of(&base(), &heavier, &settings, 1)).contains("trained on: as many (2)"));
        heavier.clone_from(&known);
        heavier[0].chat.messages[1].content = "another".into();
        assert!(differs(of(&base(), &heavier, &settings, 1)).contains("the held-out examples: as many (1)"));
        assert_eq!(
            differs(of(&base(), &known[..2], &settings, 1)),
            "the examples that are trained on: 2, now 1"
        );
        assert_eq!(differs(of(&base(), &known, &settings, 2)), "seed: 1, now 2");

        let mut changed = settings;
        changed.optimizer.learning_rate = 0.3;
        changed.epochs = 3;
        let said = differs(of(&base(), &known, &changed, 1));
        assert!(said.contains("train.epochs: 1, now 3"), "{said}");
        assert!(
            said.contains("train.optimizer.learning_rate: 0.00001, now 0.3")
                || said.contains("1e-5, now 0.3"),
            "{said}"
        );
        let changed = TrainSettings { batch: BatchSize::Tokens(16), ..settings };
        let said = differs(of(&base(), &known, &changed, 1));
        assert!(said.contains("train.batch.examples: 16, now absent"), "{said}");
        let changed = TrainSettings { checkpoint_every: Some(3), keep_checkpoints: 4, ..settings };
        assert_eq!(differs(of(&base(), &known, &changed, 1)), "");
    }
}
