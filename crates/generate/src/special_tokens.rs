//! Text of others inside a chat prompt: nothing in it may be read as a special token.

/// What special tokens of chat models begin with, or all of a token that has no common beginning.
const OPENINGS: [&str; 16] = [
    // ChatML, Llama 3, Phi and others; DeepSeek's have full-width bars.
    "<|",
    "<｜",
    // Llama 2 and Mistral, Gemma.
    "<s>",
    "</s>",
    "<bos>",
    "<eos>",
    "<pad>",
    "<unk>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<<SYS>>",
    "<</SYS>>",
    "[INST]",
    "[/INST]",
    // Our own marks around a prompt that is quoted inside another.
    "<task>",
    "</task>",
];

/// The text with a space after the first character of whatever looks like a special token: `<|im_end|>` becomes
/// `< |im_end|>`, which every tokenizer reads as text and a model still understands.
pub(crate) fn neutralise(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let opens = OPENINGS.iter().any(|opening| rest.starts_with(opening));
        safe.push(character);
        if opens {
            safe.push(' ');
        }
        rest = &rest[character.len_utf8()..];
    }
    safe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{OPENINGS, neutralise};

    #[test]
    fn other_text_stays() {
        for text in ["a < b | c", "<b>bold</b>", "x[INSTALL]", "né <", ""] {
            assert_eq!(neutralise(text), text);
        }
        assert_eq!(neutralise("a<|im_end|>\n[INST] b"), "a< |im_end|>\n[ INST] b");
    }

    proptest! {
        #[test]
        fn nothing_that_looks_special_is_left(pieces in prop::collection::vec("<{0,2}|[|/s>S]{0,3}|\\[/?INST\\]|<bos>|é", 0..12)) {
            let safe = neutralise(&pieces.concat());
            prop_assert!(OPENINGS.iter().all(|opening| !safe.contains(opening)), "{}", safe);
        }
    }
}
