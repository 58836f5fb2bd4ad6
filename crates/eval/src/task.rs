//! A task with its data: the items that a model is asked.

use std::path::{Path, PathBuf};

use lancer_backend::{Prompt, ScoreRequest};
use rand::seq::index;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use serde_json::{Map, Value};

use crate::{
    EvalError, ExactMatch, InstructionFollowing, Metric, TaskSpec,
    exact_match::ExactItem,
    instruction_following::InstructionItem,
    multiple_choice::ChoiceItem,
    prompt::Shot,
    record::Record,
    response_nll::ResponseItem,
    spec::{Kind, Limit},
};

/// A task with its data, ready to be asked of any model.
#[derive(Debug, Clone)]
pub struct Task {
    name: String,
    group: String,
    data: PathBuf,
    metric: Metric,
    /// The record of each item, from 1.
    records: Vec<usize>,
    shots: usize,
    pub(crate) items: Items,
}

/// The items, by what is asked of the engine.
#[derive(Debug, Clone)]
pub(crate) enum Items {
    Scored(Vec<ScoredItem>),
    Generated(Vec<GeneratedItem>),
}

/// An item whose continuations are scored.
#[derive(Debug, Clone)]
pub(crate) struct ScoredItem {
    pub(crate) request: ScoreRequest,
    pub(crate) question: ScoredQuestion,
}

/// What the scores of an item are read as.
#[derive(Debug, Clone)]
pub(crate) enum ScoredQuestion {
    Choices(ChoiceItem),
    Response(ResponseItem),
}

/// An item to which the model writes an answer.
#[derive(Debug, Clone)]
pub(crate) struct GeneratedItem {
    pub(crate) prompt: Prompt,
    pub(crate) question: GeneratedQuestion,
}

/// What a written answer is read as.
#[derive(Debug, Clone)]
pub(crate) enum GeneratedQuestion {
    Exact(ExactItem),
    Instructions(InstructionItem),
}

impl Task {
    /// Builds the items of a task from the records of its data, in the order of the file.
    ///
    /// Every record that is used is checked here, so that nothing can go wrong later but the engine.
    #[allow(clippy::needless_pass_by_value)] // The items hold what is needed of the records, which can then be freed.
    pub fn new(spec: TaskSpec, rows: Vec<Map<String, Value>>) -> Result<Self, EvalError> {
        let held_back = spec.few_shot.records;
        if rows.len() <= held_back {
            return Err(EvalError::NoItems { data: spec.data, records: rows.len(), held_back });
        }
        let record = |place: usize| Record { data: &spec.data, number: place + 1, fields: &rows[place] };
        let mut shots = Vec::new();
        for (place, fields) in spec.few_shot.examples.iter().enumerate() {
            shots.push(spec.shot(&Record {
                data: Path::new("few_shot.examples"),
                number: place + 1,
                fields,
            })?);
        }
        for place in 0..held_back {
            shots.push(spec.shot(&record(place))?);
        }

        let places = chosen(spec.limit, held_back, rows.len());
        let asked = |place: usize| -> Result<(Record, Prompt), EvalError> {
            let record = record(place);
            let prompt = spec.prompt.build(&shots, &spec.few_shot.separator, &record)?;
            Ok((record, prompt))
        };
        let (metric, items) = match &spec.kind {
            Kind::MultipleChoice(kind) => {
                let item = |&place: &usize| {
                    let (record, prompt) = asked(place)?;
                    let item = kind.item(&record, &spec.prompt)?;
                    let request = ScoreRequest { prompt, continuations: item.continuations(&spec.prompt) };
                    Ok(ScoredItem { request, question: ScoredQuestion::Choices(item) })
                };
                (kind.metric(), Items::Scored(places.iter().map(item).collect::<Result<_, EvalError>>()?))
            }
            Kind::ResponseNll(kind) => {
                let item = |&place: &usize| {
                    let (record, prompt) = asked(place)?;
                    let item = kind.item(&record, spec.prompt.format)?;
                    let request =
                        ScoreRequest { prompt, continuations: vec![item.continuation(&spec.prompt)] };
                    Ok(ScoredItem { request, question: ScoredQuestion::Response(item) })
                };
                (Metric::Nll, Items::Scored(places.iter().map(item).collect::<Result<_, EvalError>>()?))
            }
            Kind::ExactMatch(kind) => {
                let item = |&place: &usize| {
                    let (record, prompt) = asked(place)?;
                    let question = GeneratedQuestion::Exact(ExactMatch::item(kind, &record)?);
                    Ok(GeneratedItem { prompt, question })
                };
                let items = places.iter().map(item).collect::<Result<_, EvalError>>()?;
                (Metric::Accuracy, Items::Generated(items))
            }
            Kind::InstructionFollowing(kind) => {
                let item = |&place: &usize| {
                    let (record, prompt) = asked(place)?;
                    let item = InstructionFollowing::item(kind, &record)?;
                    Ok(GeneratedItem { prompt, question: GeneratedQuestion::Instructions(item) })
                };
                let items = places.iter().map(item).collect::<Result<_, EvalError>>()?;
                (Metric::Accuracy, Items::Generated(items))
            }
        };
        let records = places.into_iter().map(|place| place + 1).collect();
        let group = spec.group().to_owned();
        let shots = shots.len();
        Ok(Self { name: spec.name, group, data: spec.data, metric, records, shots, items })
    }

