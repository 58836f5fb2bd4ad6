//! Multiple choice: the choice to which the model gives the largest likelihood.

use lancer_backend::{Continuation, Ending, ScoredContinuation};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    ChoiceScore, EvalError, ItemDetail, Metric, PromptSettings, Template,
    record::{Record, kind},
};

/// The `[multiple_choice]` section of a task file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultipleChoice {
    /// Where the choices are.
    pub choices: Choices,
    /// How each choice is written, a template over the fields of the record and the choice as `choice`; as it stands by
    /// default.
    #[serde(default)]
    pub choice_template: Option<Template>,
    /// The field that says which choice is correct; left out where the choices say it themselves
    /// ([`Choices::Targets`]).
    #[serde(default)]
    pub label: Option<String>,
    /// How the label names a choice.
    #[serde(default)]
    pub label_is: LabelKind,
    /// How a choice's score comes from its log-probabilities.
    #[serde(default)]
    pub score: ChoiceScoring,
    /// What an item's value is.
    #[serde(default)]
    pub measure: ChoiceMeasure,
}

/// Where the choices of a record are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choices {
    /// In one field that holds a list of texts.
    List(String),
    /// Each in a field of its own, in this order.
    Fields(Vec<String>),
    /// The same for every record.
    Fixed(Vec<String>),
    /// In one field that holds an object from the choice to 1 (correct) or 0, as in TruthfulQA, in the file's order. Entries
    /// that are null are left out. A choice may be empty, as some of TruthfulQA's are: what is scored then is the delimiter
    /// before it.
    Targets(String),
}

/// How a label names the correct choice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelKind {
    /// By its place, from 0; a number or a text of digits.
    #[default]
    Index,
    /// By its place, from 1.
    IndexFromOne,
    /// By a letter, A for the first.
    Letter,
    /// By its text.
    Text,
    /// By its own name: its place among the names that stand in another field, a list, as in ARC.
    Among(String),
}

/// How a choice's score comes from its log-probabilities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChoiceScoring {
    /// The log-probability of the whole choice (`acc` of lm-evaluation-harness).
    #[default]
    Sum,
    /// Divided by its number of tokens.
    PerToken,
    /// Divided by its number of bytes, without what stands between question and choice.
    PerByte,
    /// Divided by its number of characters, without what stands between question and choice (`acc_norm`).
    PerCharacter,
}

/// What the value of a multiple-choice item is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChoiceMeasure {
    /// Whether the choice with the largest score is a correct one: [`Metric::Accuracy`].
    #[default]
    Best,
    /// The share of the correct choices in the exponentials of all scores: [`Metric::CorrectProbability`].
    Probability,
}

/// The choices of an item.
#[derive(Debug, Clone)]
pub(crate) struct ChoiceItem {
    pub(crate) texts: Vec<String>,
    /// Places in `texts`; not empty.
    pub(crate) correct: Vec<usize>,
    scoring: ChoiceScoring,
    measure: ChoiceMeasure,
}

impl MultipleChoice {
    pub(crate) fn metric(&self) -> Metric {
        match self.measure {
            ChoiceMeasure::Best => Metric::Accuracy,
            ChoiceMeasure::Probability => Metric::CorrectProbability,
        }
    }

