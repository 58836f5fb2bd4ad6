//! In place of what glibc does with memory that is freed.

/// Tells glibc's allocator to keep memory that is freed; here there is another, and nothing is done.
pub fn keep_freed_memory() {}

/// Tells glibc's allocator to give freed memory back; here there is another, and nothing is done.
pub fn give_back_freed_memory() {}
