//! Llama, Mistral, Qwen2, Qwen3 and Gemma 3 transformers in [Burn](https://burn.dev), in 32-bit floats: on the processor, and
//! with the features `wgpu` and `cuda` on GPUs ([`BurnDevice`]).
//!
//! * [`BurnLearner`] trains a model, in full or through low-rank adapters ([`TrainSettings`]): a
//!   [`Learner`](lancer_backend::Learner).
//! * [`BurnBackend`] generates text and scores it: a [`Backend`](lancer_backend::Backend). Samples of any requests are
//!   written side by side, and what prompts have in common is read once and kept once.
//!
//! Sequences are packed as rows of one matrix for the linear layers, and attention is done for each by itself, so nothing
//! is computed for padding. Sequences that follow each other with the same prompt, such as the two sides of a preference
//! pair, share its rows. The head is computed for target tokens only and for some thousand tokens of the vocabulary at a
//! time, so the logits of a batch never stand in memory. Every operation of a layer is a kernel of this crate with a
//! derivative of its own, an extension of Burn, on the processor as on GPUs. Frozen weights have no gradient at any time.
//!
//! Most of a step is matrix products at the speed of the processor, in 32-bit floats or with factors rounded to bf16
//! ([`Products`]). `examples/train_speed.rs` measures it.
//!
//! ```
//! use std::path::Path;
//!
//! use lancer_backend::{Conversation, Learner, StepSettings, TrainedTurns};
//! use lancer_burn::{BurnLearner, TrainSettings};
//!
//! # let model = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/tiny-llama"));
//! let mut learner = BurnLearner::load(model, &TrainSettings::default())?;
//! let chat = Conversation::of_pair("Name a colour.", "Blue.");
//! let batch = [learner.encode(&chat, TrainedTurns::Last)?];
//! let log_probs = learner.forward(&batch)?;
//! // The loss is the negative log-likelihood: its derivative by each log-probability is -1.
//! let weights: Vec<Vec<f32>> = log_probs.iter().map(|sequence| vec![-1.0; sequence.len()]).collect();
//! learner.backward(&weights)?;
//! learner.step(&StepSettings { learning_rate: 1e-3, ..StepSettings::default() })?;
//!
//! let after = learner.log_probs(&batch)?;
//! assert!(after[0].iter().sum::<f32>() > log_probs[0].iter().sum::<f32>());
//! # Ok::<(), lancer_backend::LearnerError>(())
//! ```

// Some of the arguments of fused operations are for the kernels of GPUs alone.
#![cfg_attr(not(any(feature = "wgpu", feature = "cuda")), allow(dead_code))]

mod device;
mod engine;
mod fused;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod gpu;
mod numbers;
mod product;
mod reading;
mod settings;
mod speed;
mod stored_weight;
mod training;
mod transformer;
#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
mod without_gpu;

#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
use without_gpu as gpu;

pub use device::{BurnDevice, DeviceError};
pub use engine::{BurnBackend, BurnSettings, Weights};
pub use settings::{
    Activations, LoraSettings, Method, Products, Projection, Scaling, SettingError, Targets, TrainSettings,
    settings_schema,
};
pub use speed::best_product;
pub use training::BurnLearner;

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
