//! The key that a server asks for. It is sent to the server and shown to nobody.

use std::{env, error::Error, fmt, fs, path::Path};

/// The variable of the environment from which a key is read.
pub const KEY_VARIABLE: &str = "LANCER_SERVER_KEY";

/// What takes the place of a key in a text.
const HIDDEN: &str = "[key]";

/// A server's key. Neither `Debug` nor an error of this crate shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyError {
    /// The file with the key could not be read.
    #[error("cannot read the key of the server from {path}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// What was given is no key.
    #[error("{place} holds no key: a key is one line of visible ASCII characters, at least eight of them")]
    NoKey {
        /// Where it was read from.
        place: String,
    },
}

impl ApiKey {
    /// A key; white space around it is left out. `place` is named in the error, the key is not.
    ///
    /// # Errors
    /// [`ApiKeyError::NoKey`] where the text could not be sent as a header, or is so short that hiding it would spoil
    /// other texts.
    pub fn new(text: &str, place: &str) -> Result<Self, ApiKeyError> {
        let key = text.trim();
        if key.len() < 8 || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ApiKeyError::NoKey { place: place.into() });
        }
        Ok(Self(key.into()))
    }

    /// The key in a file, else the one in the environment ([`KEY_VARIABLE`]); `None` without either.
    pub fn find(file: Option<&Path>) -> Result<Option<Self>, ApiKeyError> {
        if let Some(path) = file {
            let text = fs::read_to_string(path)
                .map_err(|source| ApiKeyError::File { path: path.into(), source: source.into() })?;
            return Self::new(&text, &path.display().to_string()).map(Some);
        }
        match env::var(KEY_VARIABLE) {
            Ok(text) if !text.trim().is_empty() => Self::new(&text, KEY_VARIABLE).map(Some),
            _ => Ok(None),
        }
    }

    /// The value of the header `Authorization`.
    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// A text of the server's without the key: servers repeat what they refuse. Parts of it go too, since some show its
    /// beginning and its end.
    pub(crate) fn hide(&self, text: &str) -> String {
        let text = text.replace(&self.0, HIDDEN);
        let is_part = |word: &str| {
            let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c));
            word.len() >= 6 && (self.0.contains(word) || shares_an_end(word, &self.0))
        };
        let mut shown = String::with_capacity(text.len());
        for part in text.split_inclusive(char::is_whitespace) {
            let word = part.trim_end();
            shown.push_str(if is_part(word) { HIDDEN } else { word });
            shown.push_str(&part[word.len()..]);
        }
        shown
    }
}

/// Whether a word with stars or dots in its middle begins or ends like the key: `sk-ab****yz`.
fn shares_an_end(word: &str, key: &str) -> bool {
    let hides = word.contains("**") || word.contains("...") || word.contains('…');
    let begins = word.chars().zip(key.chars()).take_while(|(one, other)| one == other).count();
    let ends = word.chars().rev().zip(key.chars().rev()).take_while(|(one, other)| one == other).count();
    hides && begins.max(ends) >= 3
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        for text in ["", "short", "two words here", "line\nbreak-in-it", "umlautäöü123"] {
            let error = ApiKey::new(text, "the file k").unwrap_err().to_string();
            assert!(error.contains("the file k"), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
        assert_eq!(format!("{:?}", ApiKey::new("sk-0123456789", "").unwrap()), "ApiKey(..)");
    }

    #[test]
    fn a_part_of_the_key_is_hidden() {
        let key = ApiKey::new("sk-proj-abcdefghijkl-wxyz", "").unwrap();
        let shown = key.hide("Incorrect API key provided: sk-proj-abc**********wxyz. See the docs");
        assert_eq!(shown, "Incorrect API key provided: [key] See the docs");
        assert_eq!(key.hide("key 'sk-proj-abcdefghijkl-wxyz' is wrong"), "key '[key]' is wrong");
    }

    proptest! {
        #[test]
        fn no_text_shows_the_key(before in ".{0,20}", after in ".{0,20}", key in "[a-zA-Z0-9_-]{12,40}") {
            let shown = ApiKey::new(&key, "").unwrap().hide(&format!("{before}{key}{after}"));
            prop_assert!(!shown.contains(&key), "{shown}");
        }
    }
}
