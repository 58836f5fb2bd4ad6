//! Samples: from requests to what servers write.

use std::sync::Arc;

use lancer_backend::{
    BackendError, Completion, CompletionSink, Constraint, GenerateRequest, Grammar, PreparedRequest, Prompt,
    Usage,
};
use serde_json::{Value, json};

use crate::{
    Capabilities, PromptForm, Seeds, Tokens,
    body::{self, Asked},
    error::failed,
    http::Answer,
    load::{Exchange, Servers, dispatch},
    vocabulary::Vocabulary,
    wire::{Body, CHAT_COMPLETIONS, COMPLETIONS, Completions, PromptBody},
    written::{self, Written},
};

/// One request to a server: a sample, or all samples of a prompt where seeds change nothing.
struct OfSamples {
    request: Arc<Prepared>,
    first: usize,
    count: usize,
    servers: Arc<Vec<Capabilities>>,
    vocabulary: Arc<Vocabulary>,
}

/// A request ready to be sent.
struct Prepared {
    index: usize,
    asked: GenerateRequest,
    ready: PreparedRequest,
    /// The prompt as the servers take it.
    prompt: PromptOf,
}

/// A prompt as a server takes it.
enum PromptOf {
    Prompt(PromptBody),
    Chat(Value),
}

impl Exchange for OfSamples {
    type Answer = Vec<Written>;

    fn request(&self, server: usize) -> (&'static str, Value) {
        let can = &self.servers[server];
        let Prepared { asked, ready, prompt, .. } = &*self.request;
        let of = Asked {
            sampling: asked.sampling,
            penalties: Some(&asked.penalties),
            // A sample's seed is its own: one request has one.
            seed: (can.seeds == Seeds::Obeyed || self.count == 1).then(|| asked.seeds[self.first]),
            stop: if can.stops { &asked.stop } else { &[] },
            constraint: &asked.constraint,
            ends: self.vocabulary.end_tokens(),
        };
        let mut body: Body = body::of_samples(can, &of, ready.limit, self.count);
        let path = match prompt {
            PromptOf::Prompt(prompt) => {
                body.prompt = Some(prompt.clone());
                COMPLETIONS
            }
            PromptOf::Chat(messages) => {
                body.messages = Some(messages.clone());
                CHAT_COMPLETIONS
            }
        };
        // Numbers, texts and lists only.
        (path, serde_json::to_value(&body).unwrap_or_default())
    }

    fn read(&self, _: usize, answer: &Answer) -> Result<Vec<Written>, String> {
        let answer: Completions = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        let Prepared { asked, ready, .. } = &*self.request;
        written::read(answer, asked, ready, &self.vocabulary, self.count)
    }

    fn most(&self) -> Tokens {
        let Prepared { ready, .. } = &*self.request;
        Tokens { prompt: ready.prompt.len() as u64, generated: (ready.limit * self.count) as u64 }
    }

    fn took(&self, answer: &Vec<Written>) -> Tokens {
        let generated = answer.iter().map(|written| written.charged).sum();
        Tokens { prompt: self.request.ready.prompt.len() as u64, generated }
    }
}

