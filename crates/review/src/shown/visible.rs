//! Characters that nobody sees: a reviewer is not shown them.

/// The text without control characters, invisible characters and marks of writing direction. Joiners stay between the
/// characters of scripts and of emoji that are written with them.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let joins = matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0f}')
            && is_joined(before)
            && (c == '\u{fe0f}' || chars.peek().copied().is_some_and(is_joined));
        if joins || !is_invisible(c) {
            shown.push(c);
        }
        before = c;
    }
    shown
}

/// Whether joiners mean something beside this character.
fn is_joined(c: char) -> bool {
    // From the Arabic block on: before it are scripts without joiners.
    c >= '\u{600}' && (!is_invisible(c) || c == '\u{fe0f}')
}

/// Whether a character is shown as nothing: controls but the tab, formats, fillers, selectors, tags.
pub(super) fn is_invisible(c: char) -> bool {
    (c.is_control() && c != '\t' && c != '\n')
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_cannot_be_seen_is_not_shown() {
        assert_eq!(visible("s\u{200b}c\u{202e}ore\u{e0041}\u{1b}[1m\u{0}"), "score[1m");
        assert_eq!(visible("a\tb\u{200d}c"), "a\tbc");
    }

    #[test]
    fn joiners_of_scripts_and_emoji_stay() {
        for text in ["می\u{200c}خواهم", "👩\u{200d}🔬", "❤\u{fe0f}", "क्\u{200d}ष", "❤\u{fe0f}\u{200d}🔥"]
        {
            assert_eq!(visible(text), text);
        }
    }
}
