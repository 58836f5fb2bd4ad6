//! In place of glibc's settings on systems that have another allocator.

/// Tells glibc's allocator to keep memory that is freed; here there is another, and nothing is done.
pub fn keep_freed_memory() {}
