//! Files and folders that are whole or absent, and that take the place of nothing that a user could miss.
//!
//! A [`Place`] is where an output goes. Making one checks everything that can be checked before the work: what is there
//! already, whether the folder is there or can be made, whether it can be written, whether an input is at the same place
//! ([`check_apart`]), whether there is room ([`Place::with_room`]). The output is then written into a [`Scratch`]
//! folder beside its place, synced to disk and renamed.
//!
//! | what is there | [`Existing::Kept`] | [`Existing::Overwritten`] | [`Existing::Own`] |
//! |---|---|---|---|
//! | nothing, or an empty folder | written | written | written |
//! | a file, and a file is written | refused | replaced | replaced |
//! | a folder that lancer wrote, unchanged | refused | replaced | replaced |
//! | a folder with anything else in it | refused | refused | replaced |
//! | a file for a folder, a folder for a file, a device | refused | refused | refused |
//!
//! lancer knows a folder that it wrote by the list of files that it leaves in it ([`FILES`]); a folder of its own needs none.
//!
//! A process that is killed leaves its scratch folder behind. The next output to the same folder removes it: a scratch
//! folder is locked as long as its process lives. A program that is about to end early calls [`abandon_all`].
//!
//! ```
//! use std::fs;
//! use lancer_output::{Existing, OutputError, Place};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! let path = folder.path().join("new/notes.txt");
//! let write = |existing| {
//!     Place::file(&path, existing)?.write(|scratch| fs::write(scratch, "first").map_err(OutputError::write(scratch)))
//! };
//! write(Existing::Kept)?;
//! assert_eq!(fs::read_to_string(&path).unwrap(), "first");
//! assert!(matches!(write(Existing::Kept), Err(OutputError::Exists { .. })));
//! write(Existing::Overwritten)?;
//! # Ok::<(), OutputError>(())
//! ```

mod error;
mod files;
mod live;
mod place;
mod resolve;
mod room;
mod scratch;
mod stale;

pub use self::{
    error::OutputError,
    files::{FILES, check as check_written},
    live::abandon_all,
    place::{Existing, Place, check_apart},
    resolve::resolve,
    room::available,
    scratch::Scratch,
    stale::{clean, is_scratch},
};

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
