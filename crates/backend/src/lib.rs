//! What lancer asks of an engine, and nothing else.
//!
//! An engine is a crate that loads a language model and implements [`Backend`] (it generates text and gives
//! log-probabilities), [`Learner`] (it can be trained), or both. Everything above the engines (review,
//! evaluation, preference training, the loop) is written against these two traits, so it works on every
//! engine and no engine knows another.
//!
//! * [`Backend::generate`] takes many [`GenerateRequest`]s at once and hands each [`Completion`] to a
//!   [`CompletionSink`] as it ends.
//! * [`Backend::score`] gives the log-probability of every token of given [`Continuation`]s.
//! * [`Learner`] has one primitive that carries every loss: a forward pass that gives log-probabilities, and a
//!   backward pass that takes the derivative of the loss by each of them.
//!
//! [`Tokenizer`], [`Sample`], [`Sampler`] and [`ChoiceTrie`] are what all engines share. [`scripted`] is an
//! engine for tests that answers from a script, [`conformance`] is the suite that every engine's tests call, and [`speed`]
//! measures an engine.
//!
//! ```
//! use lancer_backend::{Backend, Collect, GenerateRequest, Prompt, Sampling, Seed, scripted::ScriptedBackend};
//!
//! let mut engine = ScriptedBackend::new(|prompt, _seed| format!("You said: {prompt}"));
//! let request = GenerateRequest::new(Prompt::user("hello"))
//!     .sampling(Sampling::nucleus(0.7, 0.9))
//!     .samples(Seed(1), 2)
//!     .max_tokens(32);
//! let mut completions = Collect::default();
//! engine.generate(&[request], &mut completions)?;
//! assert_eq!(completions.0.len(), 2);
//! # Ok::<(), lancer_backend::BackendError>(())
//! ```

mod backend;
mod beginnings;
pub mod conformance;
mod constraint;
mod error;
mod generate;
mod grammar;
mod learner;
mod penalties;
mod prepared;
mod prompt;
mod sample;
mod sampler;
mod score;
pub mod scripted;
mod seed;
mod softmax;
mod special_tokens;
pub mod speed;
mod text_stream;
mod tokenizer;
mod with_system;

pub use backend::{Backend, ModelInfo, Usage};
pub use beginnings::{by_common_beginning, common_beginning};
pub use constraint::{Allowed, ChoiceTrie, Constraint, TriePosition};
pub use error::{BackendError, LearnerError};
pub use generate::{Collect, Completion, CompletionSink, Finish, GenerateRequest, RandomSampling, Sampling};
pub use grammar::{Grammar, GrammarPosition, Grammars};
pub use lancer_core::{Conversation, Message, Role, answer_of, spaced};
pub use learner::{
    Learner, StepReport, StepSettings, TrainedTurns, TrainingSequence, WeightFormat, check_weights,
};
pub use penalties::Penalties;
pub use prepared::{Held, PreparedRequest};
pub use prompt::{Prompt, TokenId};
pub use sample::Sample;
pub use sampler::{Choice, Sampler, ScoredToken, score_token};
pub use score::{Continuation, Ending, ScoreRequest, ScoredContinuation};
pub use seed::Seed;
pub use special_tokens::break_special_tokens;
pub use text_stream::{StreamState, TextStream};
pub use tokenizer::{Opened, Tokenizer};
pub use with_system::WithSystem;

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
