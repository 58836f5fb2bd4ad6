//! The model's own tokenizer and chat template, from files beside this program: prompts are tokens before a server sees them.

use std::{error::Error, fs, path::Path};

use lancer_backend::{Conversation, Grammars, Opened, TokenId, Tokenizer};
use lancer_model::{ChatInput, ChatTemplate, GenerationPrompt, Model, ModelError, SpecialTokens};

/// A model's tokenizer and chat template, and what its configuration says of its size.
pub(crate) struct Vocabulary {
    tokenizer: lancer_model::Tokenizer,
    chat_template: Option<ChatTemplate>,
    size: usize,
    context_length: Option<usize>,
    grammars: Grammars,
}

impl Vocabulary {
    /// Reads a GGUF file, or a folder with `tokenizer.json` and `tokenizer_config.json`; the folder's weights are not read
    /// and need not be there.
    pub(crate) fn load(path: &Path) -> Result<Self, ModelError> {
        if path.is_dir() {
            let tokenizer = lancer_model::Tokenizer::from_folder(path)?;
            let chat_template = ChatTemplate::from_folder(path, &tokenizer)?;
            let tokenizer = tokenizer.ending_turns_as(chat_template.as_ref());
            let config = fs::read(path.join("config.json")).unwrap_or_default();
            let config: serde_json::Value = serde_json::from_slice(&config).unwrap_or_default();
            let number = |name: &str| config[name].as_u64().map(|number| number as usize);
            let size = number("vocab_size").unwrap_or_default().max(tokenizer.vocab_size());
            let context_length = number("max_position_embeddings");
            return Ok(Self {
                tokenizer,
                chat_template,
                size,
                context_length,
                grammars: Grammars::default(),
            });
        }
        let model = Model::open(path)?;
        Ok(Self {
            tokenizer: model.tokenizer().clone(),
            chat_template: model.chat_template().cloned(),
            size: model.config().vocab_size.max(model.tokenizer().vocab_size()),
            context_length: Some(model.config().context_length),
            grammars: Grammars::default(),
        })
    }

    /// The longest sequence that the model was trained for, where its configuration says.
    pub(crate) fn context_length(&self) -> Option<usize> {
        self.context_length
    }

    /// The text of tokens, special ones left out.
    pub(crate) fn text(&self, tokens: &[TokenId]) -> String {
        let ids: Vec<u32> = tokens.iter().map(|token| token.0).collect();
        self.tokenizer.decode(&ids)
    }

    /// A chat as its template writes it, with the model's turn opened: for servers that take text alone.
    pub(crate) fn rendered(&self, chat: &Conversation) -> Result<String, ModelError> {
        let template = self.chat_template.as_ref().ok_or(ModelError::NoChatTemplate)?;
        let chat = ChatInput { tools: &chat.tools, ..ChatInput::new(&chat.messages, GenerationPrompt::Open) };
        Ok(template.render(&chat)?.text)
    }
}

impl Vocabulary {
    /// All tokens that end the model's turn or its text.
    pub(crate) fn end_tokens(&self) -> &[u32] {
        self.tokenizer.end_tokens()
    }
}

impl Tokenizer for Vocabulary {
    fn chat(&self, chat: &Conversation, what: Opened) -> Result<Vec<TokenId>, Box<dyn Error + Send + Sync>> {
        let generation = match what {
            Opened::Turn => GenerationPrompt::Open,
            Opened::Answer => GenerationPrompt::Answer,
        };
        let chat = ChatInput { tools: &chat.tools, ..ChatInput::new(&chat.messages, generation) };
        let ids = self.tokenizer.encode_chat(self.chat_template.as_ref(), &chat)?;
        Ok(ids.into_iter().map(TokenId).collect())
    }

    fn plain(&self, text: &str) -> Vec<TokenId> {
        self.tokenizer.encode(text, SpecialTokens::AsText).into_iter().map(TokenId).collect()
    }

    fn document(&self, text: &str) -> Vec<TokenId> {
        self.tokenizer.encode_document(text).into_iter().map(TokenId).collect()
    }

    fn bytes(&self, token: TokenId) -> Vec<u8> {
        self.tokenizer.bytes(token.0)
    }

    fn end_of_turn(&self) -> TokenId {
        TokenId(self.tokenizer.end_of_turn())
    }

    fn ends(&self, token: TokenId) -> bool {
        self.tokenizer.ends(token.0)
    }

    fn vocabulary(&self) -> usize {
        self.size
    }

    fn grammars(&self) -> &Grammars {
        &self.grammars
    }

    fn beginning_of_text(&self) -> Option<TokenId> {
        self.tokenizer.beginning_of_text().map(TokenId)
    }
}
