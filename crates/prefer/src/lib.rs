//! Preference training: losses without a tensor library, and the training loop over any
//! [`Learner`](lancer_backend::Learner).
//!
//! * [`loss`] holds the losses: NLL, DPO, IPO, SimPO, ORPO, KTO and others that TRL has, each a pure function from log-probabilities to a
//!   value and its derivatives.
//! * [`train_sft`] and [`train_preference`] train a learner on examples: batches of like length in a seeded order,
//!   gradient accumulation under a limit of tokens, warm-up and decay, evaluation, checkpoints that belong to one training
//!   ([`CheckpointPolicy`]), and resuming to the same weights. An example whose loss or gradient is not finite is set aside
//!   ([`SetAside`]). A [`TrainingObserver`] gets each step when it is made, and can end the run.
//! * [`draw`] holds out whole prompts; [`gradient_spikes`] and [`both_fall`] look for known failures in the records.
//!
//! A learner is yours to bring: it gives log-probabilities and takes their derivatives. Here, one whose model is a table
//! of byte pairs learns to prefer a response:
//!
//! ```
//! use std::collections::HashMap;
//!
//! use lancer_backend::{Message, Seed, scripted::ScriptedLearner};
//! use lancer_prefer::{CheckpointPolicy, PreferenceExample, Split, TrainSettings, loss::PreferenceLoss, train_preference};
//!
//! let pairs = [PreferenceExample {
//!     key: "sky".into(),
//!     prompt: vec![Message::user("What colour is the sky?")].into(),
//!     chosen: Message::assistant("Blue."),
//!     rejected: Message::assistant("The sky is a sky."),
//! }];
//! let mut settings = TrainSettings { epochs: 20, ..TrainSettings::default() };
//! settings.optimizer.learning_rate = 0.05;
//! let report = train_preference(
//!     &mut ScriptedLearner::new(),
//!     Split::train_only(&pairs),
//!     &PreferenceLoss::default(),
//!     &settings,
//!     CheckpointPolicy::None,
//!     Seed(1),
//!     &mut HashMap::new(),
//!     &mut (),
//! )?;
//! let margin = |step: usize| report.steps[step].preference.map(|metrics| metrics.reward_margin);
//! assert_eq!(margin(0), Some(0.0));
//! assert!(margin(19) > Some(0.5));
//! # Ok::<(), lancer_prefer::TrainingError>(())
//! ```

mod batch_loss;
mod batches;
mod checkpoint;
mod culprits;
mod description;
mod draw;
mod encoded;
mod error;
mod example;
pub mod loss;
mod observer;
mod prepared;
mod record;
mod reference;
mod reference_file;
mod run;
mod schedule;
mod sealed;
mod set_aside;
mod settings;
mod train;
mod watch;

pub use batches::{epoch_batches, run_batches, within_tokens};
pub use checkpoint::{Checkpoint, CheckpointPolicy};
pub use description::Base;
pub use draw::{Candidate, Draw, check_held_out, draw, draw_keys};
pub use encoded::Encode;
pub use error::{SettingError, TrainingError};
pub use example::{PreferenceExample, SftExample, Split};
pub use observer::TrainingObserver;
pub use prepared::{Examples, Prepared, PreparedExample, prepare};
pub use record::{
    EvaluationRecord, Outcome, PreferenceMetrics, SkipReason, Skipped, StepExample, StepRecord, TrainingPlan,
    TrainingReport,
};
pub use reference::{Mismatched, ReferenceLogProbs, ReferenceStore};
pub use reference_file::ReferenceFile;
pub use schedule::{Decay, Schedule};
pub use set_aside::{SetAside, SetAsideReason};
pub use settings::{BatchSize, LongExamples, OptimizerSettings, TrainSettings};
pub use train::{train_preference, train_sft};
pub use watch::{BothFall, GradientSpike, SeenIn, both_fall, gradient_spikes};

/// The example of the crate's README, which the project's README has too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
