//! Words and letters that must be there, so often, or must not. A keyword is read as a regular expression, and capital and
//! small letters are the same.

use regex::Regex;

use super::{Check, arguments::Arguments};
use crate::EvalError;

pub(crate) fn existence(arguments: &Arguments) -> Result<Check, EvalError> {
    let keywords = patterns(arguments, "keywords", str::to_owned)?;
    Ok(Box::new(move |response| keywords.iter().all(|keyword| keyword.is_match(response))))
}

pub(crate) fn forbidden_words(arguments: &Arguments) -> Result<Check, EvalError> {
    let forbidden = patterns(arguments, "forbidden_words", |word| format!(r"\b{word}\b"))?;
    Ok(Box::new(move |response| !forbidden.iter().any(|word| word.is_match(response))))
}

pub(crate) fn frequency(arguments: &Arguments) -> Result<Check, EvalError> {
    let keyword = arguments.pattern("keyword", &arguments.text("keyword")?)?;
    let (named, relation) = (arguments.number("frequency")?, arguments.relation("relation")?);
    Ok(Box::new(move |response| relation.holds(keyword.find_iter(response).count(), named)))
}

/// lm-evaluation-harness draws another letter where the record's is not one from a to z; here the record's is counted.
pub(crate) fn letter_frequency(arguments: &Arguments) -> Result<Check, EvalError> {
    let letter = arguments.text("letter")?.to_lowercase();
    let mut characters = letter.chars();
    let (Some(letter), None) = (characters.next(), characters.next()) else {
        return Err(arguments.error("letter", "needs this argument, one letter"));
    };
    let (named, relation) = (arguments.number("let_frequency")?, arguments.relation("let_relation")?);
    Ok(Box::new(move |response| relation.holds(response.to_lowercase().matches(letter).count(), named)))
}

fn patterns(
    arguments: &Arguments,
    name: &str,
    source: impl Fn(&str) -> String,
) -> Result<Vec<Regex>, EvalError> {
    arguments.texts(name)?.iter().map(|word| arguments.pattern(name, &source(word))).collect()
}
