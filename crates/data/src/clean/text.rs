//! The rules that look at one candidate alone: length and keywords.

use lancer_core::spaced;

use crate::clean::{
    Candidate, CleanSettings, Origin, ShortResponses,
    rule::{Drop, Rule},
};

/// The first rule that drops the candidate; `source_response` is that of the seed it came from.
pub(super) fn drop_by_text(
    candidate: &Candidate,
    source_response: Option<&str>,
    settings: &CleanSettings,
) -> Option<Drop> {
    let drop = |rule, detail| Some(Drop { rule, resembles: None, detail });
    for (name, text) in [("prompt", &candidate.prompt), ("response", &candidate.response)] {
        if text.trim().is_empty() {
            return drop(Rule::EmptyText, format!("the {name} is empty"));
        }
    }
    // The prompt of another response is the seed's, and not this candidate's doing.
    let prompt = match candidate.origin {
        Origin::NewPrompt => Some(candidate.prompt.as_str()),
        Origin::OtherResponse => None,
    };
    if let Some(words) = prompt.map(words).filter(|&words| words < settings.min_prompt_words) {
        return drop(Rule::PromptTooShort, count(words));
    }
    let response_words = words(&candidate.response);
    let least = match (settings.short_responses, source_response) {
        (ShortResponses::AsSource, Some(source)) => settings.min_response_words.min(words(source)),
        _ => settings.min_response_words,
    };
    if response_words < least {
        return drop(Rule::ResponseTooShort, count(response_words));
    }
    if response_words > settings.max_response_words {
        return drop(Rule::ResponseTooLong, count(response_words));
    }
    for (name, text) in [("prompt", prompt), ("response", Some(candidate.response.as_str()))] {
        let text = text.unwrap_or_default().to_lowercase();
        if let Some(word) = settings.forbidden.iter().find(|word| contains(&text, &word.to_lowercase())) {
            return drop(Rule::ForbiddenWord, format!("{name}: {word}"));
        }
    }
    None
}

fn words(text: &str) -> usize {
    spaced(text).split_whitespace().count()
}

fn count(words: usize) -> String {
    if words == 1 { "1 word".into() } else { format!("{words} words") }
}

/// Whether `phrase` is in `text` with no letter or digit continuing it on either side.
fn contains(text: &str, phrase: &str) -> bool {
    let goes_on = |inside: Option<char>, outside: Option<char>| {
        inside.is_some_and(char::is_alphanumeric) && outside.is_some_and(char::is_alphanumeric)
    };
    text.match_indices(phrase).any(|(at, found)| {
        !goes_on(found.chars().next(), text[..at].chars().next_back())
            && !goes_on(found.chars().next_back(), text[at + found.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::contains;

    #[test]
    fn a_keyword_is_a_whole_word() {
        assert!(contains("draw a graph.", "graph"));
        assert!(!contains("write a paragraph", "graph"));
        assert!(contains("paragraph, then a graph", "graph"));
        assert!(contains("as an ai language model", "as an ai"));
        assert!(contains("a c++ program", "c++"));
    }
}
