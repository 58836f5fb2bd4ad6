//! Systems on which no call can be handed to a handler.

use std::time::Duration;

/// Whether faults can be injected here.
pub const IS_SUPPORTED: bool = false;

/// Does nothing here.
pub fn install() {}

/// Does nothing here.
pub fn watch_signals() {}

/// Whether the program was asked to end; never here.
pub fn asked_to_stop() -> bool {
    false
}

/// Does nothing here.
pub fn advance(_: Duration) {}

/// Does nothing here.
pub fn raise(_: i32) {}
