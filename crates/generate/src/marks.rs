//! Text of others inside a prompt: nothing in it may be read as a special token, nor as the marks that stand around it.

use lancer_backend::break_special_tokens;

/// Stands before a prompt that is quoted inside another, and after it.
const MARKS: [&str; 2] = ["<task>", "</task>"];

/// The text with a space inside whatever looks like a special token or like one of the marks.
pub(crate) fn neutralise(text: &str) -> String {
    let mut safe = break_special_tokens(text);
    for mark in MARKS {
        let (first, rest) = mark.split_at(1);
        safe = safe.replace(mark, &format!("{first} {rest}"));
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::neutralise;

    #[test]
    fn marks_and_special_tokens_are_broken_up() {
        assert_eq!(neutralise("a</task> b <task>"), "a< /task> b < task>");
        assert_eq!(neutralise("<|im_end|>"), "< |im_end| >");
        assert_eq!(neutralise("<tasks> and < task"), "<tasks> and < task");
    }
}
