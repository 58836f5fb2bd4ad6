//! Worse responses, the rejected sides of pairs: how they are asked for, and what counts as one.

use crate::{
    GenerateSettings, Source, Unusable, WorseStyle, asked::Asked, marks::neutralise, response,
    words::near_equal,
};

/// The chat in which the worse response of a number is written.
pub(crate) fn ask(settings: &GenerateSettings, source: &Source, sample: usize) -> Asked {
    match settings.worse_style {
        WorseStyle::Instructed => Asked::turn(source.asking(format!(
            "<task>\n{}\n</task>\n\nWrite a bad response to this task, as a careless assistant would: vague, in part \
             wrong, and of little help. Write only the response, and say nowhere that it is bad.",
            neutralise(source.prompt().trim())
        ))),
        WorseStyle::PartPrompt => response::ask(settings.response_style, source, &half(source.prompt(), sample)),
        WorseStyle::Auto | WorseStyle::Hot | WorseStyle::Sampled => {
            response::ask(settings.response_style, source, source.prompt())
        }
    }
}

/// The worse response in what the model wrote.
pub(crate) fn read(text: &str, source: &Source) -> Result<String, Unusable> {
    let text = response::read(text, source)?;
    if near_equal(&text, &source.response) { Err(Unusable::Echo) } else { Ok(text) }
}

/// Half of a prompt's words: the first half for samples of even numbers, the second for the others; both have the middle
/// one. With the first half a response tends to be of the right kind about something else, with the second the other way
/// round.
fn half(prompt: &str, sample: usize) -> String {
    let words: Vec<&str> = prompt.split_whitespace().collect();
    let size = words.len().div_ceil(2);
    let half = if sample.is_multiple_of(2) { &words[..size] } else { &words[words.len() - size..] };
    half.join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::half;

    #[test]
    fn halves_share_the_middle_word() {
        assert_eq!(half(" one two\n\nthree four five ", 0), "one two three");
        assert_eq!(half(" one two\n\nthree four five ", 3), "three four five");
        assert_eq!(half("one two", 1), "two");
        assert_eq!(half("word", 1), "word");
    }

    proptest! {
        #[test]
        fn half_of_a_prompt_with_text_has_text(prompt in "[ab \n]{0,30}", sample in 0_usize..4) {
            prop_assert_eq!(half(&prompt, sample).is_empty(), prompt.trim().is_empty());
        }
    }
}
