//! In place of Linux's and glibc's settings on other systems.

use std::mem::MaybeUninit;

/// Tells glibc's allocator to keep memory that is freed; here there is another, and nothing is done.
pub fn keep_freed_memory() {}

/// Tells glibc's allocator to give freed memory back; here there is another, and nothing is done.
pub(crate) fn give_back_freed_memory() {}

/// Asks Linux for large pages; here is another system, and nothing is done.
pub(crate) fn use_large_pages<T>(_: &mut [MaybeUninit<T>]) {}
