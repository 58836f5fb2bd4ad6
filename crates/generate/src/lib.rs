//! Writing new data with a language model: new prompts in the spirit of old ones, responses, and responses that are
//! worse on purpose.
//!
//! This is the stage of LANCE (arXiv 2412.15151) that makes data. From a seed pair with a high score the model writes worse
//! responses to the same prompt, the rejected sides of preference pairs; from the others it writes new prompts, and then
//! responses to those.
//!
//! * [`write()`] takes [`Job`]s, a [`Source`] each with the numbers of the samples that are to be written, and hands each
//!   [`Written`] sample to a [`WritingSink`] as it ends. [`Writing`] says what is written.
//! * What came out is either text to use or [`Unusable`] with its reason: nothing is repaired, nothing dropped silently.
//! * [`GenerateSettings`] chooses the sampling and how a small model, which cannot follow an instruction about
//!   instructions, is brought to write: [`PromptStyle`], [`ResponseStyle`] and [`WorseStyle`].
//!
//! A sample's random seed and its examples are derived from its source's key and its number alone. A run that was
//! interrupted asks for the samples that are missing and gets what it would have got.
//!
//! ```
//! use lancer_backend::{Seed, scripted::ScriptedBackend};
//! use lancer_generate::{GenerateSettings, Job, Source, Writing, write};
//!
//! let mut engine = ScriptedBackend::new(|_prompt, seed| format!("Name {} rivers.", seed.0 % 10));
//! let source = Source::of_pair("seed-1", "Name three mountains.", "");
//! let pool = [source.clone()];
//! let mut samples = Vec::new();
//! write(
//!     &mut engine,
//!     Writing::NewPrompt,
//!     &[Job::new(source, 4)],
//!     &pool,
//!     &GenerateSettings::default(),
//!     Seed(1),
//!     &mut samples,
//! )?;
//! assert_eq!(samples.len(), 4);
//! assert!(samples[0].outcome.as_ref().is_ok_and(|prompt| prompt.ends_with("rivers.")));
//! # Ok::<(), lancer_generate::GenerateError>(())
//! ```

mod asked;
mod error;
mod examples;
mod marks;
mod new_prompt;
mod response;
mod settings;
mod source;
mod words;
mod worse_response;
mod write;
mod written;

pub use error::{GenerateError, SettingError};
pub use settings::{GenerateSettings, PromptStyle, ResponseStyle, WorseStyle};
pub use source::{Job, Source, Writing};
pub use write::write;
pub use written::{Unusable, WritingSink, Written};

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