    /// The task's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its results are averaged with before tasks are averaged: the name of a benchmark of which it is a part, or its
    /// own name.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Whether its items are scored, so that an engine has to give log-probabilities of given text; the others are written.
    pub fn is_scored(&self) -> bool {
        matches!(self.items, Items::Scored(_))
    }

    /// Number of items, at least 1.
    #[allow(clippy::len_without_is_empty)] // A task without items cannot be made.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Number of examples that are shown before every question.
    pub fn shots(&self) -> usize {
        self.shots
    }

    /// What the values of the items mean.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The data file.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The record of an item in the data file, from 1.
    pub fn record(&self, item: usize) -> Option<usize> {
        self.records.get(item).copied()
    }
}

impl TaskSpec {
    fn shot(&self, record: &Record) -> Result<Shot, EvalError> {
        let question = record.render("prompt.template", &self.prompt.template)?;
        let answer = match (&self.few_shot.answer, &self.kind) {
            (Some(template), _) => record.render("few_shot.answer", template)?,
            (None, Kind::MultipleChoice(kind)) => {
                let mut item = kind.item(record, &self.prompt)?;
                item.texts.swap_remove(item.correct[0])
            }
            (None, Kind::ExactMatch(kind)) => kind.example_answer(record)?,
            (None, Kind::InstructionFollowing(_)) => {
                let reason = "needs the setting `few_shot.answer`, a template of what an example answers";
                return Err(record.error("few_shot", reason));
            }
            (None, Kind::ResponseNll(kind)) => kind.item(record, self.prompt.format)?.text().into(),
        };
        Ok(Shot { question, answer })
    }
}

/// The places of the records that are evaluated, ascending, among `held_back..records`.
fn chosen(limit: Option<Limit>, held_back: usize, records: usize) -> Vec<usize> {
    let rest = records - held_back;
    match limit {
        None => (held_back..records).collect(),
        Some(Limit::First(first)) => (held_back..held_back + first.min(rest)).collect(),
        Some(Limit::Part { part, of }) => (held_back..records).skip(part - 1).step_by(of).collect(),
        Some(Limit::Sample { count, seed }) => {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut places: Vec<usize> = index::sample(&mut random, rest, count.min(rest))
                .into_iter()
                .map(|place| held_back + place)
                .collect();
            places.sort_unstable();
            places
        }
    }
}
