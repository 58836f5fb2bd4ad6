//! Tokenizers: `tokenizer.json`, or the vocabulary in a GGUF file.

mod alphabet;
mod check;
mod gguf;

use std::{collections::BTreeMap, fmt, fs, path::Path};

use serde::Deserialize;

use self::alphabet::Alphabet;
pub(crate) use self::alphabet::fallback_byte;
use crate::{
    ChatInput, ChatTemplate, EncodedConversation, ModelError, ModelTurns, SpecialTexts,
    chat_template::turns,
    end_tokens::NamedEnds,
    gguf::{Metadata, Value},
    json_file,
};

/// What becomes of text that looks like a special token, such as `<|im_end|>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpecialTokens {
    /// It becomes that token: for text that a chat template has made.
    Recognised,
    /// It stays text: for text from outside, which must not end a turn.
    AsText,
}

/// A model's tokenizer.
#[derive(Clone)]
pub struct Tokenizer {
    recognising: tokenizers::Tokenizer,
    plain: tokenizers::Tokenizer,
    bos: Option<u32>,
    eos: u32,
    bos_token: String,
    eos_token: String,
    end_of_turn: u32,
    /// What fills up the shorter sequences of a batch; the end of the text where nothing else is named.
    pad: u32,
    /// All that end a turn or a text.
    ends: Vec<u32>,
    alphabet: Alphabet,
    /// The beginning-of-text token, where a text that is read from its beginning has it.
    begins: Option<u32>,
    special: SpecialTexts,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer").field("bos", &self.bos).field("eos", &self.eos).finish_non_exhaustive()
    }
}

/// The part of `tokenizer_config.json` and of `special_tokens_map.json` that is used.
#[derive(Default, Deserialize)]
struct Json {
    #[serde(rename = "bos_token")]
    bos: Option<Token>,
    #[serde(rename = "eos_token")]
    eos: Option<Token>,
    #[serde(rename = "pad_token")]
    pad: Option<Token>,
}

/// A token is written as text or with its settings.
#[derive(Deserialize)]
#[serde(untagged)]
enum Token {
    Text(String),
    Settings { content: String },
}

/// The special tokens that a model's files name.
struct NamedTokens {
    bos: Option<String>,
    eos: Option<String>,
    /// What fills up the shorter sequences of a batch.
    pad: Option<String>,
    /// Those that end a turn or a text.
    ends: NamedEnds,
}

impl Token {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) | Self::Settings { content: text } => text,
        }
    }
}

impl Tokenizer {
    /// Reads `tokenizer.json` of a folder, and its special tokens: from `tokenizer_config.json`, else from
    /// `special_tokens_map.json`; the end of the text also from `generation_config.json` or `config.json`.
    pub fn from_folder(folder: &Path) -> Result<Self, ModelError> {
        let read = |name: &str| -> Result<Json, ModelError> {
            Ok(json_file::read::<Json>(&folder.join(name))?.unwrap_or_default())
        };
        let (config, map) = (read("tokenizer_config.json")?, read("special_tokens_map.json")?);
        let file = folder.join("tokenizer.json");
        let tokenizer = fs::read(&file).map_err(|source| ModelError::Io {
            path: file.clone(),
            action: "read",
            source,
        })?;
        let named = NamedTokens {
            bos: config.bos.or(map.bos).map(Token::into_text),
            eos: config.eos.or(map.eos).map(Token::into_text),
            pad: config.pad.or(map.pad).map(Token::into_text),
            ends: NamedEnds::of_folder(folder)?,
        };
        Self::new(&file, &tokenizer, named)
    }

    /// Builds the tokenizer that a GGUF file's metadata describes: byte-level BPE (`gpt2`) or `SentencePiece` (`llama`).
    pub fn from_gguf(path: &Path, metadata: &Metadata) -> Result<Self, ModelError> {
        let described = gguf::describe(path, metadata)?;
        let number = |key: &str| match metadata.get(key) {
            Some(Value::String(text)) => Some(text.clone()),
            _ => metadata.count(path, key).ok().flatten().map(|id| id.to_string()),
        };
        let ends = NamedEnds::of_gguf(&number);
        Self::new(
            path,
            &described.json,
            NamedTokens { bos: described.bos, eos: described.eos, pad: described.pad, ends },
        )
    }

