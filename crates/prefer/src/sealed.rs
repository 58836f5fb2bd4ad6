//! Files that are whole or absent, with a hash by which a damaged one is recognised.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A SHA-256, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Sha256Hex(String);

impl Sha256Hex {
    /// The hash of some bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(format!("{:x}", Sha256::digest(bytes)))
    }

    /// The hash of a file.
    pub(crate) fn of_file(path: &Path) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        io::copy(&mut File::open(path)?, &mut hasher)?;
        Ok(Self(format!("{:x}", hasher.finalize())))
    }

    /// The hash of what is serialised.
    pub(crate) fn of_json(value: &impl Serialize) -> Self {
        Self::of(json(value).as_bytes())
    }
}

impl fmt::Display for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The JSON of a value of this crate.
pub(crate) fn json(value: &impl Serialize) -> String {
    // They have string keys and no serialiser that fails.
    serde_json::to_string(value).unwrap_or_else(|error| format!("\"{error}\""))
}

/// A line that [`unsealed_line`] takes apart again.
pub(crate) fn sealed_line(content: &str) -> String {
    format!("{} {content}\n", Sha256Hex::of(content.as_bytes()))
}

/// What a line holds; `None` where it is not as it was written.
pub(crate) fn unsealed_line(line: &str) -> Option<&str> {
    let (hash, content) = line.split_once(' ')?;
    (Sha256Hex::of(content.as_bytes()).0 == hash).then_some(content)
}

/// Around the hash and the JSON in a file. The hash is of the text, since numbers in JSON are not always read back to the last
/// bit.
const BEFORE_HASH: &str = "{\"sha_256\": \"";
const BEFORE_JSON: &str = "\", \"content\":\n";
const AFTER_JSON: &str = "\n}\n";

/// Writes JSON with its hash, in place of an older file.
pub(crate) fn write(path: &Path, json: &str) -> io::Result<()> {
    let unfinished = beside(path);
    let mut file = File::create(&unfinished)?;
    let hash = Sha256Hex::of(json.as_bytes());
    file.write_all([BEFORE_HASH, &hash.0, BEFORE_JSON, json, AFTER_JSON].concat().as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

/// Reads the JSON that [`write`] wrote.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] where the file is not as it was written.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let text = fs::read_to_string(path)?;
    let parts = || {
        let (hash, rest) = text.strip_prefix(BEFORE_HASH)?.split_once(BEFORE_JSON)?;
        Some((hash, rest.strip_suffix(AFTER_JSON)?))
    };
    match parts() {
        Some((hash, json)) if Sha256Hex::of(json.as_bytes()).0 == hash => Ok(json.into()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "it is not as it was written")),
    }
}

/// Makes the names in a folder last, where the system can.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".unfinished");
    name.into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{read, sealed_line, unsealed_line, write};

    #[test]
    fn a_changed_byte_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.json");
        let json = r#"{"one": [1, 2.5], "two": "second"}"#;
        write(&path, json).unwrap();
        assert_eq!(read(&path).unwrap(), json);
        let whole = fs::read(&path).unwrap();
        serde_json::from_slice::<serde_json::Value>(&whole).unwrap();
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert!(read(&path).is_err(), "byte {place}");
            fs::write(&path, &whole[..place]).unwrap();
            assert!(read(&path).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn a_changed_line_is_found() {
        let line = sealed_line(r#"{"a": 1}"#);
        assert_eq!(unsealed_line(line.trim_end()), Some(r#"{"a": 1}"#));
        assert_eq!(unsealed_line(&line.trim_end().replace('1', "2")), None);
        assert_eq!(unsealed_line(&line[..30]), None);
    }
}
