//! Checks of README.md and of the book in `docs/`, without mdBook: links lead to files and headings that exist, the table of
//! contents has every page, and the Rust examples compile and hold.

mod links;
mod summary;

pub use links::{BrokenLink, Fault, broken_links};
pub use summary::{missing_pages, pages};

/// The examples of README.md.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The examples of the guide to single crates.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/from-rust.md")]
struct FromRust;
