//! Files of models.

use std::{fs, path::Path};

use lancer_core::Message;
use lancer_model::{
    ChatInput, ChatTemplate, Config, ConvertFormat, GenerationPrompt, Model, ModelError, SpecialTokens,
    Tokenizer, convert,
};

use serde_json::json;

use super::{file, fixture, outcome};
use crate::outcome::Outcome;

/// Text with something of everything.
const TEXT: &str = "Hello, wörld 123! \u{1f44b}\u{200d} <s> <|im_end|>\n\t  hellhello";

const FAMILIES: [&str; 6] =
    ["tiny-llama", "tiny-llama3", "tiny-mistral", "tiny-qwen2", "tiny-qwen3", "tiny-gemma3"];

/// Opens a GGUF file as `convert` and training do.
pub(super) fn gguf(input: &[u8], folder: &Path) -> Outcome {
    let path = match file(folder, "model.gguf", input) {
        Ok(path) => path,
        Err(outcome) => return outcome,
    };
    outcome(Model::open(&path).and_then(|model| {
        let text = used(&model)?;
        let again = folder.join("again.gguf");
        convert(&model, &again, ConvertFormat::F32)?;
        Model::open(&again)?;
        Ok(text)
    }))
}

/// What a model is asked for.
fn used(model: &Model) -> Result<String, ModelError> {
    let tokens = tokens(model.tokenizer());
    let rendered = model.chat_template().map(chats);
    for name in model.tensor_names() {
        model.tensor(&name)?;
    }
    Ok(format!("{:?} {tokens} tokens, chats {rendered:?}", model.config().family))
}

fn tokens(tokenizer: &Tokenizer) -> usize {
    let tokens = tokenizer.encode(TEXT, SpecialTokens::Recognised);
    tokenizer.decode(&tokens);
    for &token in tokens.iter().chain(&[0, 1, tokenizer.end_of_turn(), u32::MAX]) {
        tokenizer.bytes(token);
    }
    tokenizer.encode_document(TEXT).len() + tokenizer.encode(&TEXT.repeat(100), SpecialTokens::AsText).len()
}

fn chats(template: &ChatTemplate) -> Vec<Result<usize, String>> {
    let long = TEXT.repeat(200);
    let chats = [
        vec![Message::user(TEXT)],
        vec![Message::system(TEXT), Message::user(TEXT), Message::assistant(TEXT), Message::user(&*long)],
        vec![Message::assistant("")],
        vec![],
    ];
    template.after_response();
    let tools =
        [json!({"type": "function", "function": {"name": TEXT, "parameters": {"a": [1, 0.5, null]}}})];
    let render = |messages: &Vec<Message>| {
        let chat = ChatInput::new(messages, GenerationPrompt::Open);
        let text = template.render(&chat).map(|chat| chat.text.len()).map_err(|error| error.to_string())?;
        template.render(&ChatInput { tools: &tools, ..chat }).map_err(|error| error.to_string())?;
        Ok(text)
    };
    chats.iter().map(render).collect()
}

pub(super) fn template(input: &[u8], _: &Path) -> Outcome {
    let Ok(source) = str::from_utf8(input) else { return Outcome::Refused("no text".into()) };
    outcome(ChatTemplate::new(source, "<s>", "</s>").map(|template| format!("{:?}", chats(&template))))
}

pub(super) fn templates() -> Vec<Vec<u8>> {
    FAMILIES.map(|family| fixture(&format!("{family}/chat_template.jinja"))).into()
}

/// A folder of a tiny Llama with one file that is the input.
fn folder_with(folder: &Path, name: &str, input: &[u8]) -> Result<(), Outcome> {
    for other in ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
        let path = folder.join(other);
        if other != name && !path.exists() {
            fs::write(path, fixture(&format!("tiny-llama/{other}")))
                .map_err(|error| Outcome::refused(&error))?;
        }
    }
    file(folder, name, input).map(|_| ())
}

pub(super) fn tokenizer(input: &[u8], folder: &Path) -> Outcome {
    if let Err(outcome) = folder_with(folder, "tokenizer.json", input) {
        return outcome;
    }
    outcome(Tokenizer::from_folder(folder).map(|tokenizer| format!("{} tokens", tokens(&tokenizer))))
}

pub(super) fn tokenizers() -> Vec<Vec<u8>> {
    vec![fixture("tiny-llama/tokenizer.json"), fixture("tiny-gemma3/tokenizer.json")]
}

pub(super) fn tokenizer_config(input: &[u8], folder: &Path) -> Outcome {
    if let Err(outcome) = folder_with(folder, "tokenizer_config.json", input) {
        return outcome;
    }
    let read = Tokenizer::from_folder(folder).and_then(|tokenizer| {
        let template = ChatTemplate::from_folder(folder, &tokenizer)?;
        Ok(format!("{:?}", template.as_ref().map(chats)))
    });
    outcome(read)
}

pub(super) fn tokenizer_configs() -> Vec<Vec<u8>> {
    let with_template = br#"{"bos_token": {"content": "<s>"}, "eos_token": "<|im_end|>", "chat_template": "{{ bos_token }}"}"#;
    vec![fixture("tiny-llama/tokenizer_config.json"), with_template.to_vec()]
}

pub(super) fn generation_config(input: &[u8], folder: &Path) -> Outcome {
    if let Err(outcome) = folder_with(folder, "generation_config.json", input) {
        return outcome;
    }
    outcome(Tokenizer::from_folder(folder).map(|tokenizer| format!("{} ends", tokenizer.end_tokens().len())))
}

pub(super) fn generation_configs() -> Vec<Vec<u8>> {
    vec![br#"{"eos_token_id": [1, 2], "temperature": 0.6}"#.to_vec(), br#"{"eos_token_id": 2}"#.to_vec()]
}

pub(super) fn config(input: &[u8], folder: &Path) -> Outcome {
    let text = String::from_utf8_lossy(input);
    outcome(
        Config::from_json(&folder.join("config.json"), &text).map(|config| format!("{:?}", config.family)),
    )
}

pub(super) fn configs() -> Vec<Vec<u8>> {
    FAMILIES.map(|family| fixture(&format!("{family}/config.json"))).into()
}

pub(super) fn safetensors(input: &[u8], folder: &Path) -> Outcome {
    if let Err(outcome) = folder_with(folder, "model.safetensors", input) {
        return outcome;
    }
    outcome(Model::open(folder).and_then(|model| used(&model)))
}

pub(super) fn weights() -> Vec<Vec<u8>> {
    vec![fixture("tiny-llama/model.safetensors")]
}

pub(super) fn index(input: &[u8], folder: &Path) -> Outcome {
    if let Err(outcome) = folder_with(folder, "model.safetensors.index.json", input) {
        return outcome;
    }
    outcome(Model::open(folder).and_then(|model| used(&model)))
}

pub(super) fn indices() -> Vec<Vec<u8>> {
    let index =
        br#"{"metadata": {"total_size": 1}, "weight_map": {"model.norm.weight": "model.safetensors"}}"#;
    vec![index.to_vec(), br#"{"weight_map": {"a": "../model.safetensors", "b": "/dev/zero"}}"#.to_vec()]
}
