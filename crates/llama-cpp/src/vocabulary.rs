//! From text to tokens and back, by llama.cpp's tokenizer and the model's own chat template.

use std::error::Error;

use lancer_backend::{BackendError, Conversation, Grammars, Opened, TokenId, Tokenizer};
use lancer_model::{
    ChatInput, ChatTemplate, GenerationPrompt, ModelError, NamedEnds, SpecialTexts, SpecialTokens,
};
use llama_cpp_2::{model::LlamaModel, token::LlamaToken, token_type::LlamaTokenAttr};

use crate::error::engine_error;

/// Whether the beginning-of-text token is set before, where the model's tokenizer does that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beginning {
    AsTokenizer,
    None,
}

pub(crate) struct Vocabulary {
    chat_template: Option<ChatTemplate>,
    end_of_turn: TokenId,
    /// All that end a turn or a text.
    ends: Vec<TokenId>,
    special: SpecialTexts,
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
        let named = || {
            let keys = (0..model.meta_count()).filter_map(|index| model.meta_key_by_index(index).ok());
            keys.filter_map(|key| key.strip_prefix("tokenizer.chat_template.").map(str::to_owned)).collect()
        };
        // llama.cpp does not give lists: the names of the templates are those of their keys.
        let value = |key: &str| match key {
            "tokenizer.chat_templates" => named(),
            key => model.meta_val_str(key).ok().into_iter().collect(),
        };
        let chat_template = ChatTemplate::from_gguf(&value, &text(vocab.bos()), &text(vocab.eos()));
        // The token that ends the model's turn is the first that the template sets after a response, if it is special.
        let after = chat_template.as_ref().and_then(ChatTemplate::after_response).unwrap_or_default();
        let first = encode(model, &after, Beginning::None, SpecialTokens::Recognised).first().copied();
        let is_control = |token: TokenId| vocab.is_control(LlamaToken(token.0 as i32));
        let named = NamedEnds::of_gguf(&|key| model.meta_val_str(key).ok());
        let by_name = (0..size as u32)
            .map(TokenId)
            .filter(|&token| is_control(token) && named.has_name(&text(LlamaToken(token.0 as i32))));
        let known = named.ids.iter().copied().map(TokenId).filter(|token| (token.0 as usize) < size);
        let mut ends: Vec<TokenId> = known.chain(by_name).chain([TokenId(eos)]).collect();
        // Some files do not mark the token as special, though it is no word of a text.
        let is_added = |token: TokenId| {
            is_control(token) || {
                let token = LlamaToken(token.0 as i32);
                vocab.attr(token).contains(LlamaTokenAttr::UserDefined) && !text(token).trim().is_empty()
            }
        };
        let end_of_turn =
            first.filter(|&token| ends.contains(&token) || is_added(token)).unwrap_or(TokenId(eos));
        ends.push(end_of_turn);
        let control: Vec<String> =
            (0..size as i32).map(LlamaToken).filter(|&token| vocab.is_control(token)).map(text).collect();
        let special = SpecialTexts::new(control.iter().map(String::as_str));
        Ok(Self { chat_template, end_of_turn, ends, special, size, grammars: Grammars::default() })
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
    fn chat(&self, chat: &Conversation, what: Opened) -> Result<Vec<TokenId>, Box<dyn Error + Send + Sync>> {
        let template = self.vocabulary.chat_template.as_ref().ok_or(ModelError::NoChatTemplate)?;
        let generation = match what {
            Opened::Turn => GenerationPrompt::Open,
            Opened::Answer => GenerationPrompt::Answer,
        };
        let chat = ChatInput { tools: &chat.tools, ..ChatInput::new(&chat.messages, generation) };
        let encode = |text: &str, special| {
            encode(self.model, text, Beginning::None, special).into_iter().map(|token| token.0).collect()
        };
        let tokens = template.tokens(&chat, &self.vocabulary.special, encode)?;
        Ok(tokens.into_iter().map(TokenId).collect())
    }

    fn document(&self, text: &str) -> Vec<TokenId> {
        encode(self.model, text, Beginning::AsTokenizer, SpecialTokens::AsText)
    }

    fn plain(&self, text: &str) -> Vec<TokenId> {
        encode(self.model, text, Beginning::None, SpecialTokens::AsText)
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
        self.vocabulary.ends.contains(&token)
    }
}

fn encode(model: &LlamaModel, text: &str, beginning: Beginning, special: SpecialTokens) -> Vec<TokenId> {
    if text.is_empty() && beginning == Beginning::None {
        return Vec::new();
    }
    let vocab = model.vocab();
    let mut tokens = vocab.tokenize(
        text.as_bytes(),
        beginning == Beginning::AsTokenizer,
        special == SpecialTokens::Recognised,
    );
    // Some tokenizers set the end of text too, where a prompt is to go on.
    if beginning == Beginning::AsTokenizer && vocab.should_add_eos() && tokens.last() == Some(&vocab.eos()) {
        tokens.pop();
    }
    tokens.into_iter().map(|token| TokenId(token.0 as u32)).collect()
}
