//! What can go wrong in writing.

use std::fmt::Display;

use lancer_backend::BackendError;

use crate::Writing;

/// A setting outside its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}; it must be {range}")]
pub struct SettingError {
    /// The setting's name, as in the configuration.
    pub field: &'static str,
    /// What it was set to.
    pub value: String,
    /// What it may be.
    pub range: &'static str,
}

/// `Ok` if `holds`, or else the error that names the setting.
pub(crate) fn require(
    holds: bool,
    field: &'static str,
    value: impl Display,
    range: &'static str,
) -> Result<(), SettingError> {
    if holds { Ok(()) } else { Err(SettingError { field, value: value.to_string(), range }) }
}

/// An error of [`write`](crate::write()). What the sink had been given until then is valid.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// A setting is outside its range.
    #[error("the settings for writing are not valid")]
    Setting(#[from] SettingError),
    /// The sink cancelled the call.
    #[error("cancelled")]
    Cancelled,
    /// The engine failed.
    #[error("the engine failed while writing a {}", .writing.as_str())]
    Backend {
        /// What was being written.
        writing: Writing,
        /// What it said.
        source: BackendError,
    },
}
