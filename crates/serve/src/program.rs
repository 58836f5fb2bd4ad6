//! What the page needs of the program around it.

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};

/// A turn of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TalkTurn {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// A chat that a model is to answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Talk {
    /// The model's file or folder.
    pub model: PathBuf,
    /// The turns so far, the last one the user's.
    pub turns: Vec<TalkTurn>,
    /// Decides what is drawn at random.
    pub seed: u64,
    /// 0 always takes the most probable token.
    pub temperature: f32,
    /// The answer ends after so many tokens.
    pub max_tokens: usize,
}

/// The program around the page.
pub trait Program: Send + Sync + 'static {
    /// The executable whose command `evolve` starts a run or goes on with one.
    ///
    /// # Errors
    /// Where it is not known.
    fn executable(&self) -> io::Result<PathBuf>;

    /// Asks a process that [`executable`](Self::executable) runs in to stop where nothing is lost.
    ///
    /// # Errors
    /// Where it cannot be asked.
    fn interrupt(&self, process: u32) -> io::Result<()>;

    /// The answer of a model. It may take as long as it takes.
    ///
    /// # Errors
    /// A sentence that says why there is none.
    fn answer(&self, talk: Talk) -> Result<String, String>;
}
