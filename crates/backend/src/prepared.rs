//! What a request is before its samples are drawn: tokens, constraint, limit. For implementations of
//! [`Backend::generate`](crate::Backend::generate).

use crate::{
    BackendError, ChoiceTrie, Constraint, Finish, GenerateRequest, GrammarPosition, TokenId, Tokenizer,
};

/// A request ready to run.
#[derive(Debug, Clone)]
pub struct PreparedRequest {
    /// The prompt, shorter than the context.
    pub prompt: Vec<TokenId>,
    /// What the samples are held to.
    pub held: Held,
    /// Tokens of a sample at most.
    pub limit: usize,
    /// Why a sample ends that reaches the limit.
    pub at_limit: Finish,
}

/// What samples are held to.
#[derive(Debug, Clone)]
pub enum Held {
    /// Nothing.
    Free,
    /// One of some choices.
    Choices(ChoiceTrie),
    /// A grammar, at its beginning.
    Grammar(GrammarPosition),
}

impl PreparedRequest {
    /// Checks a request, reads its prompt and holds it against the context. `index` is its place in its call.
    ///
    /// # Errors
    /// Those of [`validate`](GenerateRequest::validate) and of [`Tokenizer::prompt`]; [`BackendError::TooLong`] where the
    /// prompt leaves no room for a token; [`BackendError::InvalidRequest`] where the prompt has no tokens, a choice is
    /// longer than a sample may be, or a grammar cannot be read.
    pub fn new(
        request: &GenerateRequest,
        index: usize,
        context_length: usize,
        tokenizer: &dyn Tokenizer,
    ) -> Result<Self, BackendError> {
        let invalid = |reason: String| BackendError::InvalidRequest { request: index, reason };
        request.validate(index, tokenizer.vocabulary())?;
        let prompt = tokenizer.prompt(&request.prompt)?;
        if prompt.is_empty() {
            return Err(invalid("the prompt has no tokens".into()));
        }
        if prompt.len() >= context_length {
            return Err(BackendError::TooLong { request: index, tokens: prompt.len() + 1, context_length });
        }
        let room = context_length - prompt.len();
        let (limit, at_limit) = if request.max_tokens <= room {
            (request.max_tokens, Finish::MaxTokens)
        } else {
            (room, Finish::ContextFull)
        };
        let held = match &request.constraint {
            Constraint::Free => Held::Free,
            Constraint::Choices(choices) => {
                let choices: Vec<Vec<TokenId>> = choices.iter().map(|text| tokenizer.plain(text)).collect();
                let longest = choices.iter().map(Vec::len).max().unwrap_or(0);
                if longest > limit {
                    return Err(invalid(format!(
                        "the longest choice has {longest} tokens, the sample at most {limit}"
                    )));
                }
                ChoiceTrie::new(choices).map_or(Held::Free, Held::Choices)
            }
            Constraint::Grammar(grammar) => tokenizer
                .grammars()
                .begin(grammar, tokenizer)
                .map(Held::Grammar)
                .map_err(|reason| invalid(format!("the grammar cannot be used: {reason}")))?,
        };
        Ok(Self { prompt, held, limit, at_limit })
    }
}
