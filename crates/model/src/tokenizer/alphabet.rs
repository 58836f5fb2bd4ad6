//! How the text of a token gives its bytes.

use std::collections::HashMap;

use tokenizers::{DecoderWrapper, ModelWrapper, Tokenizer};

/// How the text of a token gives its bytes.
#[derive(Clone)]
pub(super) enum Alphabet {
    /// By the characters that stand for bytes.
    ByteLevel(HashMap<char, u8>),
    /// `▁` is a space, `<0x0A>` a byte (`SentencePiece`).
    ByteFallback,
    /// As the decoder has it.
    Other,
}

impl Alphabet {
    /// That of a tokenizer.
    pub(super) fn of(tokenizer: &Tokenizer) -> Self {
        match (tokenizer.get_decoder(), tokenizer.get_model()) {
            (Some(DecoderWrapper::ByteLevel(_)), _) => Self::ByteLevel(bytes_of_characters()),
            (_, ModelWrapper::BPE(bpe)) if bpe.byte_fallback => Self::ByteFallback,
            _ => Self::Other,
        }
    }

    /// The bytes of a token with this text; `None` where the alphabet does not say.
    pub(super) fn bytes(&self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::ByteLevel(byte_of) => {
                text.chars().map(|character| byte_of.get(&character).copied()).collect()
            }
            Self::ByteFallback => Some(match fallback_byte(text) {
                Some(byte) => vec![byte],
                None => text.replace('▁', " ").into_bytes(),
            }),
            Self::Other => None,
        }
    }
}

/// The byte that a piece such as `<0x0A>` stands for.
pub(crate) fn fallback_byte(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// GPT-2's characters for bytes: those that can be seen stand for themselves, the others follow from U+0100 on.
fn bytes_of_characters() -> HashMap<char, u8> {
    let stands_for_itself = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut others = (0x100_u32..).filter_map(char::from_u32);
    (0..=u8::MAX)
        .map(|byte| {
            let character = if stands_for_itself(byte) { Some(char::from(byte)) } else { others.next() };
            (character.unwrap_or_default(), byte)
        })
        .collect()
}
