//! Lines and sentences of a text, without changing a character of them.

/// A line without its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a>(&'a str);

/// Characters at which a line ends besides the line feed: some programs and models show them as line breaks.
const BREAKS: [char; 7] = ['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];

/// The lines of a text, in their order. `\r\n` is one end.
pub(super) fn lines(text: &str) -> Vec<Line<'_>> {
    text.split("\r\n").flat_map(|part| part.split(BREAKS)).map(Line).collect()
}

impl<'a> Line<'a> {
    /// The line.
    pub(super) fn text(self) -> &'a str {
        self.0
    }

    /// Its sentences, each with the white space after it. The full stop of a list's number ends none: `1. First` is one sentence.
    pub(super) fn sentences(self) -> Vec<&'a str> {
        let mut sentences = Vec::new();
        let mut start = 0;
        let mut chars = self.0.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().copied();
            let wide = matches!(c, '。' | '！' | '？' | '।' | '۔');
            let narrow = matches!(c, '.' | '!' | '?' | '؟' | '…') && !is_list_number(&self.0[start..at]);
            if !(wide || narrow && next.is_some_and(|(_, next)| next.is_whitespace())) {
                continue;
            }
            while chars.peek().is_some_and(|(_, next)| next.is_whitespace()) {
                chars.next();
            }
            let end = chars.peek().map_or(self.0.len(), |(at, _)| *at);
            sentences.push(&self.0[start..end]);
            start = end;
        }
        if start < self.0.len() {
            sentences.push(&self.0[start..]);
        }
        sentences
    }
}

/// Whether a sentence so far is the number of an entry in a list.
fn is_list_number(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::lines;

    #[test]
    fn sentences_end_where_a_reader_would_end_them() {
        fn of(text: &str) -> Vec<&str> {
            lines(text)[0].sentences()
        }
        assert_eq!(of("One. Two!  Three"), ["One. ", "Two!  ", "Three"]);
        assert_eq!(of("1. One is 1.5. two"), ["1. One is 1.5. ", "two"]);
        assert_eq!(of("一。二"), ["一。", "二"]);
        assert!(of("").is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in "(\\PC|[.!? ]){0,40}") {
            for line in lines(&text) {
                prop_assert_eq!(line.sentences().concat(), line.text());
            }
        }
    }
}
