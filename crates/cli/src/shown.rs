//! Texts of records on a terminal: what a terminal would obey is shown instead.

use std::fmt::Write;

/// The width of tables and texts that are read in a terminal of the usual width.
pub(crate) const WIDTH: usize = 80;

/// A text in which no character controls a terminal: escape codes, other control characters, and marks that turn the direction of
/// writing are shown as `\u{1b}` and so on. Line feeds stay, tabs become spaces.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push('\n'),
            '\t' => shown.push_str("    "),
            '\r' if text.contains("\r\n") => {}
            character if controls(character) => {
                // A string takes all that is written to it.
                let _ = write!(shown, "\\u{{{:x}}}", character as u32);
            }
            character => shown.push(character),
        }
    }
    shown
}

/// The same on one line, at most `length` characters.
pub(crate) fn line(text: &str, length: usize) -> String {
    let text = shown(text);
    let mut words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() > length {
        words = words.chars().take(length.saturating_sub(1)).collect();
        words.push('…');
    }
    words
}

/// The same in lines of at most [`WIDTH`] characters, each after `margin`.
pub(crate) fn block(text: &str, margin: &str) -> String {
    let room = WIDTH.saturating_sub(margin.chars().count()).max(20);
    let mut lines = Vec::new();
    for paragraph in shown(text).split('\n') {
        let mut left = String::new();
        for word in paragraph.split_inclusive(' ') {
            if left.chars().count() + word.trim_end().chars().count() > room && !left.is_empty() {
                lines.push(std::mem::take(&mut left));
            }
            left.push_str(word);
            // A word that is longer than a line is cut.
            while left.chars().count() > room && left.trim_end().chars().count() > room {
                let cut: String = left.chars().take(room).collect();
                left = left.chars().skip(room).collect();
                lines.push(cut);
            }
        }
        lines.push(left);
    }
    lines.iter().map(|line| format!("{margin}{}", line.trim_end())).collect::<Vec<_>>().join("\n")
}

/// Whether a terminal would do something else than show it.
pub(crate) fn controls(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::{WIDTH, block, line, shown};

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let hostile = "a\u{1b}[31mred\u{1b}]0;title\u{7}\u{9b}2J\r\u{202e}b\u{8}\n\tc\u{85}";
        let text = shown(hostile);
        assert!(text.chars().all(|character| !character.is_control() || character == '\n'), "{text:?}");
        assert!(text.contains("\\u{1b}[31mred") && text.contains("\\u{202e}"), "{text}");
        assert_eq!(shown("grün 日本 🦀\n"), "grün 日本 🦀\n");
    }

    #[test]
    fn lines_fit() {
        let text = format!("{} {}\n\n{}", "word ".repeat(60), "x".repeat(300), "end");
        let block = block(&text, "  ");
        assert!(block.lines().all(|line| line.chars().count() <= WIDTH), "{block}");
        assert_eq!(block.replace([' ', '\n'], ""), text.replace([' ', '\n'], ""));
        assert_eq!(line("a\n\tb   c", 10), "a b c");
        assert_eq!(line("abcdef", 4), "abc…");
    }
}
