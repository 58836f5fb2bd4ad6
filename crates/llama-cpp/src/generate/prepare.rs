//! What a request is before its samples are drawn: tokens, constraint, limit.

use lancer_backend::{BackendError, ChoiceTrie, Constraint, Finish, GenerateRequest, TokenId};
use llama_cpp_2::model::LlamaModel;

use crate::vocabulary::Vocabulary;

/// A request ready to run.
pub(super) struct Prepared {
    pub(super) prompt: Vec<TokenId>,
    pub(super) trie: Option<ChoiceTrie>,
    /// Tokens of a sample at most, and why it ends there.
    pub(super) limit: usize,
    pub(super) at_limit: Finish,
}

/// Reads a request; its index in the call is for the error that says what is wrong with it.
pub(super) fn prepare(
    model: &LlamaModel,
    vocabulary: &Vocabulary,
    context_length: usize,
    index: usize,
    request: &GenerateRequest,
) -> Result<Prepared, BackendError> {
    request.validate(index, vocabulary.size())?;
    let prompt = vocabulary.prompt(model, &request.prompt)?;
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
            let choices: Vec<Vec<TokenId>> =
                choices.iter().map(|choice| Vocabulary::choice(model, choice)).collect();
            let longest = choices.iter().map(Vec::len).max().unwrap_or(0);
            if longest > limit {
                return Err(invalid(format!(
                    "the longest choice has {longest} tokens, the sample at most {limit}"
                )));
            }
            ChoiceTrie::new(choices)
        }
    };
    Ok(Prepared { prompt, trie, limit, at_limit })
}
