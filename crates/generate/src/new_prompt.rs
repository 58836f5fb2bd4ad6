//! New prompts: how they are asked for, and what counts as one.
//!
//! A small model given an instruction about instructions talks about the instruction. What it can do is go on with a list:
//! the style [`PromptStyle::Examples`] shows it prompts, one on each line, and the first word of the next one. That word
//! is taken from one of the prompts shown, and keeps the model to tasks and questions. A prompt of several lines is shown
//! as one line, so nothing in an example can look like the end of the list.

use lancer_backend::{Message, Prompt, Seed, answer_of};

use crate::{
    GenerateSettings, PromptStyle, Source, Unusable,
    asked::Asked,
    examples,
    marks::neutralise,
    words::{near_equal, repetitive, words},
};

/// A prompt of fewer words asks for nothing.
const FEWEST_WORDS: usize = 3;

/// What announces text that is to come. A prompt that has one of these, and nothing after it, is not complete.
const ANNOUNCEMENTS: [&str; 12] = [
    "the following",
    "the given",
    "given the",
    "given a",
    "below",
    "the text",
    "the list",
    "these sentences",
    "this sentence",
    "this information",
    "the article",
    "the passage",
];

/// What stands above the list of prompts.
const HEADING: &str = "Tasks for an AI assistant, one on each line, all different:";

/// The prompts from which a source's new ones are written.
pub(crate) struct Shown {
    style: PromptStyle,
    max_chars: usize,
    /// The beginning of the system prompt under which the new prompts are to be, on one line.
    system: Option<String>,
    /// The source's prompt first.
    prompts: Vec<String>,
}

impl Shown {
    /// The source's prompt, and examples drawn from `pool` by `seed` where the style shows some.
    pub(crate) fn new(source: &Source, pool: &[Source], settings: &GenerateSettings, seed: Seed) -> Self {
        let style = settings.prompt_style;
        let mut prompts = vec![source.opening().trim().to_owned()];
        if style != PromptStyle::Instructed {
            let examples =
                examples::choose(pool, source, settings.examples, settings.max_example_chars, seed);
            prompts.extend(examples.iter().map(|example| example.opening().to_owned()));
        }
        let system = source.chat.system().map(|system| one_line(system, settings.max_example_chars));
        Self { style, max_chars: settings.max_example_chars, system, prompts }
    }

    /// The request for the sample of a number.
    pub(crate) fn ask(&self, sample: usize) -> Asked {
        let source = &self.prompts[0]; // `new` put it there.
        if self.style == PromptStyle::Instructed {
            let text = format!(
                "Here is a task that someone gave to an AI assistant{}.\n\n<task>\n{}\n</task>\n\nWrite one new task in the \
                 same spirit: of the same kind, but about something else. It must be complete in itself. Write only the \
                 task.",
                self.system.as_ref().map_or_else(String::new, |system| {
                    format!(" that has these instructions: {}", neutralise(system.trim_end_matches('.')))
                }),
                neutralise(source)
            );
            return Asked::turn(vec![Message::user(text)]);
        }
        let opening = opening(&self.prompts[self.opened_by(sample)]).unwrap_or_default();
        // The source's stands last: a small model goes on from what it has just read.
        let lines = self.prompts.iter().rev().map(|prompt| one_line(prompt, self.max_chars));
        let numbered: Vec<String> = lines
            .chain([opening.clone()])
            .enumerate()
            .map(|(place, line)| format!("\n{}. {line}", place + 1))
            .collect();
        let told = self
            .system
            .as_ref()
            .map_or_else(String::new, |system| format!("The assistant has these instructions: {system}\n\n"));
        let text = format!("{told}{HEADING}\n{}", numbered.concat());
        Asked { prompt: Prompt::text(text.trim_end()), opening, stop: vec!["\n".into()] }
    }

    /// Which of the prompts gives a sample its first word: the source's every other time, since what begins alike is of
    /// a kind, and the examples' in turn, for variety.
    fn opened_by(&self, sample: usize) -> usize {
        let examples = self.prompts.len() - 1;
        if sample.is_multiple_of(2) || examples == 0 { 0 } else { 1 + sample / 2 % examples }
    }

