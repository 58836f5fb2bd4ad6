//! From text to tokens and back, by llama.cpp's tokenizer and the model's own chat template.

use lancer_backend::{BackendError, Continuation, Ending, Message, Prompt, TokenId};
use lancer_model::{ChatTemplate, GenerationPrompt};
use llama_cpp_2::{model::LlamaModel, token::LlamaToken};

use crate::load::engine_error;

/// Whether special tokens in a text are read as such.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Special {
    Recognised,
    AsText,
}

/// Whether the beginning-of-text token is set before, where the model's tokenizer does that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beginning {
    AsTokenizer,
    None,
}

pub(crate) struct Vocabulary {
    chat_template: Option<ChatTemplate>,
    end_of_turn: TokenId,
    size: usize,
}

impl Vocabulary {
    pub(crate) fn new(model: &LlamaModel) -> Result<Self, BackendError> {
        let vocab = model.vocab();
        let size = vocab.n_tokens() as usize;
        let eos = u32::try_from(vocab.eos().0).map_err(|_| {
            engine_error("reading the vocabulary", "the model names no token that ends a turn".to_owned())
        })?;
        // A model need not have a beginning-of-text token; llama.cpp aborts the process when asked for the text of none.
        let text = |token: LlamaToken| {
            let exists = usize::try_from(token.0).is_ok_and(|token| token < size);
            let text = if exists { vocab.text(token) } else { None };
            text.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
        };
        // A model without a template can still be used with text prompts.
        let chat_template = model
            .meta_val_str("tokenizer.chat_template")
            .ok()
            .map(|source| ChatTemplate::new(&source, &text(vocab.bos()), &text(vocab.eos())))
            .transpose()
            .map_err(|error| BackendError::ChatTemplate(error.into()))?;
        Ok(Self { chat_template, end_of_turn: TokenId(eos), size })
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn end_of_turn(&self) -> TokenId {
        self.end_of_turn
    }

    /// The tokens of a prompt.
    pub(crate) fn prompt(&self, model: &LlamaModel, prompt: &Prompt) -> Result<Vec<TokenId>, BackendError> {
        match prompt {
            Prompt::Tokens(tokens) => Ok(tokens.clone()),
            Prompt::Text(text) => Ok(encode(model, text, Beginning::AsTokenizer, Special::AsText)),
            Prompt::Chat(messages) => {
                Ok(encode(model, &self.render(messages)?, Beginning::None, Special::Recognised))
            }
        }
    }

    /// The tokens of a prompt and of a continuation after it, by the rule of [`Continuation`].
    pub(crate) fn continuation(
        &self,
        model: &LlamaModel,
        prompt: &Prompt,
        prompt_tokens: &[TokenId],
        continuation: &Continuation,
    ) -> (Vec<TokenId>, Vec<TokenId>) {
        let (prompt_tokens, mut tokens) = match prompt {
            Prompt::Text(text) => {
                let stem = text.trim_end();
                let head = encode(model, stem, Beginning::AsTokenizer, Special::AsText);
                let whole = format!("{text}{}", continuation.text);
                let mut whole = encode(model, &whole, Beginning::AsTokenizer, Special::AsText);
                // Where nothing precedes, the first token cannot be predicted: it stays in the prompt.
                let split = head.len().clamp(1, whole.len().max(1));
                let tail = whole.split_off(split.min(whole.len()));
                (whole, tail)
            }
            Prompt::Chat(_) | Prompt::Tokens(_) => {
                (prompt_tokens.to_vec(), encode(model, &continuation.text, Beginning::None, Special::AsText))
            }
        };
        if continuation.ending == Ending::EndOfTurn {
            tokens.push(self.end_of_turn);
        }
        (prompt_tokens, tokens)
    }

    /// The tokens of a choice.
    pub(crate) fn choice(model: &LlamaModel, choice: &str) -> Vec<TokenId> {
        encode(model, choice, Beginning::None, Special::AsText)
    }

    fn render(&self, messages: &[Message]) -> Result<String, BackendError> {
        let template = self.chat_template.as_ref().ok_or_else(|| {
            BackendError::ChatTemplate("the model has none; use text prompts, or a model with one".into())
        })?;
        let messages: Vec<(&str, &str)> =
            messages.iter().map(|message| (message.role.as_str(), message.content.as_str())).collect();
        template
            .render(&messages, GenerationPrompt::Open)
            .map_err(|error| BackendError::ChatTemplate(error.into()))
    }
}

/// The bytes of a token; none for a special token.
pub(crate) fn piece(model: &LlamaModel, token: TokenId) -> Vec<u8> {
    model.vocab().token_to_piece(LlamaToken(token.0 as i32), false, None)
}

/// Whether a token ends the model's turn or text.
pub(crate) fn ends(model: &LlamaModel, token: TokenId) -> bool {
    model.vocab().is_eog(LlamaToken(token.0 as i32))
}

fn encode(model: &LlamaModel, text: &str, beginning: Beginning, special: Special) -> Vec<TokenId> {
    if text.is_empty() && beginning == Beginning::None {
        return Vec::new();
    }
    let vocab = model.vocab();
    let mut tokens =
        vocab.tokenize(text.as_bytes(), beginning == Beginning::AsTokenizer, special == Special::Recognised);
    // Some tokenizers set the end of text too, where a prompt is to go on.
    if beginning == Beginning::AsTokenizer && vocab.should_add_eos() && tokens.last() == Some(&vocab.eos()) {
        tokens.pop();
    }
    tokens.into_iter().map(|token| TokenId(token.0 as u32)).collect()
}
