//! Llama, Mistral, Qwen2, Qwen3 and Gemma 3 transformers in [Burn](https://burn.dev), in 32-bit floats: on the processor, and
//! with the features `wgpu` and `cuda` on graphics cards ([`BurnDevice`]).
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
//! derivative of its own, an extension of Burn, on the processor as on cards. Frozen weights have no gradient at any time.
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

// Of what the kernels for cards are given some is for them alone.
#![cfg_attr(not(any(feature = "wgpu", feature = "cuda")), allow(dead_code))]

#[cfg(target_arch = "x86_64")]
mod amx;
mod awake;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod card;
mod device;
mod dot;
mod engine;
mod exp;
mod fused;
mod numbers;
mod pieces;
mod product;
mod reading;
mod rounded_weight;
mod settings;
mod speed;
mod stored_weight;
mod training;
mod transformer;
#[cfg(not(target_arch = "x86_64"))]
mod without_amx;
#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
mod without_card;

#[cfg(not(target_arch = "x86_64"))]
use without_amx as amx;
#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
use without_card as card;

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
