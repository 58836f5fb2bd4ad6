//! Grammars: text held to a regular expression or a JSON schema, token by token, with llguidance.

use std::{
    error::Error,
    fmt,
    sync::{Arc, OnceLock},
};

use llguidance::{
    Matcher, ParserFactory,
    api::TopLevelGrammar,
    toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie},
};

use serde_json::{Value, json};

use crate::{Allowed, TokenId, Tokenizer};

/// What a text is held to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grammar {
    /// A regular expression that the whole text matches, in the syntax of Rust's `regex`.
    Regex(String),
    /// A JSON schema, as JSON text, that the text fulfils; written without white space between its parts, unless the
    /// schema's `x-guidance` says otherwise.
    JsonSchema(String),
}

/// The grammars of one vocabulary. An engine keeps one; the vocabulary is read when the first grammar is asked for.
#[derive(Default)]
pub struct Grammars(OnceLock<Result<ParserFactory, String>>);

/// A text's place in its grammar.
#[derive(Clone)]
pub struct GrammarPosition(Box<Matcher>);

impl Grammars {
    /// The beginning of a text of this grammar.
    ///
    /// # Errors
    /// Where the grammar cannot be read, with the reason.
    pub fn begin(
        &self,
        grammar: &Grammar,
        tokenizer: &dyn Tokenizer,
    ) -> Result<GrammarPosition, Box<dyn Error + Send + Sync>> {
        let factory = self
            .0
            .get_or_init(|| factory(tokenizer).map_err(|error| error.to_string()))
            .as_ref()
            .map_err(Clone::clone)?;
        let grammar = match grammar {
            Grammar::Regex(pattern) => TopLevelGrammar::from_regex(pattern),
            Grammar::JsonSchema(schema) => {
                TopLevelGrammar::from_json_schema(compact(serde_json::from_str(schema)?))
            }
        };
        let matcher = Matcher::new(factory.create_parser(grammar));
        match matcher.get_error() {
            Some(reason) => Err(reason.into()),
            None => Ok(GrammarPosition(Box::new(matcher))),
        }
    }
}

/// A schema whose texts have no white space between their parts: a sample could else fill itself with it.
fn compact(mut schema: Value) -> Value {
    if let Some(fields) = schema.as_object_mut() {
        fields.entry("x-guidance").or_insert_with(|| json!({"whitespace_flexible": false}));
    }
    schema
}

/// Reads a vocabulary. Special tokens have no bytes, and so no grammar allows them but for the end of the turn.
fn factory(tokenizer: &dyn Tokenizer) -> Result<ParserFactory, Box<dyn Error + Send + Sync>> {
    let vocabulary = tokenizer.vocabulary();
    let tokens: Vec<Vec<u8>> = (0..vocabulary).map(|token| tokenizer.bytes(TokenId(token as u32))).collect();
    let trie = TokTrie::from(&TokRxInfo::new(vocabulary as u32, tokenizer.end_of_turn().0), &tokens);
    let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
    let mut factory = ParserFactory::new_simple(&environment)?;
    factory.quiet();
    Ok(factory)
}

impl fmt::Debug for Grammars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grammars").finish_non_exhaustive()
    }
}

impl fmt::Debug for GrammarPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrammarPosition").field("stopped", &self.0.is_stopped()).finish_non_exhaustive()
    }
}

impl GrammarPosition {
    /// What may follow.
    ///
    /// # Errors
    /// Where llguidance gives up, such as on a grammar with too many states.
    pub fn allowed(&mut self) -> Result<Allowed, Box<dyn Error + Send + Sync>> {
        if self.0.is_stopped() {
            return Ok(Allowed::Complete);
        }
        let ends = self.0.is_accepting()?;
        let mask = self.0.compute_mask()?;
        let end = self.0.tok_env()?.tok_trie().eos_token();
        let tokens: Vec<TokenId> =
            mask.to_list().into_iter().filter(|&token| token != end).map(TokenId).collect();
        Ok(match (ends, tokens.is_empty()) {
            (_, true) => Allowed::Complete,
            (true, false) => Allowed::EndOrTokens(tokens),
            (false, false) => Allowed::Tokens(tokens),
        })
    }

    /// Moves past a token that may follow.
    ///
    /// # Errors
    /// Where it may not.
    pub fn advance(&mut self, token: TokenId) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(self.0.consume_token(token.0)?)
    }
}
