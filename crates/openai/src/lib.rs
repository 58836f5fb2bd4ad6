//! [`Backend`](lancer_backend::Backend) on servers with OpenAI's interface: vLLM, `SGLang`, llama.cpp's server and others.
//!
//! Prompts are rendered by the model's own chat template and cut into tokens by its own tokenizer, both read from files here,
//! and go to servers as token ids where they take them, so that texts and scores are of the model's own tokens. What a
//! server can do is asked once, by [`OpenAi::connect`], and is in its [`Capabilities`]; what it cannot do is refused.
//!
//! ```no_run
//! use lancer_backend::{Backend, Collect, GenerateRequest, Prompt};
//! use lancer_openai::{OpenAi, OpenAiSettings};
//!
//! let settings = OpenAiSettings::new(vec!["http://127.0.0.1:8000".parse()?]);
//! let mut engine = OpenAi::connect("Qwen2.5-7B-Instruct".as_ref(), settings)?;
//! let mut completions = Collect::default();
//! engine.generate(&[GenerateRequest::new(Prompt::user("Name a colour."))], &mut completions)?;
//! println!("{}", completions.0[0].text);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How servers are kept busy
//!
//! Each sample is a request of its own, since its seed is its own; a server with a prefix cache reads their prompt once. Where
//! seeds change nothing, the samples of a prompt are one request. As many requests are in flight at a server as it keeps up
//! with. A request that fails is sent again, to whichever server is free, after a wait that grows and is drawn at random; each
//! has a connection of its own, so that a late or a second answer to one is never taken for the answer to another. A
//! sample has one completion, whatever was sent again.

mod body;
mod budget;
mod cancel;
mod capabilities;
mod engine;
mod error;
mod http;
mod key;
mod load;
mod probe;
mod samples;
mod scores;
mod served;
mod settings;
mod vocabulary;
mod wire;
mod written;

pub use budget::{Budget, BudgetSpent, Meter, Money, Price, Tokens};
pub use capabilities::{
    AdapterInterface, Capabilities, ChoicesField, GeneratedLogProbs, Need, PromptForm, RegexField,
    SchemaField, Scoring, Seeds, Software,
};
pub use engine::OpenAi;
pub use error::ServerError;
pub use key::{ApiKey, ApiKeyError, KEY_VARIABLE};
pub use served::Fingerprint;
pub use settings::{OpenAiSettings, Retry, ServerAddress, ServerAddressError};

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
