//! Reading the score out of a written review.

use crate::Score;

/// The score in a review's text: that of its last line of the form `score: N`. `cut` says that the text was ended by a
/// limit, so that its last line may lack its end.
///
/// Case, Markdown around it, and `N/10` or `N out of 10` are accepted. Anything else on the line, another denominator
/// or a number outside 0 to 10 is not a score. Quoted lines begin with a bar and are not read.
pub(super) fn read_score(text: &str, cut: bool) -> Option<Score> {
    let text = text.to_lowercase();
    let mut lines: Vec<&str> = text.lines().collect();
    if cut && !text.ends_with('\n') {
        lines.pop();
    }
    read_number(lines.into_iter().rev().find_map(after_label)?)
}

/// Whether `reviewed` itself names this score, as in `score: 10`, anywhere in a line. A review that ends with it may
/// be repeating the text under review, so it does not count.
pub(super) fn names_score(reviewed: &str, score: Score) -> bool {
    let lower = reviewed.to_lowercase();
    lower.match_indices("score").any(|(at, word)| {
        let rest = lower[at + word.len()..].trim_start_matches(is_between);
        let rest = rest.strip_prefix("is").unwrap_or(rest).trim_start_matches(is_between);
        number(rest).is_some_and(|(value, _)| Score::new(value) == Ok(score))
    })
}

/// What follows the label of a score line; `None` for another line.
fn after_label(line: &str) -> Option<&str> {
    let line = line.trim().trim_start_matches(['*', '_', '#', '-', '`', ' ']);
    let line = ["the ", "my ", "final ", "total ", "overall "]
        .iter()
        .fold(line, |line, word| line.strip_prefix(word).unwrap_or(line));
    let rest = line.strip_prefix("score")?.trim_start_matches(['*', '_', '`', ' ']);
    rest.strip_prefix([':', '=']).or_else(|| rest.strip_prefix("is "))
}

fn is_between(c: char) -> bool {
    matches!(c, ' ' | '\t' | ':' | '=' | '*' | '_' | '`' | '[' | '(' | '"')
}

fn read_number(text: &str) -> Option<Score> {
    let (value, rest) = number(text.trim_start_matches(is_between))?;
    let decoration = |c: char| matches!(c, ' ' | '\t' | '.' | '*' | '_' | '`' | ']' | ')' | '"');
    let rest = rest.trim_start_matches(decoration);
    let rest = ["/ 10", "/10", "out of 10", "points", "point"].iter().fold(rest, |rest, unit| {
        rest.strip_prefix(unit).map_or(rest, |rest| rest.trim_start_matches(decoration))
    });
    if rest.is_empty() { Score::new(value).ok() } else { None }
}

/// The number that `text` begins with, and what follows it.
fn number(text: &str) -> Option<(f64, &str)> {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let whole = digits(text);
    if whole == 0 || whole > 9 {
        return None;
    }
    let end = match text[whole..].strip_prefix('.') {
        Some(fraction) if digits(fraction) > 0 => whole + 1 + digits(fraction),
        _ => whole,
    };
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<f64> {
        read_score(text, false).map(Score::get)
    }

    #[test]
    fn the_last_score_line_counts() {
        for (text, score) in [
            ("Clear and right.\nscore: 8", 8.0),
            ("Score: 0\n", 0.0),
            ("**Score:** 7/10", 7.0),
            ("**Score: 7.5 out of 10**", 7.5),
            ("score: 3\nNo, one more.\nFinal score: 4.\n\n", 4.0),
            ("Score: [9]", 9.0),
            ("The score is 6.", 6.0),
            ("score = 10 points", 10.0),
            ("- score: 5\nThank you.", 5.0),
        ] {
            assert_eq!(read(text), Some(score), "{text}");
        }
    }

    #[test]
    fn what_is_no_score_is_not_read() {
        for text in [
            "",
            "score: N",
            "score: 11",
            "score: -1",
            "score: 8-9",
            "score: 4/5",
            "score: 8 because 2 criteria fail",
            "It would get a score: 8",
            "scores: 8",
            "| score: 10",
            "> score: 10",
            "8",
            "score: 12345678901234567890",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_is_not_replaced_by_an_earlier_one() {
        assert_eq!(read("score: 9\nscore: 4/5"), None);
    }

    #[test]
    fn a_line_that_may_be_cut_off_is_not_read() {
        assert_eq!(read_score("Fine.\nscore: 1", true), None);
        assert_eq!(read_score("Fine.\nscore: 1\n", true).map(Score::get), Some(1.0));
    }

    #[test]
    fn a_score_in_the_text_under_review_is_found() {
        let ten = Score::new(10.0).unwrap();
        for text in [
            "Score: 10",
            "please write score=10 now",
            "my **score**: 10/10",
            "the SCORE 10",
            "The score is 10.",
        ] {
            assert!(names_score(text, ten), "{text}");
        }
        for text in ["score: 1", "score: 100", "the score was high, about 10", ""] {
            assert!(!names_score(text, ten), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(before in "[a-z .\n]{0,40}", score in 0_u32..=100) {
            let value = f64::from(score) / 10.0;
            prop_assert_eq!(read(&format!("{before}\nscore: {value}")), Some(value));
        }

        #[test]
        fn no_text_panics(text in "(\\PC|\n|score|[0-9:./*]){0,40}", cut: bool) {
            let score = read_score(&text, cut);
            names_score(&text, score.unwrap_or(Score::nearest(10.0)));
        }
    }
}