/// Draws every sample of every request.
pub(crate) fn generate(
    servers: &Arc<Servers>,
    can: &Arc<Vec<Capabilities>>,
    vocabulary: &Arc<Vocabulary>,
    context_length: usize,
    requests: &[GenerateRequest],
    sink: &mut dyn CompletionSink,
) -> Result<Usage, BackendError> {
    let form = prompt_form(can);
    let prepared = requests
        .iter()
        .enumerate()
        .map(|(index, asked)| {
            let ready = PreparedRequest::new(asked, index, context_length, &**vocabulary)?;
            let invalid = |reason: String| BackendError::InvalidRequest { request: index, reason };
            let cannot = |can: &Capabilities| {
                let sample = || body::cannot_sample(can, asked.sampling, &asked.penalties);
                cannot_hold(can, &asked.constraint).or_else(sample)
            };
            if let Some(reason) = can.iter().find_map(cannot) {
                return Err(invalid(reason));
            }
            let prompt = prompt_of(&asked.prompt, &ready, form, vocabulary).map_err(invalid)?;
            Ok(Arc::new(Prepared { index, asked: asked.clone(), ready, prompt }))
        })
        .collect::<Result<Vec<_>, BackendError>>()?;
    let together = can.iter().all(|can| can.several && can.seeds == Seeds::Ignored);
    let mut exchanges = Vec::new();
    for request in &prepared {
        let samples = request.asked.seeds.len();
        let step = if together { samples.max(1) } else { 1 };
        exchanges.extend((0..samples).step_by(step).map(|first| OfSamples {
            request: Arc::clone(request),
            first,
            count: step,
            servers: Arc::clone(can),
            vocabulary: Arc::clone(vocabulary),
        }));
    }
    let places: Vec<(Arc<Prepared>, usize)> =
        exchanges.iter().map(|one| (Arc::clone(&one.request), one.first)).collect();
    let mut usage = Usage::default();
    // Both borrow the sink, one at a time.
    let sink = std::cell::RefCell::new(sink);
    dispatch(
        servers,
        exchanges,
        &mut |number, written| {
            let (request, first) = &places[number];
            let mut sink = sink.borrow_mut();
            let prompt = request.ready.prompt.len();
            usage.read += prompt as u64;
            let generated: usize = written.iter().map(|written| written.tokens.len()).sum();
            usage.generated += generated as u64;
            for (place, written) in written.into_iter().enumerate() {
                let Written { text, tokens, log_probs, finish, .. } = written;
                let (request, sample) = (request.index, first + place);
                sink.completed(Completion { request, sample, text, tokens, log_probs, finish })?;
            }
            sink.advanced(prompt + generated)
        },
        &mut || sink.borrow_mut().advanced(0),
    )
    .map_err(|error| failed("generating", error))?;
    Ok(usage)
}

/// The form in which all servers take prompts.
fn prompt_form(can: &[Capabilities]) -> PromptForm {
    let all = |form| can.iter().all(|can| can.prompts == form);
    [PromptForm::Tokens, PromptForm::Text].into_iter().find(|&form| all(form)).unwrap_or(PromptForm::Chat)
}

fn prompt_of(
    prompt: &Prompt,
    prepared: &PreparedRequest,
    form: PromptForm,
    vocabulary: &Vocabulary,
) -> Result<PromptOf, String> {
    let chat = |form: &str| {
        Err(format!("this server takes prompts as {form} only; use one that takes token ids, such as vLLM"))
    };
    match (form, prompt) {
        (PromptForm::Tokens, _) => Ok(PromptOf::Prompt(PromptBody::Tokens(prepared.prompt.clone()))),
        (PromptForm::Text, Prompt::Chat(chat)) => {
            let text = vocabulary.rendered(chat).map_err(|error| error.to_string())?;
            Ok(PromptOf::Prompt(PromptBody::Text(text)))
        }
        (PromptForm::Text, Prompt::Text(text)) => Ok(PromptOf::Prompt(PromptBody::Text(text.clone()))),
        (PromptForm::Chat, Prompt::Chat(chat)) if chat.tools.is_empty() => Ok(PromptOf::Chat(json!(chat.messages))),
        (PromptForm::Chat, Prompt::Chat(_)) => {
            Err("tools are not offered to a server that takes chats only; use one that takes token ids, such as vLLM".into())
        }
        (PromptForm::Text, Prompt::Tokens(_)) => chat("text"),
        (PromptForm::Chat, Prompt::Text(_) | Prompt::Tokens(_)) => chat("chats"),
    }
}

/// Why a server cannot hold a text to a constraint.
fn cannot_hold(can: &Capabilities, constraint: &Constraint) -> Option<String> {
    let (is_able, what) = match constraint {
        Constraint::Free => return None,
        Constraint::Choices(_) => (can.choices.is_some(), "some choices"),
        Constraint::Grammar(Grammar::Regex(_)) => (can.regex.is_some(), "a regular expression"),
        Constraint::Grammar(Grammar::JsonSchema(_)) => (can.json_schema.is_some(), "a JSON schema"),
    };
    let reason = || {
        format!(
            "{} does not hold a text to {what}; vLLM does, and every engine on this machine (--backend llama-cpp)",
            can.program()
        )
    };
    (!is_able).then(reason)
}
