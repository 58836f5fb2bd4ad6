//! What can go wrong, before the page is there and while it is.

use std::{io, net::SocketAddr, path::PathBuf};

use lancer_evolve::EvolveError;

/// Why the page is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Other machines could use the page, and anybody on them.
    #[error("other machines reach {address}: give a token, or bind the page to 127.0.0.1")]
    NoToken {
        /// The address.
        address: SocketAddr,
    },
    /// The folder of runs cannot be read.
    #[error("cannot read the folder of runs {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing can be taken at the address.
    #[error(
        "cannot listen at {address}; another program may use the port: give another one, or 0 for a free one"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The system gives no random bytes.
    #[error("cannot make a token: the system gives no random bytes ({0})")]
    Random(String),
}

/// Why a request is not answered as it was asked.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: u16,
    text: String,
}

impl ApiError {
    /// With a status of HTTP.
    pub(crate) fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self::new(404, text)
    }

    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::new(400, text)
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl From<EvolveError> for ApiError {
    fn from(error: EvolveError) -> Self {
        let status = match error {
            EvolveError::Query { .. } | EvolveError::Judgement { .. } => 400,
            EvolveError::InUse { .. } => 409,
            _ => 500,
        };
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        Self { status, text }
    }
}
