//! How many words are written in capital letters.
//!
//! Words are those of NLTK's `word_tokenize`, as far as the count depends on it: which characters and endings stand between
//! two words, not what else is a token.

use regex::Regex;

use super::{Check, arguments::Arguments};
use crate::EvalError;

/// What is replaced first, one after another, and by what.
const MARKS: [(&str, &str); 3] = [
    (r#"[«“‘„`»”’"?!*;@#$%&\x{2012}-\x{2015}\[\](){}<>]|''|--|\.{2,}"#, " "),
    (r"[:,]([^\d])", " $1"),
    // The end of a sentence.
    (r"\.(\s|$)", " $1"),
];

/// What is replaced then, where one space stands between two words and at both ends.
const ENDINGS: [(&str, &str); 5] = [
    (r"([^' ])('[sS]|'[mM]|'[dD]|') ", "$1 $2 "),
    (r"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", "$1 $2 "),
    (r"(?i)\b(can)(not)\b", " $1 $2 "),
    (r"(?i)\b(?:(d)('ye)|(more)('n))\b", " $1$3 $2$4 "),
    (r"(?i)\b(?:(gim|lem)(me)|(gon|wan)(na)|(got)(ta))\b", " $1$3$5 $2$4$6 "),
];

pub(crate) fn words(arguments: &Arguments) -> Result<Check, EvalError> {
    let compiled = |rules: &[(&str, &'static str)]| {
        let rule =
            |(pattern, replacement): &(&str, &'static str)| Ok((arguments.constant(pattern)?, *replacement));
        rules.iter().map(rule).collect::<Result<Vec<_>, EvalError>>()
    };
    let (marks, endings) = (compiled(&MARKS)?, compiled(&ENDINGS)?);
    let (named, relation) = (arguments.number("capital_frequency")?, arguments.relation("capital_relation")?);
    Ok(Box::new(move |response| {
        let text = replaced(&marks, response.to_owned());
        let spaced = text.split_whitespace().fold(" ".to_owned(), |spaced, word| spaced + word + " ");
        let count = replaced(&endings, spaced).split_whitespace().filter(|word| is_upper(word)).count();
        relation.holds(count, named)
    }))
}

fn replaced(rules: &[(Regex, &str)], text: String) -> String {
    rules.iter().fold(text, |text, (pattern, by)| pattern.replace_all(&text, *by).into_owned())
}

/// Python's `str.isupper`: some letter is a capital, and none is a small one.
fn is_upper(word: &str) -> bool {
    word.chars().any(char::is_uppercase) && !word.chars().any(char::is_lowercase)
}
