//! What is found by patterns.

use std::sync::LazyLock;

use regex::Regex;

use super::measure::part;

macro_rules! pattern {
    ($name:ident, $pattern:expr) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($pattern).expect("a test compiles every pattern"));
    };
}

pattern!(URL, r"(?i)\b(?:https?://|www\.)\S+");

pattern!(
    REFUSAL,
    concat!(
        r"(?i)\bas an? (?:large )?(?:ai|artificial intelligence|language model)\b",
        r"|\bi(?:['’]m| am) sorry,? (?:but|i)\b",
        r"|\bi (?:can['’]?t|cannot|can not|am unable to|am not able to|['’]m not able to) ",
        r"(?:assist|help|fulfil|fulfill|comply|answer|provide|generate|engage)\b",
        r"|\bmy (?:training data|knowledge cutoff)\b",
    )
);

pattern!(
    SCAFFOLDING,
    concat!(
        r"(?m)^#{2,3} ?(?:Instruction|Input|Response|Output|Human|Assistant|System|User)\b:?\s*$",
        r"|<\|[a-z_]+\|>|</?s>|\[/?INST\]|<</?SYS>>",
        r"|^(?:Human|Assistant|USER|ASSISTANT|User|AI): ",
        r"|Below is an instruction that describes a task",
        r"|^(?:Here is|Here's) (?:a|the|my) (?:new|rewritten|revised) (?:prompt|instruction)\b",
    )
);

pub(super) fn url_part(text: &str) -> f64 {
    let text = text.trim();
    let characters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
    part(URL.find_iter(text).map(|url| characters(url.as_str())).sum(), characters(text))
}

pub(super) fn refusals(text: &str) -> f64 {
    REFUSAL.find_iter(text).count() as f64
}

pub(super) fn scaffolding(text: &str) -> f64 {
    SCAFFOLDING.find_iter(text).count() as f64
}

pub(super) fn lorem_ipsum(text: &str) -> f64 {
    text.to_lowercase().matches("lorem ipsum").count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_find_what_they_are_for_and_leave_the_rest() {
        for (found, expected) in [
            (url_part("https://example.org/a"), 1.0),
            (url_part("See www.a.org"), 9.0 / 12.0),
            (url_part(""), 0.0),
            (refusals("I'm sorry, but I cannot help with that."), 2.0),
            (refusals("I was sorry to hear that. As an aid, use a map."), 0.0),
            (scaffolding("### Response:\nYes.<|im_end|>"), 2.0),
            (scaffolding("## A heading\nThe user: him. x < s > y"), 0.0),
            (lorem_ipsum("Lorem ipsum dolor"), 1.0),
        ] {
            assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
        }
    }
}
