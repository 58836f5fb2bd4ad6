//! What a request is before its samples are drawn: tokens, constraint, limit. For implementations of
//! [`Backend::generate`](crate::Backend::generate).

use crate::{BackendError, ChoiceTrie, Constraint, Finish, GenerateRequest, TokenId};

/// A request ready to run.
#[derive(Debug, Clone)]
pub struct PreparedRequest {
    /// The prompt, shorter than the context.
    pub prompt: Vec<TokenId>,
    /// What the samples must be, where the request has a constraint.
    pub trie: Option<ChoiceTrie>,
    /// Tokens of a sample at most.
    pub limit: usize,
    /// Why a sample ends that reaches the limit.
    pub at_limit: Finish,
}

impl PreparedRequest {
    /// Holds a request that [`validate`](GenerateRequest::validate) has passed against the context.
    ///
    /// `index` is its place in its call, `prompt` its prompt as tokens, `choice` gives the tokens of one of its choices.
    ///
    /// # Errors
    /// [`BackendError::TooLong`] where the prompt leaves no room for a token, [`BackendError::InvalidRequest`] where the
    /// prompt has no tokens or a choice is longer than a sample may be.
    pub fn new(
        request: &GenerateRequest,
        index: usize,
        prompt: Vec<TokenId>,
        context_length: usize,
        choice: impl Fn(&str) -> Vec<TokenId>,
    ) -> Result<Self, BackendError> {
        let invalid = |reason: String| BackendError::InvalidRequest { request: index, reason };
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
        let trie = match &request.constraint {
            Constraint::Free => None,
            Constraint::Choices(choices) => {
                let choices: Vec<Vec<TokenId>> = choices.iter().map(|text| choice(text)).collect();
                let longest = choices.iter().map(Vec::len).max().unwrap_or(0);
                if longest > limit {
                    return Err(invalid(format!(
                        "the longest choice has {longest} tokens, the sample at most {limit}"
                    )));
                }
                ChoiceTrie::new(choices)
            }
        };
        Ok(Self { prompt, trie, limit, at_limit })
    }
}
