//! The engine: a model that is served somewhere else.

use std::{ops::ControlFlow, path::Path, sync::Arc};

use lancer_backend::{
    Backend, BackendError, CompletionSink, GenerateRequest, ModelInfo, Prompt, ScoreRequest,
    ScoredContinuation, TokenId, Tokenizer, Usage,
};

use crate::{
    Capabilities, Need, OpenAiSettings, PromptForm, ServerAddress, ServerError,
    error::{ENGINE, engine_error},
    load::Servers,
    probe, samples, scores,
    vocabulary::Vocabulary,
};

/// The context where neither the server nor the model's files say how long it is.
const UNKNOWN_CONTEXT: usize = 4096;

/// A model that one or several servers serve. Its clones share the servers and what is known of them.
#[derive(Clone)]
pub struct OpenAi {
    pub(crate) servers: Arc<Servers>,
    pub(crate) can: Arc<Vec<Capabilities>>,
    pub(crate) vocabulary: Arc<Vocabulary>,
    pub(crate) info: ModelInfo,
}

impl OpenAi {
    /// Asks every server what it can do. `model` has the served model's tokenizer and chat template: a GGUF file, or a folder
    /// with `tokenizer.json` and `tokenizer_config.json`.
    ///
    /// # Errors
    /// [`BackendError::Load`] where those files cannot be read, a server cannot be reached or does not take the key, or serves
    /// another model.
    pub fn connect(model: &Path, settings: OpenAiSettings) -> Result<Self, BackendError> {
        let failed = |source: ServerError| BackendError::Load { path: model.into(), source: source.into() };
        if settings.servers.is_empty() {
            return Err(failed(ServerError::NoServer));
        }
        let vocabulary = Vocabulary::load(model)
            .map_err(|source| BackendError::Load { path: model.into(), source: source.into() })?;
        let servers = Servers::new(settings);
        let asked = &servers.settings;
        let can = asked
            .servers
            .iter()
            .map(|server| probe::probe(&servers.client, server, asked.model.as_deref(), &vocabulary, model))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        same_model(&asked.servers, &can).map_err(failed)?;
        let lengths = can.iter().filter_map(|can| can.context_length).chain(vocabulary.context_length());
        // A request for scores generates a token, which has a place too.
        let context_length = lengths.min().map_or(UNKNOWN_CONTEXT, |length| length.saturating_sub(1).max(1));
        let info = ModelInfo {
            engine: ENGINE.into(),
            name: can[0].model.clone(),
            format: can[0].program(),
            parameters: can[0].parameters.unwrap_or_default(),
            vocabulary: vocabulary.vocabulary(),
            context_length,
        };
        Ok(Self { servers: Arc::new(servers), can: Arc::new(can), vocabulary: Arc::new(vocabulary), info })
    }

    /// Each server with what it can do.
    pub fn servers(&self) -> impl Iterator<Item = (&ServerAddress, &Capabilities)> {
        self.servers.settings.servers.iter().zip(self.can.iter())
    }

    /// Checks that every server can do what some work needs.
    ///
    /// # Errors
    /// [`ServerError::Lacks`] with the reason and the way out.
    pub fn require(&self, need: Need) -> Result<(), ServerError> {
        for (server, can) in self.servers() {
            if let Some(reason) = can.lacks(need) {
                return Err(ServerError::Lacks { server: server.base().into(), reason });
            }
        }
        Ok(())
    }
}

/// Checks that all servers have the same model: its name, and the form of prompts, on which its tokens depend.
fn same_model(servers: &[ServerAddress], can: &[Capabilities]) -> Result<(), ServerError> {
    let (Some(server), Some(first)) = (servers.first(), can.first()) else { return Ok(()) };
    for (other, found) in servers.iter().zip(can).skip(1) {
        let form = |can: &Capabilities| match can.prompts {
            PromptForm::Tokens => can.model.clone(),
            PromptForm::Text => format!("{} from text", can.model),
            PromptForm::Chat => format!("{} from chats", can.model),
        };
        if form(first) != form(found) {
            return Err(ServerError::DifferentModels {
                first: server.base().into(),
                model: form(first),
                other: other.base().into(),
                other_model: form(found),
            });
        }
    }
    Ok(())
}

impl Backend for OpenAi {
    fn info(&self) -> ModelInfo {
        self.info.clone()
    }

    fn tokenize(&self, prompt: &Prompt) -> Result<Vec<TokenId>, BackendError> {
        self.vocabulary.prompt(prompt)
    }

    fn detokenize(&self, tokens: &[TokenId]) -> Result<String, BackendError> {
        if let Some(token) = Prompt::Tokens(tokens.to_vec()).token_outside(self.info.vocabulary) {
            let reason = format!("the vocabulary has only {} tokens", self.info.vocabulary);
            return Err(engine_error(format!("reading the text of token {}", token.0), reason));
        }
        Ok(self.vocabulary.text(tokens))
    }

    fn generate(
        &mut self,
        requests: &[GenerateRequest],
        sink: &mut dyn CompletionSink,
    ) -> Result<Usage, BackendError> {
        let length = self.info.context_length;
        samples::generate(&self.servers, &self.can, &self.vocabulary, length, requests, sink)
    }

    fn score(
        &mut self,
        requests: &[ScoreRequest],
        sink: &mut dyn FnMut(usize, Vec<ScoredContinuation>) -> ControlFlow<()>,
    ) -> Result<Usage, BackendError> {
        let length = self.info.context_length;
        scores::score(&self.servers, &self.can, &self.vocabulary, length, requests, sink)
    }
}
