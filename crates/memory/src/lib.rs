//! How the memory of a program that runs models is had from the system: in large pages ([`move_into_large_pages`],
//! [`use_large_pages`]), kept when it is freed ([`keep_freed_memory`]), limited ([`limit_process`]), and how much there is
//! ([`available_memory`]).
//!
//! A model reads all of its weights for each token. Where they stand in pages of 4 KB, finding the pages takes as long as
//! reading them, above all in a virtual machine, where each look-up is one of two tables. Most systems use large pages only
//! where a program asks for them, and neither llama.cpp nor ONNX Runtime does.
//!
//! Nothing here changes what a program computes. Each function does nothing where the system has no such thing: large pages
//! are Linux's, and freed memory is glibc's. A program turns large pages off by [`LargePages::choose`], its user by
//! `LANCER_LARGE_PAGES=0` in the environment.

mod available;
mod choice;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod freed;
#[cfg(target_os = "linux")]
mod large_pages;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod without_glibc;
#[cfg(not(target_os = "linux"))]
mod without_linux;

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
use without_glibc as freed;
#[cfg(not(target_os = "linux"))]
use without_linux as large_pages;
#[cfg(not(target_os = "linux"))]
use without_linux as limits;

pub use available::available_memory;
pub use choice::{LargePages, UnknownLargePages};
pub use freed::{give_back_freed_memory, keep_freed_memory};
pub use large_pages::{move_into_large_pages, use_large_pages};
pub use limits::limit_process;

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
