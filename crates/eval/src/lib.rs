//! Evaluation of language models on held-out tasks.
//!
//! A task is a small TOML file over a file of records ([`TaskSpec`]; [`KnownTask`] has well-known ones). It measures one of:
//!
//! * **multiple choice** ([`MultipleChoice`]): the choice to which the model gives the largest likelihood, raw or divided
//!   by its length; or how much probability the correct choices have;
//! * **exact match** ([`ExactMatch`]): an answer found in generated text;
//! * **instruction following** ([`InstructionFollowing`]): instructions that a program can check, as in `IFEval`;
//! * **held-out NLL** ([`ResponseNll`]): how well the model predicts reference responses; its exponential is the
//!   perplexity.
//!
//! [`Task::new`] checks the records against the task. [`evaluate`] asks any
//! [`Backend`](lancer_backend::Backend) the items and hands each [`ItemResult`] to an [`EvalSink`] as it is made, so a run
//! can be stopped and resumed at any item. [`estimate`] gives means with bootstrap intervals, and [`compare`] says whether
//! a model is better than another on the same items. This crate reads no data files: records are JSON objects, from
//! wherever they come.
//!
//! ```
//! use std::path::Path;
//!
//! use lancer_backend::{Seed, scripted::ScriptedBackend};
//! use lancer_eval::{BootstrapSettings, ItemResult, Task, TaskSpec, estimate, evaluate};
//!
//! let spec = TaskSpec::parse(
//!     r#"
//!     name = "sums"
//!     data = "sums.jsonl"
//!     [prompt]
//!     format = "chat"
//!     template = "What is {{ a }} + {{ b }}?"
//!     [exact_match]
//!     answer = "sum"
//!     extract = "last_number"
//!     "#,
//!     Path::new("sums.toml"),
//! )?;
//! let data = r#"[{"a": 1, "b": 2, "sum": 3}, {"a": 2, "b": 2, "sum": 4}]"#;
//! let task = Task::new(spec, serde_json::from_str(data)?)?;
//!
//! let mut model = ScriptedBackend::new(|_prompt, _seed| "I think it is 3.".into());
//! let mut results: Vec<ItemResult> = Vec::new();
//! evaluate(&mut model, &task, &[0, 1], Seed(1), &mut results)?;
//! let values: Vec<_> = results.iter().map(ItemResult::weighted).collect();
//! assert_eq!(estimate(&values, &BootstrapSettings::default()).mean, 0.5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bootstrap;
mod compare;
mod correction;
mod error;
mod evaluate;
mod exact_match;
mod extract;
mod instruction;
mod instruction_following;
mod known;
mod multiple_choice;
mod overall;
mod prompt;
mod record;
mod response_nll;
mod result;
mod significance;
mod spec;
mod task;
mod template;
mod written_answer;

pub use bootstrap::{BootstrapSettings, Estimate, estimate, weighted_mean};
pub use compare::{Comparison, Verdict, compare};
pub use correction::judge_together;
pub use error::EvalError;
pub use evaluate::{EvalSink, evaluate};
pub use exact_match::ExactMatch;
pub use extract::{Extraction, Normalisation, Pattern};
pub use instruction_following::{InstructionFollowing, InstructionMeasure};
pub use known::KnownTask;
pub use multiple_choice::{ChoiceMeasure, ChoiceScoring, Choices, LabelKind, MultipleChoice};
pub use overall::{PairedItems, overall_gain};
pub use prompt::{PromptFormat, PromptSettings};
pub use response_nll::{ResponseEnding, ResponseNll};
pub use result::{ChoiceScore, InstructionResult, ItemDetail, ItemResult, Metric};
pub use significance::mc_nemar;
pub use spec::{FewShot, Limit, TaskSpec};
pub use task::Task;
pub use template::Template;

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
