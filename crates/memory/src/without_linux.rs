//! In place of Linux's large pages.

/// Asks Linux for large pages; here is another system, and nothing is done.
pub fn use_large_pages<T>(_: &[T]) {}

/// Moves memory into Linux's large pages; here is another system, and nothing is done.
pub fn move_into_large_pages() {}

/// Limits nothing here.
pub fn limit_process(_bytes: u64, _seconds: u64) {}