    fn new(path: &Path, json: &[u8], named: NamedTokens) -> Result<Self, ModelError> {
        let wrong = |reason: String| ModelError::Tokenizer { path: path.into(), reason };
        check::check(json).map_err(wrong)?;
        let mut recognising =
            tokenizers::Tokenizer::from_bytes(json).map_err(|error| wrong(error.to_string()))?;
        // A prompt is neither cut nor filled up by its tokenizer, whatever its file says.
        recognising.with_padding(None).with_truncation(None).map_err(|error| wrong(error.to_string()))?;
        let mut plain = recognising.clone();
        plain.set_encode_special_tokens(true);
        let NamedTokens { bos, eos, pad, ends } = named;
        let first_end = || ends.ids.iter().find_map(|&id| recognising.id_to_token(id));
        let eos_token = eos.or_else(first_end).ok_or_else(|| {
            wrong(
                "no file names the token that ends a text: set eos_token in tokenizer_config.json, or eos_token_id in \
                 generation_config.json"
                    .into(),
            )
        })?;
        let id = |token: &str| {
            recognising
                .token_to_id(token)
                .ok_or_else(|| wrong(format!("its token `{token}` is not in its vocabulary")))
        };
        let eos = id(&eos_token)?;
        let bos_id = bos.as_deref().map(id).transpose()?;
        // What the tokenizer adds to an empty text.
        let added = recognising.encode_fast("", true).map(|encoding| encoding.get_ids().to_vec());
        let begins = bos_id.filter(|&bos| added.is_ok_and(|added| added.first() == Some(&bos)));
        let added = recognising.get_added_tokens_decoder();
        let special = added.values().filter(|added| added.special).map(|added| added.content.as_str());
        let by_name = added
            .iter()
            .filter(|(_, added)| added.special && ends.has_name(&added.content))
            .map(|(&id, _)| id);
        let known = ends.ids.iter().copied().filter(|&id| recognising.id_to_token(id).is_some());
        let mut ends: Vec<u32> = known.chain(by_name).chain([eos]).collect();
        ends.sort_unstable();
        ends.dedup();
        Ok(Self {
            special: SpecialTexts::new(special),
            plain,
            bos: bos_id,
            eos,
            bos_token: bos.unwrap_or_default(),
            eos_token,
            end_of_turn: eos,
            pad: pad.and_then(|pad| recognising.token_to_id(&pad)).unwrap_or(eos),
            ends,
            alphabet: Alphabet::of(&recognising),
            begins,
            recognising,
        })
    }

    /// The same tokenizer, with the token that ends the model's turn from its chat template. It is the end-of-text token in
    /// most models, and where the template sets no special token after a response; Gemma has one of its own.
    #[must_use]
    pub fn ending_turns_as(mut self, template: Option<&ChatTemplate>) -> Self {
        let after = template.and_then(ChatTemplate::after_response).unwrap_or_default();
        let first = self.encode(&after, SpecialTokens::Recognised).first().copied();
        let added = self.recognising.get_added_tokens_decoder();
        // Some files do not mark the token as special, though it is no word of a text.
        let ends = |token: &u32| {
            self.ends.contains(token)
                || added.get(token).is_some_and(|added| added.special || !added.content.trim().is_empty())
        };
        self.end_of_turn = first.filter(ends).unwrap_or(self.eos);
        if !self.ends.contains(&self.end_of_turn) {
            self.ends.push(self.end_of_turn);
            self.ends.sort_unstable();
        }
        self
    }

    /// The tokens of a text, without a beginning-of-text token.
    pub fn encode(&self, text: &str, special: SpecialTokens) -> Vec<u32> {
        let tokenizer = match special {
            SpecialTokens::Recognised => &self.recognising,
            SpecialTokens::AsText => &self.plain,
        };
        // A byte-level BPE encodes any text; the library's error is for models with a missing unknown token.
        tokenizer.encode_fast(text, false).map(|encoding| encoding.get_ids().to_vec()).unwrap_or_default()
    }

    /// The tokens of a text that is read from its beginning, in which nothing is a special token: after the
    /// beginning-of-text token, where the tokenizer sets one.
    pub fn encode_document(&self, text: &str) -> Vec<u32> {
        self.begins.into_iter().chain(self.encode(text, SpecialTokens::AsText)).collect()
    }

    /// The tokens of a chat, rendered by the model's template. Text in its messages that looks like a special token stays
    /// text.
    pub fn encode_chat(
        &self,
        template: Option<&ChatTemplate>,
        chat: &ChatInput<'_>,
    ) -> Result<Vec<u32>, ModelError> {
        let template = template.ok_or(ModelError::NoChatTemplate)?;
        template.tokens(chat, &self.special, |text, special| self.encode(text, special))
    }

    /// The tokens of a conversation that ends with the model's turn, and which of them the model is to have written. A last turn
    /// that is text alone has the tokens of [`encode_chat`](Self::encode_chat) with [`GenerationPrompt::Answer`], of the
    /// text, and the end of the turn.
    ///
    /// # Errors
    /// Where the template refuses the conversation, or renders earlier turns in a way in which the model's cannot be found.
    ///
    /// [`GenerationPrompt::Answer`]: crate::GenerationPrompt::Answer
    pub fn encode_conversation(
        &self,
        template: Option<&ChatTemplate>,
        messages: &[lancer_core::Message],
        tools: &[serde_json::Value],
        turns: ModelTurns,
    ) -> Result<EncodedConversation, ModelError> {
        let template = template.ok_or(ModelError::NoChatTemplate)?;
        turns::encode(self, template, &self.special, messages, tools, turns)
    }

