//! Chat templates: the Jinja text in a model's files that turns messages into the text the model was trained on.
//!
//! They are rendered as transformers renders them (`apply_chat_template`): with its whitespace rules, its functions and
//! filters, its tag `{% generation %}`, and Python's ways of writing values as text.

mod date;
mod forged;
mod generation_tag;
mod input;
mod json;
mod python;
mod source;
mod string_methods;
mod thought;
pub(crate) mod turns;

use std::{collections::BTreeMap, ops::Range, path::Path, sync::Arc};

use lancer_jinja::{Template, environment};
use minijinja::{Error, ErrorKind};

pub(crate) use self::source::ADDITIONAL_TEMPLATES;
use self::{forged::Piece, input::Context, source::NamedTemplates};
pub use self::{
    forged::SpecialTexts,
    input::{ChatInput, GenerationPrompt},
    turns::{EncodedConversation, ModelTurns},
};
use crate::{ModelError, SpecialTokens, Tokenizer};

/// A model's chat template. A model may have several under names of their own: the one that is called `tool_use` renders
/// chats in which tools are offered, `default` all others.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    /// The compiled templates by name, or why they do not compile, which matters to whoever renders a chat only: a model can
    /// be converted without.
    compiled: Result<BTreeMap<String, Template>, Arc<Error>>,
    source: NamedTemplates,
    bos_token: String,
    eos_token: String,
}

/// A chat as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedChat {
    /// The text.
    pub text: String,
    /// The bytes of `text` that the template marks as the model's own, in their order: what lies within its
    /// `{% generation %}` tags. Empty where the template has none.
    pub generated: Vec<Range<usize>>,
    /// What became of the system turn.
    pub system: SystemTurn,
}

/// Where the text of a chat's system turn is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SystemTurn {
    /// Where the template puts it.
    OfTemplate,
    /// Before the first user turn's text, since the template refuses a system turn.
    BeforeUser,
}

impl ChatTemplate {
    /// The templates of a Hugging Face folder: `chat_template.jinja` with those in `additional_chat_templates`, else
    /// `chat_template.json`, else what `tokenizer_config.json` says; `None` without one.
    pub fn from_folder(folder: &Path, tokenizer: &Tokenizer) -> Result<Option<Self>, ModelError> {
        let source = NamedTemplates::of_folder(folder)?;
        Ok(source.map(|source| Self::of(source, tokenizer.bos_token(), tokenizer.eos_token())))
    }

    /// The templates of a GGUF file: `tokenizer.chat_template`, and `tokenizer.chat_template.NAME` for each name in
    /// `tokenizer.chat_templates`; `None` without one. `value` gives a text or the texts of a list by its key.
    pub fn from_gguf(value: &dyn Fn(&str) -> Vec<String>, bos_token: &str, eos_token: &str) -> Option<Self> {
        NamedTemplates::of_gguf(value).map(|source| Self::of(source, bos_token, eos_token))
    }

    /// Compiles a template. The tokens are the texts of the beginning-of-text and end-of-text tokens, empty where the
    /// model has none.
    pub fn new(source: &str, bos_token: &str, eos_token: &str) -> Result<Self, ModelError> {
        let template = Self::of(NamedTemplates::one(source), bos_token, eos_token);
        template.compiled()?;
        Ok(template)
    }

    fn of(source: NamedTemplates, bos_token: &str, eos_token: &str) -> Self {
        let compiled = compile(&source).map_err(Arc::new);
        Self { compiled, source, bos_token: bos_token.into(), eos_token: eos_token.into() }
    }

    fn compiled(&self) -> Result<&BTreeMap<String, Template>, ModelError> {
        self.compiled.as_ref().map_err(|error| ModelError::ChatTemplate {
            reason: format!("it does not compile: {error}"),
            source: Box::new(Arc::clone(error)),
        })
    }

    /// The text of the template that renders chats without tools.
    pub fn source(&self) -> &str {
        self.source.default()
    }

    /// The other templates, by name.
    pub fn additional(&self) -> impl Iterator<Item = (&str, &str)> {
        let default = self.source.for_chat(false);
        self.source.named().filter(move |&(name, _)| name != default)
    }

