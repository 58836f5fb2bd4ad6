//! Servers that run the models of a run, where its engine is one.

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

/// Servers that run the models of a run. The loop does not read them; a key is no part of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSettings {
    /// Their addresses, in the caller's form. They may change while a run goes on: servers move.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// The model's name at the servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The engine on this machine that scores given text, where the servers do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score_with: Option<String>,
    /// A command of the shell that restarts the servers with the model in the folder `$LANCER_MODEL`, for servers that take no
    /// new model while they run. It ends once they are starting. It may change while a run goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<String>,
}

impl ServerSettings {
    /// Whether nothing is set.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes over from `now` what does not change what a run comes to.
    pub(crate) fn moved_to(&mut self, now: &Self) {
        self.urls.clone_from(&now.urls);
        self.restart.clone_from(&now.restart);
    }
}