    /// The tokens of a text, each with the bytes of the text that it comes from.
    pub(crate) fn encode_with_places(
        &self,
        text: &str,
        special: SpecialTokens,
    ) -> impl Iterator<Item = (u32, std::ops::Range<usize>)> + use<> {
        let tokenizer = match special {
            SpecialTokens::Recognised => &self.recognising,
            SpecialTokens::AsText => &self.plain,
        };
        // As in `encode`.
        let encoding = tokenizer.encode(text, false).ok();
        let (ids, places) = encoding.map_or_else(Default::default, |encoding| {
            (encoding.get_ids().to_vec(), encoding.get_offsets().to_vec())
        });
        ids.into_iter().zip(places.into_iter().map(|(start, end)| start..end))
    }

    /// The text of a token, of a special one too.
    pub(crate) fn text_of(&self, token: u32) -> String {
        self.recognising.id_to_token(token).unwrap_or_default()
    }

    /// The bytes of a token; none for a special token or one that the vocabulary does not have.
    pub fn bytes(&self, token: u32) -> Vec<u8> {
        if let Some(added) = self.recognising.get_added_tokens_decoder().get(&token) {
            return if added.special { Vec::new() } else { added.content.clone().into_bytes() };
        }
        let text = self.recognising.id_to_token(token).unwrap_or_default();
        // No token of the alphabet: what it is by itself.
        self.alphabet.bytes(&text).unwrap_or_else(|| self.decode(&[token]).into_bytes())
    }

    /// The text of tokens, special tokens left out; bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, tokens: &[u32]) -> String {
        self.recognising.decode(tokens, true).unwrap_or_default()
    }

    /// The token that ends the model's turn.
    pub fn end_of_turn(&self) -> u32 {
        self.end_of_turn
    }

    /// Whether a token ends what the model writes: its turn or its text.
    pub fn ends(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    /// All tokens that end the model's turn or its text, in ascending order; at least one.
    pub fn end_tokens(&self) -> &[u32] {
        &self.ends
    }

    /// The token that ends a text.
    pub fn end_of_text(&self) -> u32 {
        self.eos
    }

    /// The token that begins a text, where the model has one.
    pub fn beginning_of_text(&self) -> Option<u32> {
        self.bos
    }

    /// The text of [`beginning_of_text`](Self::beginning_of_text), empty without one: what chat templates are given.
    pub fn bos_token(&self) -> &str {
        &self.bos_token
    }

    /// The text of [`end_of_text`](Self::end_of_text).
    pub fn eos_token(&self) -> &str {
        &self.eos_token
    }

    /// Number of tokens, special ones included.
    pub fn vocab_size(&self) -> usize {
        self.recognising.get_vocab_size(true)
    }

    /// What a GGUF file written of this tokenizer lacks, each in words; empty where nothing is lost.
    pub fn lost_in_gguf(&self) -> Vec<String> {
        let json: serde_json::Value = self
            .to_json(Path::new(""))
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        gguf::lost(&json)
    }

    /// The tokens, by text and number, that an embedding of `rows` rows has no row for and that text can become.
    pub(crate) fn beyond(&self, rows: usize) -> Vec<(String, u32)> {
        let added = self.recognising.get_added_tokens_decoder();
        let is_text = |id: &u32| !added.get(id).is_some_and(|added| added.special) || self.ends.contains(id);
        let vocabulary = self.recognising.get_vocab(true).into_iter();
        vocabulary.filter(|(_, id)| *id as usize >= rows && is_text(id)).collect()
    }

    /// The text of a `tokenizer.json`. `path` is named in the error.
    pub(crate) fn to_json(&self, path: &Path) -> Result<String, ModelError> {
        self.recognising
            .to_string(true)
            .map_err(|error| ModelError::Tokenizer { path: path.into(), reason: error.to_string() })
    }

    /// The contents of a `tokenizer_config.json`.
    pub(crate) fn to_config_json(&self, context_length: usize) -> serde_json::Value {
        serde_json::json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": self.bos.map(|_| &self.bos_token),
            "eos_token": self.eos_token,
            "pad_token": self.text_of(self.pad),
            "model_max_length": context_length,
            "clean_up_tokenization_spaces": false,
        })
    }

    /// The entries of GGUF metadata that describe this tokenizer, for an embedding of `rows` rows. `path` is named in the
    /// error.
    pub(crate) fn to_gguf(&self, path: &Path, rows: usize) -> Result<BTreeMap<String, Value>, ModelError> {
        let special = gguf::Special {
            bos: self.bos,
            eos: self.eos,
            end_of_turn: self.end_of_turn,
            pad: self.pad,
            ends: &self.ends,
            begins_with_bos: self.begins.is_some(),
        };
        gguf::entries(path, &self.to_json(path)?, rows, special)
    }
}
