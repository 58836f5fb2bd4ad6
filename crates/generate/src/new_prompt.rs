//! New prompts: how they are asked for, and what counts as one.

use lancer_backend::{Message, Prompt, Seed};

use crate::{
    GenerateSettings, PromptStyle, Source, Unusable, examples, special_tokens::neutralise, words::near_equal,
    words::words,
};

/// The chat in which a new prompt is written, and the prompts that it shows. `seed` decides which examples those are.
pub(crate) fn ask(
    source: &Source,
    pool: &[Source],
    settings: &GenerateSettings,
    seed: Seed,
) -> (Prompt, Vec<String>) {
    let mut shown: Vec<String> = Vec::new();
    let messages = if settings.prompt_style == PromptStyle::Instructed {
        vec![Message::user(format!(
            "Here is a task that someone gave to an AI assistant.\n\n<task>\n{}\n</task>\n\nWrite one new task in the \
             same spirit: of the same kind, but about something else. It must be complete in itself. Write only the \
             task.",
            neutralise(source.prompt.trim())
        ))]
    } else {
        let examples = examples::choose(pool, source, settings.examples, settings.max_example_chars, seed);
        shown.extend(examples.iter().map(|example| example.prompt.clone()));
        conversation(shown.iter().map(String::as_str).chain([source.prompt.as_str()]))
    };
    shown.push(source.prompt.clone());
    (Prompt::Chat(messages), shown)
}

/// A chat in which the model has written each of `prompts` and is asked for one more.
fn conversation<'a>(prompts: impl Iterator<Item = &'a str>) -> Vec<Message> {
    let mut messages = vec![Message::user("Write a task for an AI assistant.")];
    for prompt in prompts {
        messages.push(Message::assistant(neutralise(prompt.trim())));
        messages.push(Message::user("Write another task."));
    }
    messages
}

/// The new prompt in what the model wrote.
pub(crate) fn read(text: &str, shown: &[String]) -> Result<String, Unusable> {
    let text = text.trim();
    let words = words(text).len();
    if words == 0 {
        return Err(Unusable::Empty);
    }
    if shown.iter().any(|prompt| near_equal(prompt, text)) {
        return Err(Unusable::Echo);
    }
    if text.ends_with(':') {
        return Err(Unusable::NotATask);
    }
    Ok(text.to_owned())
}
