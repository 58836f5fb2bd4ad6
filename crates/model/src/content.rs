//! The content of a model's files as a hash: two models with the same hash compute the same, wherever their files lie and
//! whenever they were written.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    str::FromStr,
};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{ModelError, adapter::BASE_NOTE};

/// A SHA-256. It is written in hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The hash of some bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The hash of a file, which `sha256sum` gives too.
    pub fn of_file(path: &Path) -> Result<Self, ModelError> {
        let failed = |action| move |source| ModelError::Io { path: path.into(), action, source };
        let mut hasher = Sha256::new();
        let mut file = File::open(path).map_err(failed("open"))?;
        io::copy(&mut file, &mut hasher).map_err(failed("read"))?;
        Ok(Self(hasher.finalize().into()))
    }

    /// The hash of a model: [`ModelContent::of`], as one number.
    pub fn of_model(path: &Path) -> Result<Self, ModelError> {
        Ok(ModelContent::of(path)?.hash())
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// A text that is no SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no SHA-256, which has 64 hexadecimal digits")]
pub struct NotAHash(String);

impl FromStr for ContentHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let wrong = || NotAHash(text.into());
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut hash = [0; 32];
        for (place, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(hash))
    }
}

impl TryFrom<String> for ContentHash {
    type Error = NotAHash;

    fn try_from(text: String) -> Result<Self, NotAHash> {
        text.parse()
    }
}

impl From<ContentHash> for String {
    fn from(hash: ContentHash) -> Self {
        hash.to_string()
    }
}

/// The files that decide what a model computes, each by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelContent {
    /// A GGUF file, which has everything in it.
    File(ContentHash),
    /// A folder's files, by their names within it: weights, configuration, generation settings, tokenizer, chat template.
    Folder(BTreeMap<String, ContentHash>),
}

impl ModelContent {
    /// Hashes the files of the model at `path`: a GGUF file, a folder, or an `.onnx` file, which belongs to a folder.
    /// What else lies in the folder (a model card, a licence, a trainer's state) decides nothing and is left out.
    pub fn of(path: &Path) -> Result<Self, ModelError> {
        match ModelFiles::of(path)? {
            ModelFiles::File(path) => ContentHash::of_file(&path).map(Self::File),
            ModelFiles::Folder(files) => files
                .into_par_iter()
                .map(|(name, path)| Ok((name, ContentHash::of_file(&path)?)))
                .collect::<Result<_, ModelError>>()
                .map(Self::Folder),
        }
    }

    /// The whole as one hash: a GGUF file's own; for a folder, the hash of its files' names and hashes in the order of the
    /// names.
    pub fn hash(&self) -> ContentHash {
        match self {
            Self::File(hash) => *hash,
            Self::Folder(files) => {
                let mut hasher = Sha256::new();
                for (name, hash) in files {
                    hasher.update((name.len() as u64).to_le_bytes());
                    hasher.update(name.as_bytes());
                    hasher.update(hash.0);
                }
                ContentHash(hasher.finalize().into())
            }
        }
    }
}

/// The files that decide what a model computes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelFiles {
    /// A GGUF file, which has everything in it.
    File(PathBuf),
    /// A folder's files, by their names within it.
    Folder(BTreeMap<String, PathBuf>),
}

impl ModelFiles {
    /// The files of the model at `path`, as [`ModelContent::of`] takes them.
    pub fn of(path: &Path) -> Result<Self, ModelError> {
        let is_onnx = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"));
        if path.is_dir() {
            Self::of_folder(path)
        } else if is_onnx && path.is_file() {
            Self::of_folder(&folder_of(path))
        } else {
            Ok(Self::File(path.into()))
        }
    }

    fn of_folder(folder: &Path) -> Result<Self, ModelError> {
        let mut files = files_in(folder, decides)?;
        let onnx = folder.join(ONNX);
        if onnx.is_dir() {
            let graphs = files_in(&onnx, decides)?;
            files.extend(graphs.into_iter().map(|(name, path)| (format!("{ONNX}/{name}"), path)));
        }
        if !files.keys().any(|name| is_weights(name)) {
            // A layout that only its engine knows: each file may decide.
            files = files_in(folder, |name| !name.starts_with('.'))?;
        }
        if files.is_empty() {
            let reason =
                "the folder is empty; put the model's files back into it, or give another model".into();
            return Err(ModelError::Config { path: folder.into(), reason });
        }
        Ok(Self::Folder(files))
    }
}

/// The subfolder in which a model's `.onnx` files may lie.
const ONNX: &str = "onnx";

/// The folder to which an `.onnx` file belongs.
fn folder_of(file: &Path) -> PathBuf {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match parent.parent() {
        Some(above) if parent.file_name().is_some_and(|name| name == ONNX) => {
            if above.as_os_str().is_empty() { PathBuf::from(".") } else { above.into() }
        }
        _ => parent.into(),
    }
}

