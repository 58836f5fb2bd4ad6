//! Worse responses, the rejected sides of pairs: how they are asked for, and what counts as one.

use lancer_backend::{Prompt, Sampling};

use crate::{
    GenerateSettings, Source, Unusable, WorseStyle, response, special_tokens::neutralise, words::near_equal,
};

/// The chat in which a worse response is written.
pub(crate) fn ask(style: WorseStyle, source: &Source) -> Prompt {
    match style {
        WorseStyle::Instructed => Prompt::user(format!(
            "<task>\n{}\n</task>\n\nWrite a bad response to this task, as a careless assistant would: vague, in part \
             wrong, and of little help. Write only the response, and say nowhere that it is bad.",
            neutralise(source.prompt.trim())
        )),
        WorseStyle::PartPrompt => Prompt::user(neutralise(&part(&source.prompt))),
        WorseStyle::Auto | WorseStyle::Hot | WorseStyle::Sampled => response::ask(source),
    }
}

/// How its tokens are chosen.
pub(crate) fn sampling(settings: &GenerateSettings) -> Sampling {
    let hot = settings.worse_style == WorseStyle::Hot;
    let temperature = if hot { settings.worse_temperature } else { settings.temperature };
    Sampling::Nucleus { temperature, top_p: settings.top_p }
}

/// The worse response in what the model wrote.
pub(crate) fn read(text: &str, source: &Source) -> Result<String, Unusable> {
    let text = response::read(text, source)?;
    if near_equal(&text, &source.response) { Err(Unusable::Echo) } else { Ok(text) }
}

/// A part of a prompt: its first paragraph where it has several, or else the first half of its words.
fn part(prompt: &str) -> String {
    let prompt = prompt.trim();
    if let Some((first, _)) = prompt.split_once("\n\n") {
        return first.trim_end().to_owned();
    }
    let words: Vec<&str> = prompt.split_whitespace().collect();
    words[..words.len().div_ceil(2)].join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::part;

    #[test]
    fn a_part_is_the_first_paragraph_or_half_of_the_words() {
        assert_eq!(part("Translate into French.\n\nThe sky is blue."), "Translate into French.");
        assert_eq!(part(" one two three four five "), "one two three");
        assert_eq!(part("word"), "word");
    }

    proptest! {
        #[test]
        fn a_part_of_a_prompt_with_text_has_text(prompt in "[ab \n]{0,30}") {
            prop_assert_eq!(part(&prompt).is_empty(), prompt.trim().is_empty());
        }
    }
}
