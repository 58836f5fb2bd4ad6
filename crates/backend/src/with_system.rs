//! An engine whose chats begin with a system prompt, where they have none of their own.

use std::{borrow::Cow, ops::ControlFlow};

use crate::{
    Backend, BackendError, CompletionSink, GenerateRequest, Message, ModelInfo, Prompt, Role, ScoreRequest,
    ScoredContinuation, TokenId, Usage,
};

/// Sets a system prompt before each chat that has none. Texts and tokens stay as they are.
pub struct WithSystem<'a> {
    inner: &'a mut dyn Backend,
    system: Option<&'a str>,
}

impl<'a> WithSystem<'a> {
    /// Without a system prompt, all chats stay as they are.
    pub fn new(inner: &'a mut dyn Backend, system: Option<&'a str>) -> Self {
        Self { inner, system }
    }

    fn with<'p>(&self, prompt: &'p Prompt) -> Cow<'p, Prompt> {
        match (self.system, prompt) {
            (Some(system), Prompt::Chat(chat))
                if chat.messages.first().is_none_or(|first| first.role != Role::System) =>
            {
                let mut chat = chat.clone();
                chat.messages.insert(0, Message::system(system));
                Cow::Owned(Prompt::Chat(chat))
            }
            _ => Cow::Borrowed(prompt),
        }
    }
}

impl Backend for WithSystem<'_> {
    fn info(&self) -> ModelInfo {
        self.inner.info()
    }

    fn tokenize(&self, prompt: &Prompt) -> Result<Vec<TokenId>, BackendError> {
        self.inner.tokenize(&self.with(prompt))
    }

    fn detokenize(&self, tokens: &[TokenId]) -> Result<String, BackendError> {
        self.inner.detokenize(tokens)
    }

    fn generate(
        &mut self,
        requests: &[GenerateRequest],
        sink: &mut dyn CompletionSink,
    ) -> Result<Usage, BackendError> {
        if self.system.is_none() {
            return self.inner.generate(requests, sink);
        }
        let requests: Vec<GenerateRequest> = requests
            .iter()
            .map(|request| GenerateRequest {
                prompt: self.with(&request.prompt).into_owned(),
                ..request.clone()
            })
            .collect();
        self.inner.generate(&requests, sink)
    }

    fn score(
        &mut self,
        requests: &[ScoreRequest],
        sink: &mut dyn FnMut(usize, Vec<ScoredContinuation>) -> ControlFlow<()>,
    ) -> Result<Usage, BackendError> {
        if self.system.is_none() {
            return self.inner.score(requests, sink);
        }
        let requests: Vec<ScoreRequest> = requests
            .iter()
            .map(|request| ScoreRequest {
                prompt: self.with(&request.prompt).into_owned(),
                ..request.clone()
            })
            .collect();
        self.inner.score(&requests, sink)
    }

    fn forget(&mut self) {
        self.inner.forget();
    }
}

#[cfg(test)]
mod tests {
    use crate::{Backend, Conversation, Message, Prompt, WithSystem, scripted::ScriptedBackend};

    #[test]
    fn chats_without_a_system_prompt_get_it_and_others_stay() {
        let mut engine = ScriptedBackend::new(|_, _| String::new());
        let chat = |messages: Vec<Message>| Prompt::Chat(Conversation { messages, tools: Vec::new() });
        let plain = chat(vec![Message::user("u")]);
        let own = chat(vec![Message::system("mine"), Message::user("u")]);
        let text = Prompt::Text("u".into());
        let expected = engine.tokenize(&chat(vec![Message::system("s"), Message::user("u")])).unwrap();
        let before = [&plain, &own, &text].map(|prompt| engine.tokenize(prompt).unwrap());
        let with = WithSystem::new(&mut engine, Some("s"));
        assert_eq!(with.tokenize(&plain).unwrap(), expected);
        assert_eq!(with.tokenize(&own).unwrap(), before[1]);
        assert_eq!(with.tokenize(&text).unwrap(), before[2]);
        let without = WithSystem::new(&mut engine, None);
        assert_eq!(without.tokenize(&plain).unwrap(), before[0]);
    }
}