/// The files in a folder whose names are wanted, by name.
fn files_in(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, PathBuf>, ModelError> {
    let failed = |source| ModelError::Io { path: folder.into(), action: "read", source };
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // In the Hugging Face cache a model's files are links, so the link's end counts.
        if wanted(&name) && entry.path().is_file() {
            files.insert(name, entry.path());
        }
    }
    Ok(files)
}

/// Whether a file of this name decides what a model computes: its text to tokens, tokens to numbers, and how it writes.
fn decides(name: &str) -> bool {
    const TEMPLATE: &str = ".jinja";
    const NAMES: [&str; 14] = [
        "config.json",
        "generation_config.json",
        "model.safetensors.index.json",
        "adapter_config.json",
        BASE_NOTE,
        "genai_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
        "chat_template.json",
        "tokenizer.model",
    ];
    NAMES.contains(&name) || is_weights(name) || (!name.starts_with('.') && name.ends_with(TEMPLATE))
}

/// Whether a file of this name holds weights.
fn is_weights(name: &str) -> bool {
    const ENDINGS: [&str; 5] = [".safetensors", ".gguf", ".onnx", ".onnx_data", ".onnx.data"];
    !name.starts_with('.') && ENDINGS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{ContentHash, ModelContent};

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn hash(path: &Path) -> ContentHash {
        ContentHash::of_model(path).unwrap()
    }

    const FILES: [(&str, &str); 5] = [
        ("config.json", "{}"),
        ("generation_config.json", "{}"),
        ("model.safetensors", "weights"),
        ("tokenizer.json", "words"),
        ("chat_template.jinja", "{{ messages }}"),
    ];

    #[test]
    fn a_file_has_its_sha_256() {
        let folder = folder(&[("model.gguf", "abc")]);
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash(&folder.path().join("model.gguf")).to_string(), expected);
        assert_eq!(ContentHash::of_bytes(b"abc").to_string(), expected);
    }

    #[test]
    fn each_file_of_a_folder_counts_by_content_and_name() {
        let first = folder(&FILES);
        assert_eq!(hash(first.path()), hash(folder(&FILES).path()), "the place is no part of it");
        for (name, text) in FILES {
            let changed = folder(&FILES);
            fs::write(changed.path().join(name), format!("{text} ")).unwrap();
            assert_ne!(hash(first.path()), hash(changed.path()), "{name} changed");
            fs::remove_file(changed.path().join(name)).unwrap();
            assert_ne!(hash(first.path()), hash(changed.path()), "{name} removed");
        }
        let swapped = folder(&FILES);
        fs::write(swapped.path().join("model.safetensors"), "words").unwrap();
        fs::write(swapped.path().join("tokenizer.json"), "weights").unwrap();
        assert_ne!(hash(first.path()), hash(swapped.path()), "two contents swapped");
        let mut more = FILES.to_vec();
        more.push(("onnx/model.onnx", "graph"));
        let more = folder(&more);
        assert_ne!(hash(first.path()), hash(more.path()));
        assert_eq!(hash(&more.path().join("onnx/model.onnx")), hash(more.path()), "its folder belongs to it");
    }

    #[test]
    fn what_decides_nothing_is_left_out() {
        let mut files = FILES.to_vec();
        files.extend([("README.md", "a card"), (".gitattributes", "*"), ("trainer_state.json", "{}")]);
        assert_eq!(hash(folder(&files).path()), hash(folder(&FILES).path()));
    }

    #[test]
    fn in_a_layout_that_is_not_known_each_file_counts() {
        let (one, other) = (folder(&[("table.bin", "one")]), folder(&[("table.bin", "other")]));
        assert_ne!(hash(one.path()), hash(other.path()));
        let nothing = folder(&[]);
        let error = ContentHash::of_model(nothing.path()).unwrap_err();
        assert!(error.to_string().contains("is empty"), "{error}");
        assert!(ContentHash::of_model(&nothing.path().join("absent.gguf")).is_err());
    }

    #[test]
    fn a_hash_is_read_as_it_is_written_and_nothing_else_is() {
        let hash = ContentHash::of_bytes(b"x");
        let text = serde_json::to_string(&hash).unwrap();
        assert_eq!(serde_json::from_str::<ContentHash>(&text).unwrap(), hash);
        for wrong in ["", "ab", "+1".repeat(32).as_str(), "é".repeat(32).as_str()] {
            assert!(wrong.parse::<ContentHash>().is_err(), "{wrong}");
        }
        let content = ModelContent::of(folder(&FILES).path()).unwrap();
        let text = serde_json::to_string(&content).unwrap();
        assert_eq!(serde_json::from_str::<ModelContent>(&text).unwrap(), content);
    }
}
