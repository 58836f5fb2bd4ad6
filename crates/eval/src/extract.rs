//! Finding the answer in a text, and writing it in one form.

use regex::Regex;
use serde::Deserialize;

/// A number as people write it: thousands separated by commas, a decimal part.
const NUMBER: &str = r"-?(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)";

/// A regular expression of a task file, in the syntax of the crate `regex`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Regex);

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(source: String) -> Result<Self, Self::Error> {
        Regex::new(&source).map(Self).map_err(|error| error.to_string())
    }
}

/// Where the answer is in a text.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extraction {
    /// It is the whole text.
    #[default]
    WholeText,
    /// The first line that is not empty.
    FirstLine,
    /// The last number, such as `-1,234.5`.
    LastNumber,
    /// The first match of a regular expression: its first group that took part, or without groups the whole match.
    FirstMatch(Pattern),
    /// The same of the last match.
    LastMatch(Pattern),
}

impl Extraction {
    /// The answer in `text`; `None` if there is none.
    pub fn find<'a>(&self, text: &'a str) -> Option<&'a str> {
        let found = match self {
            Self::WholeText => Some(text),
            Self::FirstLine => text.lines().find(|line| !line.trim().is_empty()),
            Self::LastNumber => last_number(text),
            Self::FirstMatch(Pattern(pattern)) => pattern.captures(text).and_then(|found| group(&found)),
            Self::LastMatch(Pattern(pattern)) => {
                pattern.captures_iter(text).last().and_then(|found| group(&found))
            }
        };
        found.map(str::trim).filter(|found| !found.is_empty())
    }
}

fn group<'a>(found: &regex::Captures<'a>) -> Option<&'a str> {
    let groups = found.iter().skip(1).flatten().next();
    groups.or_else(|| found.get(0)).map(|found| found.as_str())
}

fn last_number(text: &str) -> Option<&str> {
    // NUMBER is a constant, and a test compiles it.
    let found = Regex::new(NUMBER).ok()?.find_iter(text).last()?;
    // In `10-12` the minus is a dash.
    let after_digit = text[..found.start()].ends_with(|before: char| before.is_ascii_digit());
    let number = found.as_str();
    Some(if after_digit { number.trim_start_matches('-') } else { number })
}

/// A difference between two answers that does not count.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalisation {
    /// White space at the ends, and how much of it there is between words.
    WhiteSpace,
    /// Capital and small letters.
    Case,
    /// ASCII punctuation.
    Punctuation,
    /// The words `a`, `an` and `the`.
    Articles,
    /// How a number is written: currency and percent signs, thousands separators, zeros and a full stop at the end. A
    /// text that is not a number stays as it is.
    Number,
    /// Whatever matches a regular expression, everywhere in the text: `{ remove = ',' }` (`regexes_to_ignore` of
    /// lm-evaluation-harness).
    Remove(Pattern),
}

impl Normalisation {
    /// The text without this difference.
    pub fn apply(&self, text: &str) -> String {
        match self {
            Self::WhiteSpace => text.split_whitespace().collect::<Vec<_>>().join(" "),
            Self::Case => text.to_lowercase(),
            Self::Punctuation => text.chars().filter(|c| !c.is_ascii_punctuation()).collect(),
            Self::Articles => {
                let article = |word: &str| ["a", "an", "the"].iter().any(|a| word.eq_ignore_ascii_case(a));
                text.split_whitespace().filter(|word| !article(word)).collect::<Vec<_>>().join(" ")
            }
            Self::Number => number(text).unwrap_or_else(|| text.into()),
            Self::Remove(Pattern(pattern)) => pattern.replace_all(text, "").into_owned(),
        }
    }
}

fn number(text: &str) -> Option<String> {
    let digits: String = text.trim().trim_end_matches('.').replace(['$', ',', '%', '€', '£', ' '], "");
    let is_plain = digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
    let value: f64 = digits.parse().ok().filter(|_| is_plain)?;
    // Adding zero turns -0 into 0.
    Some((value + 0.0).to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(source: &str) -> Pattern {
        Pattern::try_from(source.to_string()).unwrap()
    }

    #[test]
    fn numbers_are_found_as_people_write_them() {
        let cases = [
            ("She has 3 apples and $1,234.50.", Some("1,234.50")),
            ("It is 10-12", Some("12")),
            ("16 - 3 = 13.", Some("13")),
            ("minus -7!", Some("-7")),
            (".5 of it", Some(".5")),
            ("none", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Extraction::LastNumber.find(text), expected, "{text}");
        }
    }

    #[test]
    fn a_match_gives_its_group() {
        let text = "a: 1, b: 2";
        assert_eq!(Extraction::FirstMatch(pattern(r"\w: (\d)")).find(text), Some("1"));
        assert_eq!(Extraction::LastMatch(pattern(r"\w: (\d)")).find(text), Some("2"));
        assert_eq!(Extraction::LastMatch(pattern(r"(x)|(b)")).find(text), Some("b"));
        assert_eq!(Extraction::FirstMatch(pattern(r"\d")).find(text), Some("1"));
        assert_eq!(Extraction::FirstMatch(pattern("z")).find(text), None);
    }

    #[test]
    fn other_texts() {
        assert_eq!(Extraction::FirstLine.find("\n \n yes \nno"), Some("yes"));
        assert_eq!(Extraction::WholeText.find(" yes\n"), Some("yes"));
        assert_eq!(Extraction::WholeText.find("  "), None);
    }

    #[test]
    fn differences_that_do_not_count() {
        for text in ["18", "$18.00", "18.", " 18.0 ", "+18", "18%"] {
            assert_eq!(Normalisation::Number.apply(text), "18", "{text}");
        }
        assert_eq!(Normalisation::Number.apply("1,234.50"), "1234.5");
        assert_eq!(Normalisation::Number.apply("inf"), "inf");
        assert_eq!(Normalisation::Articles.apply("The cat and a dog"), "cat and dog");
        assert_eq!(Normalisation::Punctuation.apply("(A)."), "A");
        assert_eq!(Normalisation::WhiteSpace.apply(" a \n b "), "a b");
        assert_eq!(Normalisation::Case.apply("ÄB"), "äb");
    }

    #[test]
    fn what_matches_is_removed() {
        let ignored =
            ["(?s).*#### ", ",", r"\$", r"\.$"].map(|source| Normalisation::Remove(pattern(source)));
        let rest = |text: &str| ignored.iter().fold(text.to_string(), |text, ignored| ignored.apply(&text));
        assert_eq!(rest("3 + 4\n= 7 #### $1,234.50."), "1234.50");
        assert_eq!(rest("18"), "18");
    }

    proptest! {
        #[test]
        fn a_written_number_is_found_and_read(value in -1_000_000_i64..1_000_000, decimals in 0_usize..3) {
            let written = format!("{value}{}", ["", ".0", ".00"][decimals]);
            let text = format!("It is {written}.");
            let found = Extraction::LastNumber.find(&text).unwrap();
            prop_assert_eq!(Normalisation::Number.apply(found), value.to_string());
        }

        #[test]
        fn normalisation_is_settled_after_once(text in ".{0,40}") {
            for normalisation in [
                Normalisation::WhiteSpace, Normalisation::Punctuation, Normalisation::Articles, Normalisation::Number,
            ] {
                let once = normalisation.apply(&text);
                prop_assert_eq!(normalisation.apply(&once), once);
            }
        }
    }
}
