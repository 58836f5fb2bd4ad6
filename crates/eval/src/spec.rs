//! Task files.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    EvalError, ExactMatch, InstructionFollowing, MultipleChoice, PromptSettings, ResponseNll, Template,
};

/// A task as its file describes it: where the data is, what the prompt is, and what is measured.
///
/// A task file is TOML. `name`, `data` and `[prompt]` must be there, and one of `[multiple_choice]`, `[exact_match]`,
/// `[instruction_following]` and `[response_nll]`:
///
/// ```
/// use std::path::Path;
///
/// use lancer_eval::TaskSpec;
///
/// let text = r#"
/// name = "piqa"
/// data = "piqa.jsonl"              # relative to this file, or a file that the caller knows as SCHEME://...
/// limit = { sample = 200, seed = 1 }   # or { first = 200 }; all records without it
///
/// [prompt]
/// format = "text"                  # or "chat"
/// template = "Question: {{ goal }}\nAnswer:"
///
/// [few_shot]
/// records = 2                      # the first records of the data are examples and are not evaluated
///
/// [multiple_choice]
/// choices = { fields = ["sol1", "sol2"] }
/// label = "label"
/// score = "per_character"
/// "#;
/// let spec = TaskSpec::parse(text, Path::new("tasks/piqa.toml"))?;
/// assert_eq!(spec.data(), Path::new("tasks/piqa.jsonl"));
/// # Ok::<(), lancer_eval::EvalError>(())
/// ```
#[derive(Debug, Clone)]
pub struct TaskSpec {
    pub(crate) name: String,
    pub(crate) data: PathBuf,
    pub(crate) group: Option<String>,
    pub(crate) limit: Option<Limit>,
    pub(crate) prompt: PromptSettings,
    pub(crate) few_shot: FewShot,
    pub(crate) kind: Kind,
}

/// What is measured.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    MultipleChoice(Box<MultipleChoice>),
    ExactMatch(Arc<ExactMatch>),
    InstructionFollowing(Arc<InstructionFollowing>),
    ResponseNll(ResponseNll),
}

/// Which records are evaluated, of those that are not few-shot examples: `{ first = 200 }`,
/// `{ sample = 200, seed = 1 }` or `{ part = 1, of = 2 }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "LimitFields")]
pub enum Limit {
    /// The first ones, at least 1.
    First(usize),
    /// Some drawn at random without replacement, in the order of the data.
    Sample {
        /// How many, at least 1.
        count: usize,
        /// The seed of the draw, 0 by default, so that every model gets the same records.
        seed: u64,
    },
    /// Every `of`th record, beginning with number `part`: parts that share no record, such as one to choose settings by
    /// and one to report.
    Part {
        /// Which part, from 1 to `of`.
        part: usize,
        /// Number of parts, at least 1.
        of: usize,
    },
}

/// A limit as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitFields {
    first: Option<usize>,
    sample: Option<usize>,
    seed: Option<u64>,
    part: Option<usize>,
    of: Option<usize>,
}

impl TryFrom<LimitFields> for Limit {
    type Error = &'static str;

    fn try_from(fields: LimitFields) -> Result<Self, Self::Error> {
        let LimitFields { first, sample, seed, part, of } = fields;
        match (first, sample, seed, part, of) {
            (Some(0), ..) | (_, Some(0), ..) => {
                Err("0 leaves nothing; give at least 1, or leave `limit` out")
            }
            (Some(first), None, None, None, None) => Ok(Self::First(first)),
            (None, Some(count), seed, None, None) => Ok(Self::Sample { count, seed: seed.unwrap_or(0) }),
            (None, None, None, Some(part), Some(of)) if (1..=of).contains(&part) => {
                Ok(Self::Part { part, of })
            }
            (None, None, None, Some(_), Some(_)) => Err("`part` is not from 1 to `of`"),
            _ => Err("a limit is { first = n }, { sample = n, seed = s } or { part = i, of = n }"),
        }
    }
}

