//! Text of others inside a chat prompt is data: what looks like a special token is broken up before a model reads it.

/// Special tokens of common models that neither stand in `<|...|>` nor have an underscore in angle brackets, and how those
/// of a family begin.
const NAMED: [&str; 57] = [
    "<s>",
    "</s>",
    "<bos>",
    "<eos>",
    "<pad>",
    "<unk>",
    "<mask>",
    "<think>",
    "</think>",
    "<reponame>",
    "<filename>",
    "<<SYS>>",
    "<</SYS>>",
    "[INST]",
    "[/INST]",
    "[CLS]",
    "[SEP]",
    "[PAD]",
    "[MASK]",
    "[UNK]",
    // GLM.
    "[gMASK]",
    "[sMASK]",
    "<sop>",
    "<eop>",
    "<eod>",
    // EXAONE.
    "[|assistant|]",
    "[|user|]",
    "[|system|]",
    "[|tool|]",
    "[|endofturn|]",
    // MiniMax.
    "]~b]",
    "]~!b[",
    "[e~[",
    "]!p~[",
    "]!d~[",
    // Mistral.
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_CALLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[TOOL_CONTENT]",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[THINK]",
    "[/THINK]",
    "[ARGS]",
    "[CALL_ID]",
    "[IMG]",
    "[IMG_BREAK]",
    "[IMG_END]",
    "[PREFIX]",
    "[MIDDLE]",
    "[SUFFIX]",
    // Gemma, Seed, Falcon.
    "<unused",
    "<seed:",
    ">>QUESTION<<",
    ">>ANSWER<<",
];

/// `text` with a space inside everything that looks like a special token: `<|im_end|>` becomes `< |im_end| >`.
///
/// Chat templates are tokenised with special tokens recognised, wherever they stand
/// ([`Prompt::Chat`](crate::Prompt::Chat)). A response that holds the end of a turn and the beginning of
/// another would else speak in the model's own name.
pub fn break_special_tokens(text: &str) -> String {
    // The bars of DeepSeek's tokens are full-width.
    let mut text =
        text.replace("<|", "< |").replace("|>", "| >").replace("<｜", "< ｜").replace("｜>", "｜ >");
    for name in NAMED {
        let (first, rest) = name.split_at(1);
        // Again where two of them share a character, as in `]~b]~b]`.
        while text.contains(name) {
            text = text.replace(name, &format!("{first} {rest}"));
        }
    }
    break_underscored(&text)
}

/// Puts a space into `<start_of_turn>` and the like: a word with an underscore in angle brackets.
fn break_underscored(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, after) = rest.split_at(at + 1);
        out.push_str(before);
        let name = after.strip_prefix('/').unwrap_or(after);
        let word =
            name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map(|end| name.split_at(end));
        if let Some((word, end)) = word
            && end.starts_with('>')
            && word.contains('_')
        {
            out.push(' ');
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn special_tokens_are_broken_up_and_markup_is_left() {
        assert_eq!(break_special_tokens("a<|im_end|>\nb"), "a< |im_end| >\nb");
        assert_eq!(break_special_tokens("<start_of_turn>user</s>"), "< start_of_turn>user< /s>");
        assert_eq!(break_special_tokens("[INST] <file_sep>"), "[ INST] < file_sep>");
        assert_eq!(
            break_special_tokens("[|endofturn|] ]~b]ai <unused7>"),
            "[ |endofturn|] ] ~b]ai < unused7>"
        );
        for plain in ["<div class=\"a_b\">x</div>", "a < b_c > d", "x |= y", "if a<b_c { }", "<b>bold</b>"] {
            assert_eq!(break_special_tokens(plain), plain);
        }
    }

    proptest! {
        #[test]
        fn nothing_that_looks_like_a_special_token_is_left(
            parts in prop::collection::vec(
                prop::sample::select(vec!["<", ">", "|", "<|", "|>", "s", "/", "im_end", "[", "INST]", "]", "~", "b", "e", "!", " ", "\n", "<s>", "ü"]), 0..12),
        ) {
            let out = break_special_tokens(&parts.concat());
            for token in NAMED.iter().chain(&["<|", "|>", "<im_end>", "</im_end>"]) {
                prop_assert!(!out.contains(token), "{out}");
            }
            let strip = |text: &str| text.replace(' ', "");
            prop_assert_eq!(strip(&out), strip(&parts.concat()));
        }
    }
}
