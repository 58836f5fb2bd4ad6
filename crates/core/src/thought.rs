//! Thoughts that a reasoning model writes before its answer, between `<think>` and `</think>`.

/// What opens a thought.
const OPEN: &str = "<think>";

/// What closes it.
const CLOSE: &str = "</think>";

/// The thought and the answer in what a model wrote; `None` where there is no thought in it.
///
/// A thought begins the text. Where the chat template has opened it, the text has only its end, on a line of its own. A
/// thought that does not end leaves no answer.
///
/// ```
/// use lancer_core::split_thought;
///
/// assert_eq!(split_thought("<think>\nAn easy one.\n</think>\n\nIt is 3."), Some(("An easy one.", "It is 3.")));
/// assert_eq!(split_thought("An easy one.\n</think>\n\nIt is 3."), Some(("An easy one.", "It is 3.")));
/// assert_eq!(split_thought("<think>\nAn easy"), Some(("An easy", "")));
/// assert_eq!(split_thought("The mark </think> ends a thought."), None);
/// ```
pub fn split_thought(text: &str) -> Option<(&str, &str)> {
    if let Some(opened) = text.trim_start().strip_prefix(OPEN) {
        let (thought, answer) = opened.split_once(CLOSE).unwrap_or((opened, ""));
        return Some((thought.trim(), answer.trim_start()));
    }
    let is_line = |&(place, _): &(usize, &str)| place == 0 || text[..place].ends_with('\n');
    let (place, _) = text.match_indices(CLOSE).find(is_line)?;
    Some((text[..place].trim(), text[place + CLOSE.len()..].trim_start()))
}

/// The answer in what a model wrote, without a thought before it.
pub fn answer_of(text: &str) -> &str {
    split_thought(text).map_or(text, |(_, answer)| answer)
}

/// A text with a thought before the answer.
pub fn with_thought(thought: &str, answer: &str) -> String {
    format!("{OPEN}\n{thought}\n{CLOSE}\n\n{answer}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_joined_is_split(thought in "[a-z<>/ \n]{0,20}", answer in "[a-zé .\n]{0,20}") {
            let text = with_thought(&thought, &answer);
            prop_assert_eq!(split_thought(&text), Some((thought.trim(), answer.trim_start())));
            prop_assert_eq!(answer_of(&text), answer.trim_start());
        }

        #[test]
        fn a_text_without_the_marks_is_an_answer(text in "[a-z<> \n]{0,30}") {
            prop_assume!(!text.contains(OPEN));
            prop_assert_eq!(answer_of(&text), text.as_str());
        }
    }
}
