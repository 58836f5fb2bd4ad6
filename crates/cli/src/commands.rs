//! The subcommands, a file each.

pub(crate) mod cache;
pub(crate) mod chat;
pub(crate) mod check;
pub(crate) mod clean;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod decode_parquet;
pub(crate) mod dedup;
pub(crate) mod diff;
pub(crate) mod eval;
pub(crate) mod evolve;
pub(crate) mod generate;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod man;
pub(crate) mod query;
pub(crate) mod report;
pub(crate) mod review;
pub(crate) mod runs;
#[cfg(feature = "serve")]
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod setup;
pub(crate) mod train;
