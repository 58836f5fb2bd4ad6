//! Why an output is refused or could not be written.

use std::{
    io,
    path::{Path, PathBuf},
};

/// An error of an output. Whatever was at its place is there still.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The system refused something.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is something that may be replaced if the user says so.
    #[error("{path} is there already; give another name, or --overwrite to replace it")]
    Exists {
        /// The file, or a folder that lancer wrote.
        path: PathBuf,
    },
    /// A folder holds what lancer did not write.
    #[error(
        "the folder {folder} holds {file}, which lancer did not write, so nothing in it is replaced; give a new folder or an empty one"
    )]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// One of the files, as a path within the folder.
        file: PathBuf,
    },
    /// A file that lancer wrote was changed by something else.
    #[error(
        "{file} in the folder {folder} was changed after lancer wrote it, so nothing there is replaced; give a new folder, or remove this one"
    )]
    Changed {
        /// The folder.
        folder: PathBuf,
        /// The file, as a path within the folder.
        file: PathBuf,
    },
    /// A file is to be written, and there is something else.
    #[error("{path} is {found}, and a file is to be written; give the file's name")]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// A folder is to be written, and there is something else.
    #[error("{path} is {found}, and a folder is to be written; give another name")]
    NotAFolder {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// A path leads through something that is no folder.
    #[error("{path} cannot be made, since {blocked_by} is no folder; give another path")]
    Blocked {
        /// The path.
        path: PathBuf,
        /// The file on the way.
        blocked_by: PathBuf,
    },
    /// The folder for the output cannot be written.
    #[error(
        "{path} cannot be made, since nothing can be written into the folder {folder}; give another path"
    )]
    NotWritable {
        /// The output.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Input and output are one, or one is within the other.
    #[error("the output {output} {relation} the input {input}; give another place for the output")]
    Input {
        /// The output.
        output: PathBuf,
        /// `is`, `is within` or `holds`.
        relation: &'static str,
        /// The input.
        input: PathBuf,
    },
    /// The disk is too full.
    #[error(
        "{path} needs about {} MB, and the disk of {folder} has {} MB left; make room, or give a path on another disk",
        needed.div_ceil(1_000_000), available / 1_000_000
    )]
    NoRoom {
        /// The output.
        path: PathBuf,
        /// A folder on its disk.
        folder: PathBuf,
        /// Bytes that are needed, about.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// The place was taken or could no longer be written when the output was finished.
    #[error("the output is finished, but {path} can no longer be written; it was kept as {kept}")]
    Kept {
        /// Where the output was to go.
        path: PathBuf,
        /// Where it is.
        kept: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl OutputError {
    /// For `map_err` on what writing a file or folder gives.
    pub fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io("write", path)
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}
