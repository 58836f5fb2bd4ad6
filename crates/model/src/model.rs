//! A model on disk: a GGUF file or a Hugging Face folder, read the same way.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    ChatTemplate, Config, Head, ModelError, Tensor, Tokenizer,
    config::{GgufDescription, ROPE_FREQS},
    gguf::{GgufFile, Value},
    gguf_weights, names,
    safetensors_file::SafetensorsFiles,
};

/// A model on disk. Its weights are read one tensor at a time, by their Hugging Face names and in Hugging Face's
/// layout, whatever the file.
#[derive(Debug)]
pub struct Model {
    path: PathBuf,
    config: Config,
    tokenizer: Tokenizer,
    chat_template: Option<ChatTemplate>,
    weights: Weights,
}

#[derive(Debug)]
enum Weights {
    Gguf(GgufFile),
    Safetensors(SafetensorsFiles),
}

impl Model {
    /// Opens a `.gguf` file, or a folder with `config.json`, `tokenizer.json`, `tokenizer_config.json` and
    /// `model.safetensors` (or its index), and checks that every tensor is there in its shape.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let model = if path.is_dir() { Self::open_folder(path)? } else { Self::open_gguf(path)? };
        for (name, part) in names::all(&model.config) {
            let Some(expected) = model.config.tensor_shape(part) else { continue };
            match model.shape(&name) {
                Some(found) if found == expected => {}
                Some(found) => {
                    let reason =
                        format!("its shape is {found:?}, where the configuration asks for {expected:?}");
                    return Err(ModelError::Tensor { path: path.into(), tensor: name, reason });
                }
                None => return Err(ModelError::NoTensor { path: path.into(), tensor: name }),
            }
        }
        Ok(model)
    }

    fn open_gguf(path: &Path) -> Result<Self, ModelError> {
        let file = GgufFile::open(path)?;
        file.check()?;
        let embedding = file
            .tensors()
            .get("token_embd.weight")
            .ok_or_else(|| ModelError::NoTensor { path: path.into(), tensor: "token_embd.weight".into() })?;
        let head = if file.tensors().contains_key("output.weight") { Head::Separate } else { Head::Tied };
        let has_rope_freqs = file.tensors().contains_key(ROPE_FREQS);
        let rope_freqs = has_rope_freqs.then(|| file.tensor(ROPE_FREQS)).transpose()?;
        let description = GgufDescription {
            vocab_size: embedding.shape[0],
            head,
            rope_freqs: rope_freqs.map(|tensor| tensor.data),
        };
        let config = Config::from_gguf(path, file.metadata(), &description)?;
        let tokenizer = Tokenizer::from_gguf(path, file.metadata())?;
        let chat_template = ChatTemplate::from_gguf(
            &|key| match file.metadata().get(key) {
                Some(Value::String(text)) => vec![text.clone()],
                Some(Value::Array(_)) => {
                    let texts = file.metadata().texts(path, key).ok().flatten().unwrap_or_default();
                    texts.into_iter().map(String::from).collect()
                }
                _ => Vec::new(),
            },
            tokenizer.bos_token(),
            tokenizer.eos_token(),
        );
        let tokenizer = tokenizer.ending_turns_as(chat_template.as_ref());
        Ok(Self { path: path.into(), config, tokenizer, chat_template, weights: Weights::Gguf(file) })
    }

    fn open_folder(path: &Path) -> Result<Self, ModelError> {
        let config_path = path.join("config.json");
        let config = Config::from_json(&config_path, &read(&config_path)?)?;
        let tokenizer = Tokenizer::from_folder(path)?;
        let chat_template = ChatTemplate::from_folder(path, &tokenizer)?;
        let tokenizer = tokenizer.ending_turns_as(chat_template.as_ref());
        let weights = Weights::Safetensors(SafetensorsFiles::open(path)?);
        Ok(Self { path: path.into(), config, tokenizer, chat_template, weights })
    }

    /// The file or folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The model's shape.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Its chat template, where it has one.
    pub fn chat_template(&self) -> Option<&ChatTemplate> {
        self.chat_template.as_ref()
    }

    /// The Hugging Face names of all tensors.
    pub fn tensor_names(&self) -> Vec<String> {
        names::all(&self.config)
            .filter(|(_, part)| self.config.tensor_shape(part).is_some())
            .map(|(name, _)| name)
            .collect()
    }

    /// Reads a tensor by its Hugging Face name, such as `model.layers.0.self_attn.q_proj.weight`.
    pub fn tensor(&self, name: &str) -> Result<Tensor, ModelError> {
        match &self.weights {
            Weights::Safetensors(files) => files.tensor(&self.path, name),
            Weights::Gguf(file) => {
                let gguf = names::to_gguf(name, &self.config)
                    .ok_or_else(|| ModelError::NoTensor { path: self.path.clone(), tensor: name.into() })?;
                Ok(gguf_weights::read(file.tensor(&gguf)?, name, &self.config))
            }
        }
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        match &self.weights {
            Weights::Safetensors(files) => files.shape(name),
            Weights::Gguf(file) => {
                file.tensors().get(&names::to_gguf(name, &self.config)?).map(|info| info.shape.as_slice())
            }
        }
    }
}

fn read(path: &Path) -> Result<String, ModelError> {
    fs::read_to_string(path).map_err(|source| ModelError::Io { path: path.into(), action: "read", source })
}
