//! What a template's text may be, before it is compiled: minijinja recurses over long expressions, and computes constants such
//! as `'a' * 100000000` while it compiles.

use minijinja::{
    Error,
    machinery::{Token, WhitespaceConfig, tokenize},
    syntax::SyntaxConfig,
};

use crate::budget::refused;

/// The longest template. The longest of known models has some 50 KB.
pub const MAX_SOURCE_BYTES: usize = 1 << 20;
/// The most tokens between `{{` and `}}` or `{%` and `%}`: an expression is compiled by recursion over its operators.
pub const MAX_EXPRESSION_TOKENS: usize = 2000;
/// The longest text that constants may make.
const MAX_CONSTANT_BYTES: u128 = 1 << 24;

/// What an expression may become where all of it is constant.
struct Expression {
    tokens: usize,
    text_bytes: u128,
    product: u128,
    is_repeated: bool,
    has_power: bool,
}

impl Expression {
    const EMPTY: Self = Self { tokens: 0, text_bytes: 0, product: 1, is_repeated: false, has_power: false };

    /// An upper bound for the length of a constant text; products of numbers take no room.
    fn constant_bytes(&self) -> u128 {
        match (self.is_repeated, self.has_power) {
            (false, _) => self.text_bytes,
            (true, false) => self.text_bytes.saturating_mul(self.product),
            // The power of two of the numbers may be any number.
            (true, true) => self.text_bytes.saturating_mul(u128::from(u64::MAX)),
        }
    }
}

/// Refuses a template that cannot be compiled in bounded time and memory.
pub(crate) fn check(source: &str) -> Result<(), Error> {
    if source.len() > MAX_SOURCE_BYTES {
        return Err(refused(format!(
            "the template has {} bytes; at most {MAX_SOURCE_BYTES} are read",
            source.len()
        )));
    }
    let whitespace =
        WhitespaceConfig { keep_trailing_newline: false, lstrip_blocks: false, trim_blocks: false };
    let mut expression = Expression::EMPTY;
    let mut constants = 0_u128;
    for token in tokenize(source, false, SyntaxConfig, whitespace) {
        let (token, span) = token?;
        expression.tokens += 1;
        match token {
            Token::VariableStart | Token::BlockStart => expression = Expression::EMPTY,
            Token::Str(text) => expression.text_bytes += text.len() as u128 + 1,
            Token::String(text) => expression.text_bytes += text.len() as u128 + 1,
            // A list of constants can be repeated as a text can.
            Token::BracketOpen => expression.text_bytes += 1,
            Token::Int(number) => {
                expression.product = expression.product.saturating_mul(u128::from(number).max(1));
            }
            Token::Int128(number) => {
                expression.product = expression.product.saturating_mul((*number).max(1));
            }
            Token::Mul => expression.is_repeated = true,
            Token::Pow => expression.has_power = true,
            // Sums may be added up before they multiply.
            Token::Plus => expression.product = expression.product.saturating_mul(2),
            Token::VariableEnd | Token::BlockEnd => {
                constants = constants.saturating_add(expression.constant_bytes());
                if expression.is_repeated && constants > MAX_CONSTANT_BYTES {
                    return Err(refused(format!(
                        "line {}: the template repeats a constant text up to {} bytes; at most {MAX_CONSTANT_BYTES} are made",
                        span.start_line,
                        expression.constant_bytes()
                    )));
                }
            }
            _ => {}
        }
        if expression.tokens > MAX_EXPRESSION_TOKENS {
            return Err(refused(format!(
                "line {}: an expression of more than {MAX_EXPRESSION_TOKENS} parts; write it as several",
                span.start_line
            )));
        }
    }
    Ok(())
}
