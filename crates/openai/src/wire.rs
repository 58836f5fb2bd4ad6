//! Requests and answers as JSON has them. Fields beyond OpenAI's are vLLM's, `SGLang`'s or llama.cpp's, and are left out
//! where the server is another.

use std::collections::BTreeMap;

use lancer_backend::TokenId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The path of completions of a prompt.
pub(crate) const COMPLETIONS: &str = "/v1/completions";

/// The path of completions of a chat.
pub(crate) const CHAT_COMPLETIONS: &str = "/v1/chat/completions";

/// A request for completions; `prompt` or `messages` is there, by the path.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Body {
    pub(crate) model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prompt: Option<PromptBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) messages: Option<Value>,
    pub(crate) max_tokens: usize,
    pub(crate) temperature: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) top_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) n: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) stop: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) echo: Option<bool>,
    /// What one server's software alone knows.
    #[serde(flatten)]
    pub(crate) own: serde_json::Map<String, Value>,
}

/// A prompt: its tokens, or a text that the server cuts into tokens itself.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum PromptBody {
    Tokens(Vec<TokenId>),
    Text(String),
}

/// The answer to either request.
#[derive(Debug, Deserialize)]
pub(crate) struct Completions {
    pub(crate) choices: Vec<Choice>,
    #[serde(default)]
    pub(crate) usage: Option<UsageBody>,
}

/// What a server says that it read and wrote.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct UsageBody {
    #[serde(default)]
    pub(crate) prompt_tokens: Option<u64>,
    #[serde(default)]
    pub(crate) completion_tokens: Option<u64>,
}

/// One completion.
#[derive(Debug, Deserialize)]
pub(crate) struct Choice {
    #[serde(default)]
    pub(crate) index: Option<usize>,
    #[serde(default)]
    pub(crate) text: Option<String>,
    #[serde(default)]
    pub(crate) message: Option<MessageBody>,
    #[serde(default)]
    pub(crate) finish_reason: Option<String>,
    #[serde(default)]
    pub(crate) token_ids: Option<Vec<TokenId>>,
    #[serde(default)]
    pub(crate) logprobs: Option<LogProbs>,
    /// vLLM's: for each token of the prompt the log-probability of the token itself and of the most probable ones, by id.
    #[serde(default)]
    pub(crate) prompt_logprobs: Option<Vec<Option<BTreeMap<String, PromptLogProb>>>>,
}

/// The turn of a chat's completion.
#[derive(Debug, Deserialize)]
pub(crate) struct MessageBody {
    #[serde(default)]
    pub(crate) content: Option<String>,
}

/// Log-probabilities: OpenAI's lists side by side, or llama.cpp's list of tokens (which is the form of chats).
#[derive(Debug, Default, Deserialize)]
pub(crate) struct LogProbs {
    #[serde(default)]
    pub(crate) tokens: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) token_logprobs: Option<Vec<Option<f64>>>,
    #[serde(default)]
    pub(crate) top_logprobs: Option<Vec<Option<BTreeMap<String, f64>>>>,
    #[serde(default)]
    pub(crate) content: Option<Vec<TokenLogProb>>,
}

/// A token of llama.cpp's list.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenLogProb {
    #[serde(default)]
    pub(crate) id: Option<TokenId>,
    pub(crate) logprob: f64,
}

/// vLLM's log-probability of a token of the prompt, and its place among all tokens, from 1.
#[derive(Debug, Deserialize)]
pub(crate) struct PromptLogProb {
    pub(crate) logprob: f64,
    #[serde(default)]
    pub(crate) rank: Option<u64>,
}

impl Choice {
    /// The text, of a prompt's completion or of a chat's.
    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref().or_else(|| self.message.as_ref()?.content.as_deref())
    }

    /// The tokens, where the server gives their ids: in a list of their own, in the list of log-probabilities, or as vLLM's
    /// `token_id:N` in place of their texts.
    pub(crate) fn ids(&self) -> Option<Vec<TokenId>> {
        if let Some(ids) = &self.token_ids {
            return Some(ids.clone());
        }
        let log_probs = self.logprobs.as_ref()?;
        if let Some(content) = &log_probs.content {
            return content.iter().map(|token| token.id).collect();
        }
        let id = |text: &String| text.strip_prefix("token_id:")?.parse().ok().map(TokenId);
        log_probs.tokens.as_ref()?.iter().map(id).collect()
    }

    /// The log-probability of each token of the text, where the server gives them.
    pub(crate) fn log_probs(&self) -> Option<Vec<f32>> {
        let log_probs = self.logprobs.as_ref()?;
        if let Some(content) = &log_probs.content {
            return Some(content.iter().map(|token| token.logprob as f32).collect());
        }
        log_probs.token_logprobs.as_ref()?.iter().map(|one| one.map(|one| one as f32)).collect()
    }
}

/// A list of models.
#[derive(Debug, Deserialize)]
pub(crate) struct Models {
    pub(crate) data: Vec<ModelBody>,
}

/// A model that a server has.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ModelBody {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) owned_by: Option<String>,
    /// vLLM's and `SGLang`'s: the longest sequence.
    #[serde(default)]
    pub(crate) max_model_len: Option<usize>,
    /// vLLM's: the model that an adapter belongs to.
    #[serde(default)]
    pub(crate) parent: Option<String>,
    /// llama.cpp's.
    #[serde(default)]
    pub(crate) meta: Option<ModelMeta>,
}

/// What llama.cpp's server says of a model.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ModelMeta {
    #[serde(default, rename = "n_ctx")]
    pub(crate) context: Option<usize>,
    #[serde(default, rename = "n_ctx_train")]
    pub(crate) trained_context: Option<usize>,
    #[serde(default, rename = "n_params")]
    pub(crate) parameters: Option<u64>,
}
