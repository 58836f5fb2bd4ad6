//! Which servers there are, and how they are asked.

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

use crate::{ApiKey, Budget};

/// How servers are asked. Nothing of it changes what a sample is, as far as a server obeys its seeds.
#[derive(Debug, Clone)]
pub struct OpenAiSettings {
    /// The servers, at least one. They serve the same model.
    pub servers: Vec<ServerAddress>,
    /// The model's name at the servers; it may be left out where a server has one model only.
    pub model: Option<String>,
    /// The key that the servers ask for.
    pub key: Option<ApiKey>,
    /// Requests that are in flight at most, at all servers together. How many are, follows from what the servers take.
    pub in_flight: NonZeroU32,
    /// How long one request may take.
    pub timeout: Duration,
    /// How failed requests are repeated.
    pub retry: Retry,
    /// What may be spent.
    pub budget: Budget,
}

/// How failed requests are repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often one request is sent that a server answers with an error of its own or with nonsense, at least 1.
    pub attempts: u32,
    /// How long a request waits for servers that cannot be reached or ask for patience (429, 503).
    pub patience: Duration,
    /// The longest wait after the first failure; it doubles with each. The wait is drawn between nothing and that.
    pub first_wait: Duration,
    /// The longest wait there is, where a server asks for none (`Retry-After`).
    pub longest_wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 8,
            patience: Duration::from_mins(10),
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(30),
        }
    }
}

impl OpenAiSettings {
    /// Up to 256 requests in flight, ten minutes each, without a key or a budget.
    pub fn new(servers: Vec<ServerAddress>) -> Self {
        Self {
            servers,
            model: None,
            key: None,
            in_flight: NonZeroU32::MIN.saturating_add(255),
            timeout: Duration::from_mins(10),
            retry: Retry::default(),
            budget: Budget::default(),
        }
    }
}

/// Where a server is, and how much of the work it gets.
///
/// As text `URL` or `URL,weight=N`: `http://127.0.0.1:8000`, `https://cards.example/v1,weight=2`. The `/v1` at the end may
/// be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    base: String,
    weight: NonZeroU32,
}

/// A text that is no server's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerAddressError {
    /// It does not begin with `http://` or `https://`, or names no host.
    #[error(
        "`{0}` is no server: give its address as http://HOST:PORT or https://HOST, perhaps with ,weight=N"
    )]
    NoUrl(String),
    /// It holds a user's name or a password.
    #[error(
        "the server's address holds a user or a key before the @; addresses are recorded, so give the key in the variable {} or in a file (--server-key-file)",
        crate::KEY_VARIABLE
    )]
    Secret,
    /// It has a question mark or a `#`.
    #[error(
        "the server's address has a `?` or a `#`, after which keys are often written; give the address alone, and the key in the variable {} or in a file (--server-key-file)",
        crate::KEY_VARIABLE
    )]
    Query,
    /// The weight is no number above 0.
    #[error("`{0}` is no weight of a server; it is a whole number of at least 1")]
    Weight(String),
}

impl ServerAddress {
    /// The address without `/v1` and without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Its share of the work, against the weights of the others.
    pub fn weight(&self) -> NonZeroU32 {
        self.weight
    }

    /// The address of one of its paths, such as `/v1/models`.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

impl FromStr for ServerAddress {
    type Err = ServerAddressError;

    fn from_str(text: &str) -> Result<Self, ServerAddressError> {
        let (url, weight) = match text.split_once(",weight=") {
            Some((url, weight)) => {
                let number = weight.parse().map_err(|_| ServerAddressError::Weight(weight.into()))?;
                (url, number)
            }
            None => (text, NonZeroU32::MIN),
        };
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        // Nothing of an address that may hold a secret is repeated in the error.
        let rest = match rest {
            _ if url.contains('@') => return Err(ServerAddressError::Secret),
            _ if url.contains(['?', '#']) => return Err(ServerAddressError::Query),
            Some(rest) => rest,
            None => return Err(ServerAddressError::NoUrl(url.into())),
        };
        let host = rest.split('/').next().unwrap_or_default();
        let is_host = !host.is_empty() && !host.starts_with(':');
        if !is_host || url.contains(|c: char| c.is_whitespace() || c == ',' || c.is_control()) {
            return Err(ServerAddressError::NoUrl(url.into()));
        }
        let base = url.trim_end_matches('/');
        let base = base.strip_suffix("/v1").unwrap_or(base).trim_end_matches('/');
        Ok(Self { base: base.into(), weight })
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)?;
        if self.weight.get() > 1 { write!(f, ",weight={}", self.weight) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written() {
        for (text, base, weight, shown) in [
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000", 1, "http://127.0.0.1:8000"),
            ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000", 1, "http://127.0.0.1:8000"),
            (
                "https://a.example/api/v1,weight=3",
                "https://a.example/api",
                3,
                "https://a.example/api,weight=3",
            ),
        ] {
            let address: ServerAddress = text.parse().unwrap();
            assert_eq!((address.base(), address.weight().get()), (base, weight));
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse::<ServerAddress>().unwrap(), address);
        }
    }

    #[test]
    fn what_is_no_address_is_named_and_no_secret_is_shown() {
        let error = |text: &str| text.parse::<ServerAddress>().unwrap_err();
        for text in ["127.0.0.1:8000", "ftp://a", "http://", "http://:80", "http://a b", ""] {
            assert_eq!(error(text), ServerAddressError::NoUrl(text.into()));
        }
        assert_eq!(error("http://a,weight=0"), ServerAddressError::Weight("0".into()));
        for text in ["http://me:secret@a", "secret@a", "http://a/?key=secret", "http://a/v1#secret"] {
            assert!(!error(text).to_string().contains("secret"), "{text}");
        }
    }
}
