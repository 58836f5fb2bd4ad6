//! How a record becomes a prompt: text or chat, with few-shot examples before it.

use lancer_backend::{Continuation, Ending, Message, Prompt};
use serde::Deserialize;

use crate::{
    EvalError,
    record::Record,
    template::{Template, constant_or_template},
};

/// Whether a model reads plain text or turns of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptFormat {
    /// Plain text that the model continues, as lm-evaluation-harness does by default.
    Text,
    /// A user turn after which the model's turn is open; few-shot examples are turns before it.
    Chat,
}

/// The `[prompt]` section of a task file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptSettings {
    /// Text or chat.
    pub format: PromptFormat,
    /// The question, a template over the fields of a record.
    pub template: Template,
    /// What stands between question and answer in the text format; not used in a chat.
    #[serde(default = "space")]
    pub delimiter: String,
    /// Standing instructions: the chat's first message, or the text's beginning with an empty line after it. A template
    /// over the fields of the item's record, which may use none.
    #[serde(default, deserialize_with = "constant_or_template")]
    pub system: Option<Template>,
}

fn space() -> String {
    " ".into()
}

/// A question with its answer, shown before the item's own.
pub(crate) struct Shot {
    pub(crate) question: String,
    pub(crate) answer: String,
}

impl PromptSettings {
    /// The prompt of a record.
    pub(crate) fn build(
        &self,
        shots: &[Shot],
        separator: &str,
        record: &Record,
    ) -> Result<Prompt, EvalError> {
        let question = record.render("prompt.template", &self.template)?;
        let system = self.system.as_ref().map(|system| record.render("prompt.system", system)).transpose()?;
        Ok(match self.format {
            PromptFormat::Text => {
                let mut text = system.map(|system| system + "\n\n").unwrap_or_default();
                for shot in shots {
                    text.extend([&shot.question, &self.delimiter, &shot.answer, separator]);
                }
                Prompt::Text(text + &question)
            }
            PromptFormat::Chat => {
                let mut messages: Vec<Message> = system.iter().map(Message::system).collect();
                for shot in shots {
                    messages.push(Message::user(&shot.question));
                    messages.push(Message::assistant(&shot.answer));
                }
                messages.push(Message::user(question));
                Prompt::chat(messages)
            }
        })
    }

    /// What is scored after the prompt.
    pub(crate) fn continuation(&self, text: &str, ending: Ending) -> Continuation {
        let text = match self.format {
            PromptFormat::Text => format!("{}{text}", self.delimiter),
            PromptFormat::Chat => text.into(),
        };
        Continuation { text, ending }
    }
}
