//! Reviewing prompt and response pairs with a language model, and making training examples of the scores.
//!
//! * [`review`] scores each [`Item`] from 0 to 10 with a [`Reviewer`] and hands each [`Review`] to a [`ReviewSink`] as it
//!   is made. There are three modes, because models differ ([`Mode`]): `rubric` (the model writes a review after ten
//!   criteria), `expected` (the probabilities it gives to the scores), `likelihood` (how well it predicts prompt and
//!   response with and without each other, calibrated; for small models, which follow no rubric).
//! * [`calibrate`] measures on known good pairs, against [`damage`]d ones, which mode tells them apart ([`Separation`]),
//!   and fits the likelihood review.
//! * [`annotate`] turns scored pairs into examples for fine-tuning, preference pairs, and reviews to learn from.
//!
//! Works on any [`Backend`](lancer_backend::Backend). Here, one that answers from a script:
//!
//! ```
//! use lancer_backend::{Seed, scripted::ScriptedBackend};
//! use lancer_review::{Item, Review, Reviewer, RubricSettings, review};
//!
//! let mut engine = ScriptedBackend::new(|prompt, _seed| match prompt.contains("Paris") {
//!     true => "Short and right.\nscore: 9".into(),
//!     false => "The response does not answer the prompt.\nscore: 4".into(),
//! });
//! let item = |key: &str, response: &str| Item::of_pair(key, "What is the capital of France?", response);
//! let items = [item("a", "Paris."), item("b", "A river.")];
//! let mut reviews: Vec<Review> = Vec::new();
//! review(&mut engine, &Reviewer::Rubric(RubricSettings::default()), &items, Seed(1), &mut reviews)?;
//! let scores: Vec<_> = reviews.iter().map(|review| review.outcome.score().map(|score| score.get())).collect();
//! assert_eq!(scores, [Some(9.0), Some(4.0)]);
//! # Ok::<(), lancer_review::ReviewError>(())
//! ```

mod annotate;
mod calibrate;
mod damage;
mod error;
mod likelihood;
mod review;
mod reviewable;
mod reviewer;
mod rubric;
mod score;
mod separation;
mod settings;
mod shown;
mod stored;

pub use annotate::{
    AnnotateSettings, Annotations, Bound, Candidate, Earlier, Kind, PairAnnotation, PairRule, RejectedKind,
    RejectedSide, ReviewExample, SeedRule, SftAnnotation, SftFrom, Worse, annotate,
};
pub use calibrate::{Calibrated, CalibrationProgress, calibrate};
pub use damage::{Damage, damage};
pub use error::{ReviewError, ScoreOutOfRange, SettingError};
pub use likelihood::{Calibration, Features};
pub use review::{Detail, Item, KeptDetail, Outcome, Review, ReviewSink, SampleReview};
pub use reviewer::{Reviewer, review};
pub use score::Score;
pub use separation::Separation;
pub use settings::{Mode, ModeSetting, ReviewSettings, RubricSettings, Unreadable};

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
