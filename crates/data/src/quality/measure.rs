//! Measures of words, lines and ends.

use whatlang::{Lang, detect};

/// Texts with fewer words say too little of their language.
const LEAST_WORDS_FOR_LANGUAGE: usize = 8;

/// A part of a whole; 0 of nothing.
pub(super) fn part(count: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { count as f64 / whole as f64 }
}

pub(super) fn mean_word_length(text: &str) -> f64 {
    let (words, characters) = text
        .split_whitespace()
        .fold((0, 0), |(words, characters), word| (words + 1, characters + word.chars().count()));
    part(characters, words)
}

pub(super) fn symbols_per_word(text: &str) -> f64 {
    let symbols = text.matches(['#', '…']).count() + text.matches("...").count();
    part(symbols, text.split_whitespace().count())
}

/// The part of the lines that are not empty of which something is true.
pub(super) fn lines(text: &str, is_so: impl Fn(&str) -> bool) -> f64 {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    part(lines().filter(|line| is_so(line)).count(), lines().count())
}

pub(super) fn is_bullet(line: &str) -> bool {
    line.starts_with(['•', '●', '◦', '‣']) || ["- ", "* "].iter().any(|bullet| line.starts_with(bullet))
}

pub(super) fn words_with_letters(text: &str) -> f64 {
    let words = || text.split_whitespace();
    part(words().filter(|word| word.contains(char::is_alphabetic)).count(), words().count())
}

pub(super) fn stop_words(text: &str) -> f64 {
    const STOP_WORDS: [&str; 8] = ["the", "be", "to", "of", "and", "that", "have", "with"];
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| STOP_WORDS.contains(word));
    words.count() as f64
}

pub(super) fn truncated_end(text: &str) -> f64 {
    let end = text.trim_end().trim_end_matches(['*', '_', ')', ']']);
    let ends =
        end.ends_with(['.', '!', '?', '"', '\'', '”', '’', '。', '！', '？', '…']) || end.ends_with("```");
    f64::from(u8::from(!ends))
}

pub(super) fn other_language(text: &str, languages: &[String]) -> f64 {
    if text.split_whitespace().count() < LEAST_WORDS_FOR_LANGUAGE {
        return 0.0;
    }
    detect(text)
        .filter(|found| !languages.iter().filter_map(Lang::from_code).any(|wanted| wanted == found.lang()))
        .map_or(0.0, |found| found.confidence())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
    }

    #[test]
    fn words_and_lines_are_measured() {
        assert_near(mean_word_length("a bcd"), 2.0);
        assert_near(symbols_per_word("# one two... three… four"), 3.0 / 5.0);
        assert_near(lines("- a\n\n* b\nc...\n", is_bullet), 2.0 / 3.0);
        assert_near(words_with_letters("a 1 2 b3"), 0.5);
        assert_near(stop_words("To be, and not the that."), 5.0);
        assert_near(part(1, 0), 0.0);
    }

    #[test]
    fn a_cut_text_has_no_end() {
        for (text, cut) in
            [("Done.", 0.0), ("(So it is.)", 0.0), ("```\nx\n```\n", 0.0), ("And then the", 1.0), ("", 1.0)]
        {
            assert_near(truncated_end(text), cut);
        }
    }

    #[test]
    fn the_language_is_guessed() {
        let wanted = ["eng".to_owned()];
        let german = "Das ist ein ganz gewöhnlicher deutscher Satz, den man an seinen Wörtern erkennen kann.";
        let english = "This is quite an ordinary English sentence, which anyone can tell by the words in it.";
        assert!(other_language(german, &wanted) > 0.5);
        assert_near(other_language(english, &wanted), 0.0);
        assert_near(other_language("Das ist kurz.", &wanted), 0.0);
        assert_near(other_language(german, &["deu".to_owned()]), 0.0);
    }
}
