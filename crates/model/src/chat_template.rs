//! Chat templates: the Jinja text in a model's files that turns messages into the text the model was trained on.
//!
//! They are rendered as transformers does: blocks trimmed, `raise_exception` at hand, Python's string methods
//! understood, `bos_token` and `eos_token` given. Steps, memory and output are bounded: a template is a program in a file
//! from somebody else.

use std::{fs, path::Path};

use lancer_jinja::{Template, environment};
use minijinja::{Error, ErrorKind, context};
use serde::{Deserialize, Serialize};

use crate::{ModelError, Tokenizer};

/// Whether the model's turn is opened after the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GenerationPrompt {
    /// Opened, for the model to write.
    Open,
    /// Not opened.
    None,
}

/// A compiled chat template.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    template: Template,
    source: String,
    bos_token: String,
    eos_token: String,
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'a str,
    content: &'a str,
}

/// A template may stand in `tokenizer_config.json`.
#[derive(Deserialize)]
struct TokenizerJson {
    chat_template: Option<String>,
}

impl ChatTemplate {
    /// The template of a Hugging Face folder: `chat_template.jinja`, or what `tokenizer_config.json` says; `None` without
    /// one.
    pub fn from_folder(folder: &Path, tokenizer: &Tokenizer) -> Result<Option<Self>, ModelError> {
        let read = |path: &Path| {
            fs::read_to_string(path).map_err(|source| ModelError::Io {
                path: path.into(),
                action: "read",
                source,
            })
        };
        let file = folder.join("chat_template.jinja");
        let source = if file.exists() {
            Some(read(&file)?)
        } else {
            let file = folder.join("tokenizer_config.json");
            let json: TokenizerJson = serde_json::from_str(&read(&file)?)
                .map_err(|error| ModelError::Config { path: file, reason: error.to_string() })?;
            json.chat_template
        };
        source.map(|source| Self::new(&source, tokenizer.bos_token(), tokenizer.eos_token())).transpose()
    }

    /// Compiles a template. The tokens are the texts of the beginning-of-text and end-of-text tokens, empty where the
    /// model has none.
    pub fn new(source: &str, bos_token: &str, eos_token: &str) -> Result<Self, ModelError> {
        let mut environment = environment();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        Ok(Self {
            template: Template::new(environment, source).map_err(refused)?,
            source: source.into(),
            bos_token: bos_token.into(),
            eos_token: eos_token.into(),
        })
    }

    /// The template's text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What the template sets after a response: the text of the token that ends the model's turn comes first, where it has
    /// one. `None` where the template takes no such chat.
    pub fn after_response(&self) -> Option<String> {
        const RESPONSE: &str = "An answer.";
        let chat = [("user", "A question."), ("assistant", RESPONSE)];
        let text = self.render(&chat, GenerationPrompt::None).ok()?;
        text.rsplit_once(RESPONSE).map(|(_, after)| after.to_owned())
    }

    /// Renders `(role, content)` turns; roles are `system`, `user` and `assistant`.
    pub fn render(
        &self,
        messages: &[(&str, &str)],
        generation: GenerationPrompt,
    ) -> Result<String, ModelError> {
        let messages: Vec<Turn<'_>> =
            messages.iter().map(|&(role, content)| Turn { role, content }).collect();
        self.template
            .render(context! {
                messages,
                add_generation_prompt => generation == GenerationPrompt::Open,
                bos_token => self.bos_token,
                eos_token => self.eos_token,
            })
            .map_err(refused)
    }
}

fn refused(error: Error) -> ModelError {
    ModelError::ChatTemplate { reason: error.to_string(), source: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHATML: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}\
        {{ '<|im_start|>system\nYou are helpful.<|im_end|>\n' }}{% endif %}\
        {{'<|im_start|>' + message['role'] + '\n' + message['content'].strip() + '<|im_end|>' + '\n'}}{% endfor %}\
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    #[test]
    fn chatml_is_rendered() {
        let template = ChatTemplate::new(CHATML, "<|im_start|>", "<|im_end|>").unwrap();
        let text = template.render(&[("user", " Hello ")], GenerationPrompt::Open).unwrap();
        assert_eq!(
            text,
            "<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
        );
        let closed = template.render(&[("user", "Hello")], GenerationPrompt::None).unwrap();
        assert!(closed.ends_with("Hello<|im_end|>\n"));
        assert_eq!(template.after_response().unwrap(), "<|im_end|>\n");
    }

    #[test]
    fn a_template_may_refuse_a_chat() {
        let template = ChatTemplate::new("{{ raise_exception('no system turn, please') }}", "", "").unwrap();
        let error = template.render(&[("system", "x")], GenerationPrompt::Open).unwrap_err();
        assert!(error.to_string().contains("no system turn, please"), "{error}");
    }

    #[test]
    fn a_broken_template_is_named() {
        let error = ChatTemplate::new("{% for %}", "", "").unwrap_err();
        assert!(matches!(error, ModelError::ChatTemplate { .. }));
    }
}
