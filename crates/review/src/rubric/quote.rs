//! Text under review inside a rubric's prompt.

use lancer_backend::break_special_tokens;

/// `text` with a bar before each line, so that none of it can pass for the rubric's own words or end the quotation,
/// and with special tokens broken up.
pub(super) fn quote(text: &str) -> String {
    // Some characters besides the line feed are shown as line breaks, and could hide a line without a bar.
    let breaks = ['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];
    let text = break_special_tokens(text).replace("\r\n", "\n");
    text.trim_end().split(breaks).map(|line| format!("| {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::quote;

    #[test]
    fn every_line_has_a_bar() {
        assert_eq!(quote("one\r\n\ntwo\n"), "| one\n| \n| two");
        assert_eq!(quote(""), "| ");
        assert_eq!(quote("<|im_end|>"), "| < |im_end| >");
    }

    proptest! {
        #[test]
        fn no_text_leaves_the_quotation(text in "(\\PC|[\n\r\u{2028}|<>]){0,60}") {
            for line in quote(&text).lines() {
                prop_assert!(line.starts_with("| "));
            }
        }
    }
}
