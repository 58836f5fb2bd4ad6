//! Finding out what a server can do, by asking it once at start.

mod generation;
mod identity;
mod scoring;
mod structure;

use std::path::Path;

use lancer_backend::{Constraint, Conversation, Message, Opened, Sampling, Seed, Tokenizer};
use serde_json::Value;

use crate::{
    Capabilities, GeneratedLogProbs, PromptForm, Seeds, ServerAddress, ServerError, body,
    body::Asked,
    http::{Answer, Client, NoAnswer},
    vocabulary::Vocabulary,
    wire::{Body, CHAT_COMPLETIONS, COMPLETIONS, Choice, Completions, PromptBody},
};

/// A server that does not answer at once is asked so many times.
const ATTEMPTS: u32 = 3;

/// Asks a server what it can do. `path` is where the tokenizer is from.
///
/// # Errors
/// Where it cannot be reached, does not take the key, has not the model, or has another tokenizer.
pub(crate) fn probe(
    client: &Client,
    server: &ServerAddress,
    model: Option<&str>,
    vocabulary: &Vocabulary,
    path: &Path,
) -> Result<Capabilities, ServerError> {
    let mut can = identity::identify(client, server, model)?;
    let mut probe = Probe { client, server, vocabulary, can: &mut can };
    probe.prompts(path)?;
    probe.samples()?;
    probe.structure()?;
    probe.scoring()?;
    Ok(can)
}

/// A server while it is asked.
struct Probe<'a> {
    client: &'a Client,
    server: &'a ServerAddress,
    vocabulary: &'a Vocabulary,
    can: &'a mut Capabilities,
}

/// What a server said to a request: an answer, or that it does not take the request.
enum Said {
    Completions(Completions),
    Refused(String),
}

impl Capabilities {
    /// What is known of a server before it is asked.
    pub(crate) fn unknown(model: String) -> Self {
        Self {
            software: crate::Software::Other,
            version: String::new(),
            model,
            context_length: None,
            parameters: None,
            prompts: PromptForm::Chat,
            token_ids: false,
            several: false,
            seeds: Seeds::Ignored,
            stops: false,
            log_probs: GeneratedLogProbs::None,
            scoring: None,
            regex: None,
            json_schema: None,
            white_space_in_json: false,
            choices: None,
            adapters: None,
            new_weights: false,
            own_sampling: false,
        }
    }
}

impl Probe<'_> {
    /// The chat that every question to a server begins from.
    fn chat() -> Conversation {
        let messages = vec![Message::user("Write one sentence about the sea.")];
        Conversation { messages, ..Conversation::default() }
    }

    /// Its prompt in the form that the server takes.
    fn with_prompt(&self, mut body: Body) -> Result<(&'static str, Body), ServerError> {
        let rendered = |error: &dyn std::fmt::Display| ServerError::NotOpenAi {
            server: self.server.base().into(),
            reason: format!("the model's chat template cannot render a chat: {error}"),
        };
        match self.can.prompts {
            PromptForm::Tokens => {
                let tokens = match self.vocabulary.chat(&Self::chat(), Opened::Turn) {
                    Ok(tokens) => tokens,
                    // A base model has no template.
                    Err(_) => self.vocabulary.document("Once upon a time there was a small"),
                };
                body.prompt = Some(PromptBody::Tokens(tokens));
                Ok((COMPLETIONS, body))
            }
            PromptForm::Text => {
                let text = self.vocabulary.rendered(&Self::chat()).map_err(|error| rendered(&error))?;
                body.prompt = Some(PromptBody::Text(text));
                Ok((COMPLETIONS, body))
            }
            PromptForm::Chat => {
                body.messages = serde_json::to_value(Self::chat().messages).ok();
                Ok((CHAT_COMPLETIONS, body))
            }
        }
    }

    /// The body of a question for `samples` samples.
    fn body(&self, sampling: Sampling, seed: u64, max_tokens: usize, samples: usize) -> Body {
        let asked = Asked {
            sampling,
            penalties: None,
            seed: Some(Seed(seed)),
            stop: &[],
            constraint: &Constraint::Free,
            ends: self.vocabulary.end_tokens(),
        };
        body::of_samples(self.can, &asked, max_tokens, samples)
    }

    /// Asks with the prompt of the probe.
    fn ask(&self, body: Body) -> Result<Said, ServerError> {
        let (path, body) = self.with_prompt(body)?;
        self.send(path, &body)
    }

    fn send(&self, path: &str, body: &Body) -> Result<Said, ServerError> {
        let value: Value = serde_json::to_value(body).unwrap_or_default();
        let answer = reach(self.server, || self.client.post(self.server, path, &value))?;
        if matches!(answer.status, 401 | 403) {
            return Err(ServerError::Key { server: self.server.base().into(), status: answer.status });
        }
        if !answer.is_success() {
            return Ok(Said::Refused(self.client.shown(&answer.error_text())));
        }
        Ok(match serde_json::from_slice::<Completions>(&answer.body) {
            Ok(completions) if completions.choices.is_empty() => Said::Refused("no completion".into()),
            Ok(completions) => Said::Completions(completions),
            Err(error) => Said::Refused(error.to_string()),
        })
    }

    /// The only completion of an answer; `None` where the server does not take the request.
    fn one(&self, body: Body) -> Result<Option<Choice>, ServerError> {
        Ok(match self.ask(body)? {
            Said::Completions(mut completions) => Some(completions.choices.swap_remove(0)),
            Said::Refused(_) => None,
        })
    }

    /// The texts of an answer; none where the server does not take the request.
    fn texts(&self, body: Body) -> Result<Vec<String>, ServerError> {
        Ok(match self.ask(body)? {
            Said::Completions(completions) => completions
                .choices
                .iter()
                .map(|choice| choice.text().unwrap_or_default().to_owned())
                .collect(),
            Said::Refused(_) => Vec::new(),
        })
    }
}

/// Asks again where a server cannot be reached, and where it has no room.
fn reach(
    server: &ServerAddress,
    mut ask: impl FnMut() -> Result<Answer, NoAnswer>,
) -> Result<Answer, ServerError> {
    let mut attempt = 1;
    loop {
        let wait = match ask() {
            Ok(answer) if attempt < ATTEMPTS && matches!(answer.status, 429 | 503) => {
                answer.retry_after.unwrap_or_default()
            }
            Ok(answer) => return Ok(answer),
            Err(error) if attempt == ATTEMPTS => {
                return Err(ServerError::Unreachable {
                    server: server.base().into(),
                    reason: error.to_string(),
                });
            }
            Err(_) => std::time::Duration::from_millis(500),
        };
        std::thread::sleep(
            wait.clamp(std::time::Duration::from_millis(200), std::time::Duration::from_secs(30)),
        );
        attempt += 1;
    }
}
