//! A model on disk: a GGUF file or a Hugging Face folder, read the same way.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Adapter, ChatTemplate, Config, Head, ModelError, StoredMatrix, Tensor, Tokenizer,
    config::{GgufDescription, ROPE_FREQS},
    gguf::{GgufFile, Value},
    gguf_weights,
    mapped::Maps,
    names,
    safetensors_file::SafetensorsFiles,
};

/// A model on disk. Its weights are read one tensor at a time, by their Hugging Face names and in Hugging Face's
/// layout, whatever the file. It may have an adapter over it ([`Adapter`]).
#[derive(Debug)]
pub struct Model {
    path: PathBuf,
    config: Config,
    tokenizer: Tokenizer,
    chat_template: Option<ChatTemplate>,
    weights: Weights,
    maps: Maps,
    adapter: Option<OpenAdapter>,
}

/// An adapter over a model's own weights, and where it is.
#[derive(Debug)]
struct OpenAdapter {
    path: PathBuf,
    adapter: Adapter,
}

/// The tensors of the head and of the embedding.
const HEAD: &str = "lm_head.weight";
const EMBEDDING: &str = "model.embed_tokens.weight";

#[derive(Debug)]
enum Weights {
    Gguf(GgufFile),
    Safetensors(SafetensorsFiles),
}

impl Model {
    /// Opens a `.gguf` file, or a folder with `config.json`, `tokenizer.json`, `tokenizer_config.json` and
    /// `model.safetensors` (or its index), and checks that every tensor is there in its shape. An adapter is opened with the
    /// base that it names.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        if !Adapter::is_at(path) {
            return Self::open_base(path);
        }
        let base = Adapter::base_of(path)?.ok_or_else(|| ModelError::Adapter {
            path: path.into(),
            reason: "it does not say over which base it was trained; give the base as the model, and it as the adapter".into(),
        })?;
        if !base.path.exists() {
            let reason = format!(
                "its base {} is not there; give the base as the model, and it as the adapter",
                base.path.display()
            );
            return Err(ModelError::Adapter { path: path.into(), reason });
        }
        Self::open_base(&base.path)?.with_adapter(path)
    }

    /// The model with an adapter over it, which is checked to be of this base. It is then opened as the adapter's path would be.
    pub fn with_adapter(mut self, path: &Path) -> Result<Self, ModelError> {
        if let Some(known) = &self.adapter {
            let reason =
                format!("the model has the adapter {} already; merge that first", known.path.display());
            return Err(ModelError::Adapter { path: path.into(), reason });
        }
        let adapter = Adapter::open(path, &self.config)?;
        if let Some(base) = &adapter.base {
            base.check(&self.path, path)?;
        }
        self.adapter = Some(OpenAdapter { path: path.into(), adapter });
        Ok(self)
    }

    /// The model with an adapter that is in memory over its base, such as one that was trained, in place of its own.
    pub fn adapted(self, adapter: Adapter) -> Result<Self, ModelError> {
        let path = self.path().to_owned();
        adapter.check(&path, &self.config)?;
        Ok(Self { adapter: Some(OpenAdapter { path, adapter }), ..self })
    }

    fn open_base(path: &Path) -> Result<Self, ModelError> {
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
        let rows = model.config.vocab_size;
        if let [(token, id), ..] = &model.tokenizer.beyond(rows)[..] {
            let reason = format!(
                "its token `{token}` has the number {id}, and the embedding has {rows} rows; give the model an embedding with a row \
                 for each token, or take the token out of tokenizer.json"
            );
            return Err(ModelError::Tokenizer { path: path.into(), reason });
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
        Ok(Self::new(path, config, tokenizer, chat_template, Weights::Gguf(file)))
    }

    fn open_folder(path: &Path) -> Result<Self, ModelError> {
        let config_path = path.join("config.json");
        let config = Config::from_json(&config_path, &read(&config_path)?)?;
        let tokenizer = Tokenizer::from_folder(path)?;
        let chat_template = ChatTemplate::from_folder(path, &tokenizer)?;
        let tokenizer = tokenizer.ending_turns_as(chat_template.as_ref());
        let files = SafetensorsFiles::open(path)?;
        let head = if config.head == Head::Tied && files.shape(HEAD).is_some() {
            let is_embedding = files.tensor(path, HEAD)?.data == files.tensor(path, EMBEDDING)?.data;
            if is_embedding { Head::Tied } else { Head::Separate }
        } else {
            config.head
        };
        let config = Config { head, ..config };
        Ok(Self::new(path, config, tokenizer, chat_template, Weights::Safetensors(files)))
    }

    fn new(
        path: &Path,
        config: Config,
        tokenizer: Tokenizer,
        chat_template: Option<ChatTemplate>,
        weights: Weights,
    ) -> Self {
        let (path, maps, adapter) = (path.into(), Maps::default(), None);
        Self { path, config, tokenizer, chat_template, weights, maps, adapter }
    }

    /// The file or folder; that of the adapter, where there is one.
    pub fn path(&self) -> &Path {
        self.adapter.as_ref().map_or(&self.path, |adapter| &adapter.path)
    }

    /// The file or folder of the base: of the model's own weights.
    pub fn base_path(&self) -> &Path {
        &self.path
    }

    /// The adapter over its own weights, where there is one.
    pub fn adapter(&self) -> Option<&Adapter> {
        self.adapter.as_ref().map(|open| &open.adapter)
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

    /// The names, in the file, of tensors that are no part of the model as its configuration describes it: nothing is computed with
    /// them, and what is written from the model lacks them.
    pub fn unused_tensors(&self) -> Vec<String> {
        let used = self.tensor_names();
        let found: Vec<String> = match &self.weights {
            Weights::Safetensors(files) => files.names().map(str::to_owned).collect(),
            Weights::Gguf(file) => file.tensors().keys().cloned().collect(),
        };
        let in_file: HashSet<String> = match &self.weights {
            Weights::Safetensors(_) => used.into_iter().collect(),
            Weights::Gguf(_) => used.iter().filter_map(|name| names::to_gguf(name, &self.config)).collect(),
        };
        let is_used = |name: &String| {
            in_file.contains(name)
                || name == ROPE_FREQS
                || name.ends_with("rotary_emb.inv_freq")
                || (name == HEAD && self.config.head == Head::Tied)
        };
        found.into_iter().filter(|name| !is_used(name)).collect()
    }

    /// Reads a tensor by its Hugging Face name, such as `model.layers.0.self_attn.q_proj.weight`, with the adapter added to it
    /// where there is one.
    pub fn tensor(&self, name: &str) -> Result<Tensor, ModelError> {
        let mut tensor = self.base_tensor(name)?;
        if let Some(adapter) = self.adapter() {
            adapter.merge_into(name, &mut tensor);
        }
        Ok(tensor)
    }

    /// The matrix of this Hugging Face name as it is in the base's file, mapped into memory.
    pub fn stored(&self, name: &str) -> Result<StoredMatrix, ModelError> {
        let stored = match &self.weights {
            Weights::Safetensors(files) => files.stored(name),
            Weights::Gguf(file) => names::to_gguf(name, &self.config)
                .and_then(|gguf| file.stored(&gguf, gguf_weights::order(name, &self.config))),
        };
        let stored =
            stored.ok_or_else(|| ModelError::NoTensor { path: self.path.clone(), tensor: name.into() })?;
        self.maps.matrix(name, &stored)
    }

    /// Reads a tensor of the base, without the adapter.
    pub fn base_tensor(&self, name: &str) -> Result<Tensor, ModelError> {
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
