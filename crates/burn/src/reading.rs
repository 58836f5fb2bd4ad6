//! Text and chats as tokens: one way for training and for inference.

use std::error::Error;

use lancer_backend::{Continuation, Ending, Message, Prompt, TokenId};
use lancer_model::{GenerationPrompt, Model, SpecialTokens};

/// The chat could not be rendered.
pub(crate) type ChatError = Box<dyn Error + Send + Sync>;

/// A chat with the model's turn opened, as its template renders it.
pub(crate) fn chat(model: &Model, messages: &[Message]) -> Result<Vec<TokenId>, ChatError> {
    let template =
        model.chat_template().ok_or("the model has none; use a plain text prompt, or an instruct model")?;
    let turns: Vec<(&str, &str)> =
        messages.iter().map(|message| (message.role.as_str(), message.content.as_str())).collect();
    let text = template.render(&turns, GenerationPrompt::Open)?;
    Ok(ids(model.tokenizer().encode(&text, SpecialTokens::Recognised)))
}

/// Text in which nothing is a special token.
pub(crate) fn plain(model: &Model, text: &str) -> Vec<TokenId> {
    ids(model.tokenizer().encode(text, SpecialTokens::AsText))
}

/// The token that ends the model's turn.
pub(crate) fn end_of_turn(model: &Model) -> TokenId {
    TokenId(model.tokenizer().end_of_turn())
}

pub(crate) fn prompt(model: &Model, prompt: &Prompt) -> Result<Vec<TokenId>, ChatError> {
    match prompt {
        Prompt::Chat(messages) => chat(model, messages),
        Prompt::Text(text) => Ok(plain(model, text)),
        Prompt::Tokens(tokens) => Ok(tokens.clone()),
    }
}

/// A prompt and continuations to score after it; see [`Continuation`] on how text is cut.
pub(crate) fn scored(
    model: &Model,
    before: &Prompt,
    continuations: &[Continuation],
) -> Result<(Vec<TokenId>, Vec<Vec<TokenId>>), ChatError> {
    let (mut read, moved, text) = match before {
        Prompt::Text(text) => {
            let kept = text.trim_end();
            (plain(model, kept), &text[kept.len()..], Some(kept))
        }
        Prompt::Chat(_) | Prompt::Tokens(_) => (prompt(model, before)?, "", None),
    };
    let tokens_of = |continuation: &Continuation| {
        let own = format!("{moved}{}", continuation.text);
        let mut tokens = match text {
            // Where the border's merge leaves nothing after it, the continuation stands for itself.
            Some(kept) => plain(model, &format!("{kept}{own}"))
                .get(read.len()..)
                .filter(|rest| !rest.is_empty())
                .map_or_else(|| plain(model, &own), <[TokenId]>::to_vec),
            None => plain(model, &own),
        };
        if continuation.ending == Ending::EndOfTurn {
            tokens.push(end_of_turn(model));
        }
        tokens
    };
    let tokens = continuations.iter().map(tokens_of).collect();
    if read.is_empty() {
        // White space alone: something must stand before the first token.
        read.push(model.tokenizer().beginning_of_text().map_or_else(|| end_of_turn(model), TokenId));
    }
    Ok((read, tokens))
}

/// The text of tokens, special ones left out.
pub(crate) fn text(model: &Model, tokens: &[TokenId]) -> String {
    let ids: Vec<u32> = tokens.iter().map(|token| token.0).collect();
    model.tokenizer().decode(&ids)
}

fn ids(tokens: Vec<u32>) -> Vec<TokenId> {
    tokens.into_iter().map(TokenId).collect()
}