    /// Checks that the settings go together; the error is the setting and the reason.
    pub(crate) fn validate(&self) -> Result<(), (&'static str, String)> {
        let few = |setting, found: &[String]| {
            Err((setting, format!("{} choices; a question needs at least 2", found.len())))
        };
        match (&self.choices, &self.label) {
            (Choices::Targets(_), Some(_)) => Err((
                "multiple_choice.label",
                "choices from `targets` say themselves which are correct; leave `label` out".into(),
            )),
            (Choices::List(_) | Choices::Fields(_) | Choices::Fixed(_), None) => Err((
                "multiple_choice.label",
                "missing; name the field that says which choice is correct".into(),
            )),
            (Choices::Fields(fields), _) if fields.len() < 2 => few("multiple_choice.choices.fields", fields),
            (Choices::Fixed(texts), _) if texts.len() < 2 => few("multiple_choice.choices.fixed", texts),
            (Choices::Fixed(texts), _) if texts.iter().any(|text| text.trim().is_empty()) => {
                Err(("multiple_choice.choices.fixed", "a choice is empty".into()))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn item(&self, record: &Record, prompt: &PromptSettings) -> Result<ChoiceItem, EvalError> {
        let (texts, correct) = match (&self.choices, &self.label) {
            (Choices::Targets(field), _) => targets(record, field)?,
            (choices, label) => {
                let texts = match choices {
                    Choices::List(field) | Choices::Targets(field) => record.texts(field)?,
                    Choices::Fields(fields) => {
                        fields.iter().map(|field| record.text(field)).collect::<Result<_, _>>()?
                    }
                    Choices::Fixed(texts) => texts.clone(),
                };
                // `validate` has refused a task without a label here.
                let correct = self.correct(record, label.as_deref().unwrap_or_default(), &texts)?;
                (texts, vec![correct])
            }
        };
        let texts = self.written(record, texts)?;
        let field = match &self.choices {
            Choices::List(field) | Choices::Targets(field) => field,
            Choices::Fields(_) | Choices::Fixed(_) => "choices",
        };
        if texts.len() < 2 {
            return Err(record.error(field, format!("{} choices; a question needs at least 2", texts.len())));
        }
        if texts.iter().any(|text| prompt.continuation(text, Ending::Open).text.is_empty()) {
            let reason =
                "a choice is empty; it can only be scored in the text format, by the delimiter before it";
            return Err(record.error(field, reason));
        }
        Ok(ChoiceItem { texts, correct, scoring: self.score, measure: self.measure })
    }

    /// The choices as `choice_template` writes them.
    fn written(&self, record: &Record, texts: Vec<String>) -> Result<Vec<String>, EvalError> {
        let Some(template) = &self.choice_template else { return Ok(texts) };
        let mut fields = record.fields.clone();
        let mut written = Vec::new();
        for text in texts {
            fields.insert("choice".into(), text.into());
            let record = Record { fields: &fields, ..*record };
            written.push(record.render("multiple_choice.choice_template", template)?);
        }
        Ok(written)
    }

    fn correct(&self, record: &Record, field: &str, texts: &[String]) -> Result<usize, EvalError> {
        let label = record.text(field)?;
        let label = label.trim();
        let count = texts.len();
        let (place, expected) = match &self.label_is {
            LabelKind::Index => (label.parse().ok(), format!("a number from 0 to {}", count - 1)),
            LabelKind::IndexFromOne => (
                label.parse().ok().and_then(|place: usize| place.checked_sub(1)),
                format!("a number from 1 to {count}"),
            ),
            LabelKind::Letter => (letter(label), format!("a letter, one of the first {count} from A")),
            LabelKind::Text => {
                let allowed: Vec<String> = texts.iter().map(|text| format!("`{text}`")).collect();
                let place = texts.iter().position(|text| text.trim() == label);
                (place, format!("one of the choices {}", allowed.join(", ")))
            }
            LabelKind::Among(names) => {
                let place = record.texts(names)?.iter().position(|name| name.trim() == label);
                (place, format!("one of the names in `{names}`"))
            }
        };
        place
            .filter(|&place| place < count)
            .ok_or_else(|| record.error(field, format!("found `{label}`, expected {expected}")))
    }
}

impl ChoiceItem {
    pub(crate) fn continuations(&self, prompt: &PromptSettings) -> Vec<Continuation> {
        self.texts.iter().map(|text| prompt.continuation(text, Ending::Open)).collect()
    }

    /// The item's value and what it comes from. `scored` is not empty, and all its log-probabilities are finite.
    pub(crate) fn judge(&self, scored: &[ScoredContinuation]) -> (f64, ItemDetail) {
        let scores: Vec<f64> =
            scored.iter().zip(&self.texts).map(|(scored, text)| self.score(scored, text)).collect();
        let mut chosen = 0;
        for (place, score) in scores.iter().enumerate() {
            if *score > scores[chosen] {
                chosen = place;
            }
        }
        let value = match self.measure {
            ChoiceMeasure::Best => f64::from(u8::from(self.correct.contains(&chosen))),
            ChoiceMeasure::Probability => {
                // Relative to the largest, so that at least one term is 1.
                let weights: Vec<f64> = scores.iter().map(|score| (score - scores[chosen]).exp()).collect();
                let correct: f64 = self.correct.iter().map(|&place| weights[place]).sum();
                correct / weights.iter().sum::<f64>()
            }
        };
        let choices = scored
            .iter()
            .zip(&self.texts)
            .map(|(scored, text)| ChoiceScore {
                text: text.clone(),
                log_prob: scored.sum(),
                tokens: scored.tokens.len(),
                is_greedy: scored.is_greedy,
            })
            .collect();
        (value, ItemDetail::MultipleChoice { chosen, correct: self.correct.clone(), choices })
    }

    fn score(&self, scored: &ScoredContinuation, text: &str) -> f64 {
        let length = match self.scoring {
            ChoiceScoring::Sum => 1,
            ChoiceScoring::PerToken => scored.tokens.len(),
            ChoiceScoring::PerByte => text.len(),
            ChoiceScoring::PerCharacter => text.chars().count(),
        };
        scored.sum() / length.max(1) as f64
    }
}

/// Choices and correct places from an object such as `{"a": 1, "b": 0}`.
fn targets(record: &Record, field: &str) -> Result<(Vec<String>, Vec<usize>), EvalError> {
    let Value::Object(entries) = record.get(field)? else {
        let found = kind(record.get(field)?);
        return Err(record.error(field, format!("expected an object from choice to 0 or 1, found {found}")));
    };
    let mut texts = Vec::new();
    let mut correct = Vec::new();
    for (text, truth) in entries.iter().filter(|(_, truth)| !truth.is_null()) {
        let truth = match (truth, truth.as_f64()) {
            (Value::Bool(truth), _) => Some(*truth),
            (_, Some(0.0)) => Some(false),
            (_, Some(1.0)) => Some(true),
            _ => None,
        };
        let Some(truth) = truth else {
            return Err(record.error(field, format!("the choice `{text}` must have the value 0 or 1")));
        };
        if truth {
            correct.push(texts.len());
        }
        texts.push(text.clone());
    }
    if correct.is_empty() {
        return Err(record.error(field, "no choice is correct; at least one must have the value 1"));
    }
    Ok((texts, correct))
}

/// The place of a letter in the alphabet, from 0; the letter may stand in brackets.
fn letter(label: &str) -> Option<usize> {
    let mut characters = label.trim_matches(['(', ')', '.']).chars();
    match (characters.next(), characters.next()) {
        (Some(letter), None) if letter.is_ascii_alphabetic() => {
            Some((letter.to_ascii_uppercase() as u8 - b'A') as usize)
        }
        _ => None,
    }
}
