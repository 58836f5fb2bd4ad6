//! Words of languages that set no space between them.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;

/// The text with a space between the words of scripts that have none: Chinese, Japanese, Thai, Lao, Khmer and Burmese. A text
/// in other scripts is as it was.
///
/// Where words end is taken from Unicode's rules (UAX #29), which know no dictionary: a Chinese character, a hiragana and a
/// Thai letter with its marks are a word each, a run of katakana is one.
///
/// ```
/// use lancer_core::spaced;
///
/// assert_eq!(spaced("It is 3."), "It is 3.");
/// assert_eq!(spaced("猫はどこ?"), "猫 は ど こ ?");
/// ```
pub fn spaced(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unspaced) {
        return Cow::Borrowed(text);
    }
    let mut spaced = String::with_capacity(2 * text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        if !word.chars().any(is_unspaced) {
            spaced.push_str(word);
            continue;
        }
        let pieces = word.split_word_bounds().filter(|piece| !piece.trim().is_empty());
        let pieces: Vec<&str> = pieces.collect();
        let after = &word[word.trim_end().len()..];
        spaced.push_str(&pieces.join(" "));
        spaced.push_str(after);
    }
    Cow::Owned(spaced)
}

/// Whether a letter belongs to a script that sets no space between words.
fn is_unspaced(letter: char) -> bool {
    matches!(
        letter,
        '\u{0E00}'..='\u{0EFF}' // Thai, Lao
        | '\u{1000}'..='\u{109F}' // Burmese
        | '\u{1780}'..='\u{17FF}' // Khmer
        | '\u{3005}'..='\u{3007}' // signs of repetition and zero
        | '\u{3040}'..='\u{30FF}' // hiragana, katakana
        | '\u{31F0}'..='\u{31FF}' // katakana
        | '\u{3400}'..='\u{4DBF}' // Chinese characters
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{FF66}'..='\u{FF9F}' // katakana of half width
        | '\u{20000}'..='\u{3FFFF}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> usize {
        spaced(text).split_whitespace().count()
    }

    #[test]
    fn texts_without_spaces_have_as_many_words_as_they_have_characters_about() {
        assert_eq!(words("The quick brown fox, naïvely."), 5);
        assert!(words("東京の天気を教えてください。明日は雨ですか。傘が要りますか。") > 20);
        assert!(words("ประเทศไทยอยู่ที่ไหน") > 5);
        assert_eq!(words("コンピュータ"), 1);
    }

    proptest! {
        #[test]
        fn only_white_space_is_added(text in "[a-z 猫はสัвй.\n]{0,30}") {
            let letters = |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&spaced(&text)), letters(&text));
            prop_assert_eq!(spaced(&spaced(&text)).split_whitespace().count(), words(&text));
        }
    }
}
