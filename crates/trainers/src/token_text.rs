//! Tokens as a text that a trainer's own tokenizer reads back as the same tokens.
//!
//! TRL's DPO and LLaMA-Factory take texts only. A text of a chat is cut into tokens anew there, prompt and response together or
//! with other special tokens than lancer has, and the model would be trained on other tokens than it writes. So the data has
//! token 17 as `<17>`, and the model's folder in the job has a tokenizer that knows nothing but such numbers.

use std::fmt::Write as _;

use lancer_backend::TokenId;
use lancer_model::Model;
use serde_json::{Map, Value, json};

/// The text of tokens.
pub(crate) fn text(tokens: &[TokenId]) -> String {
    tokens.iter().fold(String::new(), |mut text, token| {
        // A string takes all that is written to it.
        let _ = write!(text, "<{}>", token.0);
        text
    })
}

/// `tokenizer.json`, for `vocabulary` tokens.
pub(crate) fn tokenizer(vocabulary: usize) -> Value {
    let ids: Map<String, Value> = (0..vocabulary).map(|id| (format!("<{id}>"), id.into())).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "<[0-9]+>"}, "behavior": "Isolated", "invert": false},
        "post_processor": null,
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": ids, "unk_token": "<0>"},
    })
}

/// `tokenizer_config.json`.
pub(crate) fn tokenizer_config(model: &Model) -> Value {
    let end = text(&[TokenId(model.tokenizer().end_of_turn())]);
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": end,
        "pad_token": end,
        "model_max_length": model.config().context_length,
    })
}