    /// The new prompt in what the model wrote after `opening`.
    pub(crate) fn read(&self, opening: &str, text: &str) -> Result<String, Unusable> {
        let text = if opening.is_empty() { answer_of(text) } else { text }.trim_end();
        let text = if opening.is_empty() { inside_tags(text).to_owned() } else { format!("{opening}{text}") };
        let text = text.trim();
        let words = words(text);
        if words.is_empty() || words.len() == self::words(opening).len() {
            Err(Unusable::Empty)
        } else if self.prompts.iter().any(|prompt| near_equal(prompt, text)) {
            Err(Unusable::Echo)
        } else if repetitive(text) {
            Err(Unusable::Repetitive)
        } else if words.len() < FEWEST_WORDS || !complete(text) {
            Err(Unusable::NotATask)
        } else {
            Ok(text.to_owned())
        }
    }
}

/// A prompt on one line. Where that is longer than `max_chars` characters, only the first paragraph, and of that as many
/// whole words as fit, at least one.
fn one_line(prompt: &str, max_chars: usize) -> String {
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = flat(prompt);
    if line.chars().count() <= max_chars {
        return line;
    }
    let mut line = String::new();
    for word in prompt.trim().split("\n\n").next().unwrap_or_default().split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > max_chars {
            break;
        }
        line.extend([if line.is_empty() { "" } else { " " }, word]);
    }
    line
}

/// The first word of a prompt, if it is one: two letters or more, perhaps an apostrophe, nothing else. After a single one,
/// such as "I" or "A", a statement follows more often than a task.
fn opening(prompt: &str) -> Option<String> {
    let word = prompt.split_whitespace().next()?;
    let is_word = |character: char| character.is_alphabetic() || matches!(character, '\'' | '’');
    (word.chars().nth(1).is_some() && word.chars().all(is_word)).then(|| word.to_owned())
}

/// What stands between `<task>` and `</task>` where the model has copied the tags.
fn inside_tags(text: &str) -> &str {
    let text = text.split_once("<task>").map_or(text, |(_, after)| after);
    text.split_once("</task>").map_or(text, |(before, _)| before)
}

/// Whether a prompt has what it speaks of. Knows English announcements; a prompt in another language passes.
fn complete(text: &str) -> bool {
    if text.ends_with([':', ',', ';', '(', '-']) || text.matches('"').count() % 2 == 1 {
        return false;
    }
    let lower = text.to_lowercase();
    let announces = ANNOUNCEMENTS.iter().any(|announcement| lower.contains(announcement));
    // The announced text comes after a colon, a full stop or a line break, or within quotation marks or brackets.
    let inside = lower.trim_end_matches(['.', '?', '!']);
    !announces || inside.contains([':', '.', '?', '!', '\n', '"', '“', '[', '('])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{complete, one_line, opening};

    #[test]
    fn only_a_word_opens_a_prompt() {
        assert_eq!(opening(" What's a fjord?").as_deref(), Some("What's"));
        for prompt in ["2 + 2 = ?", "I feel lonely.", "\"Quoted\" text", "", "Name: Ada"] {
            assert_eq!(opening(prompt), None, "{prompt}");
        }
    }

    #[test]
    fn a_prompt_that_lacks_what_it_speaks_of_is_not_complete() {
        for text in [
            "Correct the following sentence.",
            "Which of the following products are good for your brain?",
            "Choose a person from the list. Confucius, Michelangelo,",
            "What does \"fragile mean?",
            "Translate into German:",
        ] {
            assert!(!complete(text), "{text}");
        }
        for text in [
            "Correct this sentence: \"I has a dog.\"",
            "Sort the list [3, 1, 2].",
            "Is the following sentence true? Cows eat grass.",
            "What is the capital of France?",
        ] {
            assert!(complete(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn one_line_has_one_line_and_fits(prompt in "[a-c \n\r\u{2028}]{1,80}", max_chars in 5_usize..40) {
            let line = one_line(&prompt, max_chars);
            let separator = '\u{2028}';
            prop_assert!(line.lines().count() <= 1 && !line.contains(separator));
            let longest = prompt.split_whitespace().map(str::len).max().unwrap_or(0);
            prop_assert!(line.len() <= max_chars.max(longest), "{line}");
            let words: Vec<&str> = prompt.split_whitespace().collect();
            let kept: Vec<&str> = line.split_whitespace().collect();
            prop_assert!(words.starts_with(&kept));
        }
    }
}