    /// What the template sets after a response: the text of the token that ends the model's turn comes first, where it has
    /// one. `None` where the template takes no such chat.
    pub fn after_response(&self) -> Option<String> {
        const RESPONSE: &str = "An answer.";
        let chat = [lancer_core::Message::user("A question."), lancer_core::Message::assistant(RESPONSE)];
        let text = self.render(&ChatInput::new(&chat, GenerationPrompt::None)).ok()?.text;
        text.rsplit_once(RESPONSE).map(|(_, after)| after.to_owned())
    }

    /// Renders a chat. A template that refuses a system turn gets its text before the first user turn's, an empty line
    /// between ([`RenderedChat::system`] says so).
    ///
    /// # Errors
    /// [`ModelError::ChatTemplate`] with the template's own words where it refuses the chat.
    pub fn render(&self, chat: &ChatInput<'_>) -> Result<RenderedChat, ModelError> {
        let refusal = match self.render_as_it_is(chat) {
            Ok(text) => return Ok(generation_tag::unmarked(&text)),
            Err(refusal) => refusal,
        };
        let Some(messages) = input::with_system_text_in_user_turn(chat.messages) else { return Err(refusal) };
        let text = self
            .render_as_it_is(&ChatInput { messages: &messages, ..*chat })
            // What it said of the chat that the caller gave.
            .map_err(|_| refusal)?;
        Ok(RenderedChat { system: SystemTurn::BeforeUser, ..generation_tag::unmarked(&text) })
    }

    /// The tokens of a chat. `encode` gives the tokens of a piece of text; what a message holds of the texts of special
    /// tokens is given to it as plain text.
    ///
    /// # Errors
    /// Where [`render`](Self::render) has one.
    pub fn tokens(
        &self,
        chat: &ChatInput<'_>,
        special: &SpecialTexts,
        mut encode: impl FnMut(&str, SpecialTokens) -> Vec<u32>,
    ) -> Result<Vec<u32>, ModelError> {
        let messages = special.marked(chat.messages);
        let values = |values: &[serde_json::Value]| -> Vec<serde_json::Value> {
            values.iter().map(|value| special.marked_value(value)).collect()
        };
        let (tools, documents) = (values(chat.tools), values(chat.documents));
        let marked = ChatInput { messages: &messages, tools: &tools, documents: &documents, ..*chat };
        let text = self.render(&marked)?.text;
        Ok(forged::pieces(&text)
            .flat_map(|piece| match piece {
                Piece::OfTemplate(text) => encode(text, SpecialTokens::Recognised),
                Piece::Forged(text) => encode(text, SpecialTokens::AsText),
            })
            .collect())
    }

    fn render_as_it_is(&self, chat: &ChatInput<'_>) -> Result<String, ModelError> {
        let name = self.source.for_chat(!chat.tools.is_empty());
        let context = Context::new(chat, &self.bos_token, &self.eos_token);
        match self.compiled()?.get(name) {
            Some(template) => {
                let text = template.render(context).map_err(refused)?;
                Ok(if chat.generation == GenerationPrompt::Answer { thought::closed(text) } else { text })
            }
            None => Err(ModelError::NoChatTemplate),
        }
    }
}

/// Compiles the templates in an environment like the one in which transformers renders them. Steps, memory and output are
/// bounded: a template is a program in a file from somebody else.
fn compile(source: &NamedTemplates) -> Result<BTreeMap<String, Template>, Error> {
    let mut environment = environment();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_unknown_method_callback(string_methods::call);
    environment.set_formatter(|out, state, value| {
        lancer_jinja::charge_reading(state, value)?;
        let text = python::Text(value).to_string();
        lancer_jinja::charge(state, text.len())?;
        Ok(out.write_str(&text)?)
    });
    environment.add_filter("tojson", json::to_json);
    environment.add_filter("string", python::string);
    environment.add_test("iterable", python::is_iterable);
    environment.add_test("sequence", python::is_sequence);
    environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", date::strftime_now);
    environment.add_filter(generation_tag::FILTER, generation_tag::marked);
    source
        .named()
        .map(|(name, text)| {
            let template = Template::new(environment.clone(), &generation_tag::rewritten(text))?;
            Ok((name.to_owned(), template))
        })
        .collect()
}

fn refused(error: Error) -> ModelError {
    ModelError::ChatTemplate { reason: error.to_string(), source: Box::new(error) }
}
