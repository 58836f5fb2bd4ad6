//! [`Backend`](lancer_backend::Backend) on llama.cpp.
//!
//! One sequence of the KV cache, the trunk, holds the latest prompt. Each sample or continuation is a branch: it shares
//! the trunk's cells and adds its own, and is replaced as soon as it ends. The next prompt goes into the trunk too, from
//! where it differs from the last, so what many prompts begin with (a rubric, examples) is computed once. Prompts are
//! read in the same steps in which samples are written.
//!
//! ```no_run
//! use lancer_backend::{Backend, Collect, GenerateRequest, Prompt};
//! use lancer_llama_cpp::{LlamaCpp, LlamaCppSettings};
//!
//! let mut engine = LlamaCpp::load("model.gguf".as_ref(), &LlamaCppSettings::default())?;
//! let mut completions = Collect::default();
//! engine.generate(&[GenerateRequest::new(Prompt::user("Name a colour."))], &mut completions)?;
//! println!("{}", completions.0[0].text);
//! # Ok::<(), lancer_backend::BackendError>(())
//! ```

mod cache;
mod generate;
mod load;
mod requests;
mod score;
mod settings;
mod vocabulary;

pub use load::LlamaCpp;
pub use settings::{LlamaCppSettings, LlamaCppSettingsError};
