//! Ctrl-C: the first asks the work to stop where nothing is lost, the second ends the program at once.

use std::{
    ops::ControlFlow,
    process,
    sync::atomic::{AtomicBool, Ordering},
};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Begins to watch for Ctrl-C and for being asked to end.
pub(crate) fn watch() {
    // Where no handler can be set the system's own ends the program, which loses nothing either.
    let _ = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) {
            process::exit(130);
        }
        eprintln!("\nstopping after what is being computed; once more ends at once");
    });
}

/// `Break` once the user has asked to stop.
pub(crate) fn flow() -> ControlFlow<()> {
    if ASKED.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
