//! Being asked to end.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Begins to watch for `SIGINT` and `SIGTERM`. The program is told at the very call at which the signal comes: no thread stands
/// between.
pub fn watch_signals() {
    extern "C" fn asked(_: libc::c_int) {
        ASKED.store(true, Ordering::SeqCst);
    }
    let handler: extern "C" fn(libc::c_int) = asked;
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler stores one atomic boolean, which a handler may do at any time; the structure is plain numbers, for
        // which zeros are valid.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

/// Sends a signal to the calling thread, as if somebody had sent it to the program.
pub fn raise(signal: i32) {
    // SAFETY: a call that takes a number; what comes of the signal is for the program's handlers.
    unsafe { libc::raise(signal) };
}

/// Whether the program was asked to end.
pub fn asked_to_stop() -> bool {
    ASKED.load(Ordering::SeqCst)
}
