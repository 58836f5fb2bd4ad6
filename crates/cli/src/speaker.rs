//! A model that answers a chat.

use std::{ops::ControlFlow, path::Path};

use clap::Args;
use lancer_backend::{
    Backend, BackendError, Completion, CompletionSink, GenerateRequest, Message, Prompt, Sampling, Seed,
};

use crate::engines::{self, EngineOptions, Scores};

/// How a model chooses its words.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct SpeakOptions {
    /// How freely it chooses; 0 always takes the most probable token.
    #[arg(long, value_name = "T", default_value_t = 0.7)]
    pub(crate) temperature: f32,
    /// The smallest set of tokens that holds so much of the probability is chosen from; 1 is all of them.
    #[arg(long, value_name = "P", default_value_t = 0.95)]
    pub(crate) top_p: f32,
    /// An answer ends after so many tokens.
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub(crate) max_tokens: usize,
}

impl SpeakOptions {
    fn sampling(self) -> Sampling {
        if self.temperature == 0.0 {
            Sampling::Greedy
        } else {
            Sampling::nucleus(self.temperature, self.top_p)
        }
    }
}

/// A loaded model.
pub(crate) struct Speaker(Box<dyn Backend>);

impl Speaker {
    pub(crate) fn load(engine: &EngineOptions, model: &Path) -> Result<Self, BackendError> {
        engines::backend(engine, model, Scores::NotAsked).map(Self)
    }

    /// The answer to a chat, whose last turn is the user's. The same chat and seed get the same answer.
    pub(crate) fn answer(
        &mut self,
        chat: &[Message],
        options: SpeakOptions,
        seed: Seed,
        flow: &dyn Fn() -> ControlFlow<()>,
    ) -> Result<String, BackendError> {
        let request = GenerateRequest::new(Prompt::chat(chat.to_vec()))
            .sampling(options.sampling())
            .max_tokens(options.max_tokens)
            .samples(seed, 1);
        let mut answer = Answer { flow, text: String::new() };
        // What is kept from the last answer would change the rounding of this one.
        self.0.forget();
        self.0.generate(&[request], &mut answer)?;
        Ok(answer.text)
    }
}

struct Answer<'a> {
    flow: &'a dyn Fn() -> ControlFlow<()>,
    text: String,
}

impl CompletionSink for Answer<'_> {
    fn completed(&mut self, completion: Completion) -> ControlFlow<()> {
        self.text = completion.text;
        ControlFlow::Continue(())
    }

    fn advanced(&mut self, _: usize) -> ControlFlow<()> {
        (self.flow)()
    }
}
