//! The rules by their names.

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use super::{measure, patterns, repetition};

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident = $name:literal),* $(,)?) => {
        /// A quality rule. Parts are from 0 to 1; a rule breaks where its measure is over the limit, where its text does not
        /// say "under". Gopher's limits are in brackets.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum QualityRule {
            $($(#[$doc])* #[serde(rename = $name)] $rule),*
        }

        impl QualityRule {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$rule),*];

            /// Its name, as it is serialised.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$rule => $name),* }
            }
        }
    };
}

rules! {
    /// Under: the mean length of words in characters \[3\].
    ShortWords = "short_words",
    /// The mean length of words in characters \[10\].
    LongWords = "long_words",
    /// `#` and ellipses for each word [0.1].
    SymbolsPerWord = "symbols_per_word",
    /// The part of lines that begin with a bullet [0.9].
    BulletLines = "bullet_lines",
    /// The part of lines that end with an ellipsis [0.3].
    EllipsisLines = "ellipsis_lines",
    /// Under: the part of words with a letter in them [0.8].
    WordsWithLetters = "words_with_letters",
    /// Under: how many of the words the, be, to, of, and, that, have, with there are \[2\].
    StopWords = "stop_words",
    /// The part of lines that are copies of earlier ones [0.3].
    RepeatedLines = "repeated_lines",
    /// The part of paragraphs that are copies of earlier ones [0.3].
    RepeatedParagraphs = "repeated_paragraphs",
    /// The part of characters in lines that are copies of earlier ones [0.2].
    CharactersInRepeatedLines = "characters_in_repeated_lines",
    /// The part of characters in the most frequent two words in a row [0.2].
    Top2Words = "top_2_words",
    /// The part of characters in the most frequent three words in a row [0.18].
    Top3Words = "top_3_words",
    /// The part of characters in the most frequent four words in a row [0.16].
    Top4Words = "top_4_words",
    /// The part of characters in five words in a row that are there more than once [0.15].
    Repeated5Words = "repeated_5_words",
    /// The part of characters in ten words in a row that are there more than once [0.1].
    Repeated10Words = "repeated_10_words",
    /// How often "lorem ipsum" is there (C4: 0).
    LoremIpsum = "lorem_ipsum",
    /// 1 where the text does not end with a full stop, a question or exclamation mark, a quotation mark or a closed block
    /// of code (C4, of lines), else 0: a text that was cut.
    TruncatedEnd = "truncated_end",
    /// The part of characters in web addresses.
    UrlPart = "url_part",
    /// How often a refusal or a remark about being a language model is there.
    Refusals = "refusals",
    /// How often a mark of a prompt's or a chat's scaffolding is there, such as `### Response:` or `<|im_end|>`.
    Scaffolding = "scaffolding",
    /// The confidence, 0 to 1, that the text is in another language than those that are wanted; 0 under 8 words, of which
    /// little can be said.
    OtherLanguage = "other_language",
}

impl QualityRule {
    /// Whether the measure must not be under the limit, rather than over it.
    pub fn has_lower_limit(self) -> bool {
        matches!(self, Self::ShortWords | Self::WordsWithLetters | Self::StopWords)
    }

    /// Whether a measure breaks the rule.
    pub fn is_broken(self, value: f64, limit: f64) -> bool {
        if self.has_lower_limit() { value < limit } else { value > limit }
    }

    /// Measures a text.
    pub fn measure(self, text: &str, languages: &[String]) -> f64 {
        match self {
            Self::ShortWords | Self::LongWords => measure::mean_word_length(text),
            Self::SymbolsPerWord => measure::symbols_per_word(text),
            Self::BulletLines => measure::lines(text, measure::is_bullet),
            Self::EllipsisLines => measure::lines(text, |line| line.ends_with("...") || line.ends_with('…')),
            Self::WordsWithLetters => measure::words_with_letters(text),
            Self::StopWords => measure::stop_words(text),
            Self::RepeatedLines => repetition::pieces(text, "\n"),
            Self::RepeatedParagraphs => repetition::pieces(text, "\n\n"),
            Self::CharactersInRepeatedLines => repetition::characters_in_repeated_lines(text),
            Self::Top2Words => repetition::top_words(text, 2),
            Self::Top3Words => repetition::top_words(text, 3),
            Self::Top4Words => repetition::top_words(text, 4),
            Self::Repeated5Words => repetition::repeated_words(text, 5),
            Self::Repeated10Words => repetition::repeated_words(text, 10),
            Self::LoremIpsum => patterns::lorem_ipsum(text),
            Self::TruncatedEnd => measure::truncated_end(text),
            Self::UrlPart => patterns::url_part(text),
            Self::Refusals => patterns::refusals(text),
            Self::Scaffolding => patterns::scaffolding(text),
            Self::OtherLanguage => measure::other_language(text, languages),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::QualityRule;

    #[test]
    fn a_rule_is_serialised_by_its_name() {
        for rule in QualityRule::ALL {
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.as_str());
        }
    }
}