/// The `[few_shot]` section of a task file: examples shown before every question.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FewShot {
    /// So many records from the beginning of the data are examples, and are not evaluated.
    pub records: usize,
    /// Examples written in the task file, with the fields of a record; they come before those of the data.
    pub examples: Vec<Map<String, Value>>,
    /// What an example answers, a template over its fields. By default it is the first correct choice, the first text of
    /// the answer's field, or the response, by the kind of the task.
    pub answer: Option<Template>,
    /// What stands between two examples in the text format; an empty line by default.
    pub separator: String,
}

impl Default for FewShot {
    fn default() -> Self {
        Self { records: 0, examples: Vec::new(), answer: None, separator: "\n\n".into() }
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    data: PathBuf,
    group: Option<String>,
    limit: Option<Limit>,
    prompt: PromptSettings,
    #[serde(default)]
    few_shot: FewShot,
    multiple_choice: Option<MultipleChoice>,
    exact_match: Option<ExactMatch>,
    instruction_following: Option<InstructionFollowing>,
    response_nll: Option<ResponseNll>,
}

impl TaskSpec {
    /// Reads a task file.
    pub fn load(path: &Path) -> Result<Self, EvalError> {
        let text =
            fs::read_to_string(path).map_err(|source| EvalError::Read { path: path.into(), source })?;
        Self::parse(&text, path)
    }

    /// Reads the text of a task file. `path` is its place: the data's path is relative to its folder, and errors name it.
    pub fn parse(text: &str, path: &Path) -> Result<Self, EvalError> {
        let file: File = toml::from_str(text)
            .map_err(|source| EvalError::Toml { path: path.into(), source: Box::new(source) })?;
        let setting = |(field, reason): (&str, String)| EvalError::Setting {
            path: path.into(),
            field: field.into(),
            reason,
        };
        if file.name.trim().is_empty() {
            return Err(setting(("name", "empty; give the task a name for tables".into())));
        }
        if file.data.as_os_str().is_empty() {
            return Err(setting(("data", "empty; give the path of a JSONL or Parquet file".into())));
        }
        let kind =
            match (file.multiple_choice, file.exact_match, file.instruction_following, file.response_nll) {
                (Some(kind), None, None, None) => {
                    kind.validate().map_err(setting)?;
                    Kind::MultipleChoice(Box::new(kind))
                }
                (None, Some(kind), None, None) => {
                    kind.validate().map_err(setting)?;
                    Kind::ExactMatch(Arc::new(kind))
                }
                (None, None, Some(kind), None) => {
                    kind.validate().map_err(setting)?;
                    Kind::InstructionFollowing(Arc::new(kind))
                }
                (None, None, None, Some(kind)) => Kind::ResponseNll(kind),
                _ => {
                    let reason = "give exactly one of the sections [multiple_choice], [exact_match], \
                              [instruction_following] and [response_nll]";
                    return Err(setting(("kind", reason.into())));
                }
            };
        let data = match path.parent() {
            // A path on a server, such as hf://datasets/..., stands for itself.
            Some(folder) if !file.data.to_string_lossy().contains("://") => folder.join(&file.data),
            _ => file.data,
        };
        Ok(Self {
            name: file.name,
            data,
            group: file.group,
            limit: file.limit,
            prompt: file.prompt,
            few_shot: file.few_shot,
            kind,
        })
    }

    /// The same task over other data.
    #[must_use]
    pub fn with_data(self, data: &Path) -> Self {
        Self { data: data.into(), ..self }
    }

    /// The task's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its results are averaged with before tasks are averaged; its own name unless the file says otherwise.
    pub fn group(&self) -> &str {
        self.group.as_deref().unwrap_or(&self.name)
    }

    /// Whether its items are scored, so that an engine has to give log-probabilities of given text; the others are written.
    pub fn is_scored(&self) -> bool {
        matches!(self.kind, Kind::MultipleChoice(_) | Kind::ResponseNll(_))
    }

    /// The data file, its path taken from the task file's folder.
    pub fn data(&self) -> &Path {
        &self.data
    }
}
