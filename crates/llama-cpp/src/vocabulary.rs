//! From text to tokens and back, by llama.cpp's tokenizer and the model's own chat template.

use std::error::Error;

use lancer_backend::{BackendError, Grammars, Message, TokenId, Tokenizer};
use lancer_model::{ChatTemplate, GenerationPrompt, ModelError};
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
    grammars: Grammars,
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
        let chat_template: Option<ChatTemplate> = model
            .meta_val_str("tokenizer.chat_template")
            .ok()
            .map(|source| ChatTemplate::new(&source, &text(vocab.bos()), &text(vocab.eos())))
            .transpose()
            .map_err(|error| BackendError::ChatTemplate(error.into()))?;
        // The token that ends the model's turn is the first that the template sets after a response, if it is special.
        let after = chat_template.as_ref().and_then(ChatTemplate::after_response).unwrap_or_default();
        let first = encode(model, &after, Beginning::None, Special::Recognised).first().copied();
        let is_special =
            |token: &TokenId| vocab.token_to_piece(LlamaToken(token.0 as i32), false, None).is_empty();
        let end_of_turn = first.filter(is_special).unwrap_or(TokenId(eos));
        Ok(Self { chat_template, end_of_turn, size, grammars: Grammars::default() })
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }
}

/// A model with its vocabulary.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) model: &'a LlamaModel,
    pub(crate) vocabulary: &'a Vocabulary,
}

impl Tokenizer for Reading<'_> {
    fn chat(&self, messages: &[Message]) -> Result<Vec<TokenId>, Box<dyn Error + Send + Sync>> {
        let template = self.vocabulary.chat_template.as_ref().ok_or(ModelError::NoChatTemplate)?;
        let turns: Vec<(&str, &str)> =
            messages.iter().map(|message| (message.role.as_str(), message.content.as_str())).collect();
        let text = template.render(&turns, GenerationPrompt::Open)?;
        Ok(encode(self.model, &text, Beginning::None, Special::Recognised))
    }

    fn document(&self, text: &str) -> Vec<TokenId> {
        encode(self.model, text, Beginning::AsTokenizer, Special::AsText)
    }

    fn plain(&self, text: &str) -> Vec<TokenId> {
        encode(self.model, text, Beginning::None, Special::AsText)
    }

    fn bytes(&self, token: TokenId) -> Vec<u8> {
        self.model.vocab().token_to_piece(LlamaToken(token.0 as i32), false, None)
    }

    fn end_of_turn(&self) -> TokenId {
        self.vocabulary.end_of_turn
    }

    fn vocabulary(&self) -> usize {
        self.vocabulary.size
    }

    fn grammars(&self) -> &Grammars {
        &self.vocabulary.grammars
    }

    fn beginning_of_text(&self) -> Option<TokenId> {
        u32::try_from(self.model.vocab().bos().0).ok().map(TokenId)
    }

    fn ends(&self, token: TokenId) -> bool {
        token == self.end_of_turn() || self.model.vocab().is_eog(LlamaToken(token.0 as i32))
    }
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
