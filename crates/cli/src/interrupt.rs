//! Ctrl-C and being asked to end: the first time ends the command in order, the second at once.
//!
//! Work that [watches](watch) asks [`flow`] often and stops where nothing is lost. Whatever does not, such as loading or
//! converting a model, is ended by the handler: outputs that are not finished are removed, then the program ends.

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicBool, AtomicU8, Ordering},
};

use crate::failure::Failure;

static ASKED: AtomicBool = AtomicBool::new(false);
static WORK: AtomicU8 = AtomicU8::new(Work::Plain as u8);

/// The exit code of a command that was interrupted.
pub(crate) const EXIT_CODE: u8 = 130;

/// What is being done, as far as stopping goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Nothing asks whether to stop.
    Plain = 0,
    /// [`flow`] is asked.
    Watching = 1,
    /// Nothing asks whether to stop, and all that a run has made is kept.
    OfRun = 2,
}

/// Begins to take Ctrl-C, and signals to end.
pub(crate) fn handle() {
    // Where no handler can be set the system's own ends the program. What it leaves is removed by the next command.
    let _ = ctrlc::set_handler(|| {
        let is_second = ASKED.swap(true, Ordering::SeqCst);
        if is_second || WORK.load(Ordering::SeqCst) != Work::Watching as u8 {
            end();
        }
        errln!("\nstopping after what is being computed; once more ends at once");
    });
}

/// Says that [`flow`] is asked, until this is dropped.
#[must_use]
pub(crate) struct Watching(u8);

/// Begins work that asks [`flow`].
pub(crate) fn watch() -> Watching {
    Watching(WORK.swap(Work::Watching as u8, Ordering::SeqCst))
}

impl Drop for Watching {
    fn drop(&mut self) {
        WORK.store(self.0, Ordering::SeqCst);
    }
}

/// A part of a run that does not ask [`flow`], such as loading a model.
pub(crate) fn of_run<T>(work: impl FnOnce() -> T) -> T {
    let before = Watching(WORK.swap(Work::OfRun as u8, Ordering::SeqCst));
    if ASKED.load(Ordering::SeqCst) {
        end();
    }
    let result = work();
    drop(before);
    result
}

/// `Break` once the user has asked to stop.
pub(crate) fn flow() -> ControlFlow<()> {
    if ASKED.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// After work that asked [`flow`], before its output is written: the user may have asked to stop after it asked last.
pub(crate) fn check() -> Result<(), Failure> {
    if flow().is_break() {
        Err(Failure::Interrupted("interrupted; nothing was written".into()))
    } else {
        Ok(())
    }
}

/// Asks another process of this program to stop in order, as Ctrl-C does: by the signal that is not ignored where a shell started
/// this one in the background.
#[cfg(all(unix, feature = "serve"))]
#[allow(unsafe_code, reason = "the standard library can only kill a process")]
pub(crate) fn ask(process: u32) -> std::io::Result<()> {
    let process = i32::try_from(process).map_err(std::io::Error::other)?;
    // SAFETY: `kill` takes two numbers and touches no memory of this process.
    let sent = unsafe { libc::kill(process, libc::SIGTERM) };
    if sent == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[cfg(all(not(unix), feature = "serve"))]
pub(crate) fn ask(_: u32) -> std::io::Result<()> {
    Err(std::io::Error::other("on this system a run is stopped where it was started, with Ctrl-C"))
}

/// Ends the program. What is not finished is removed.
fn end() -> ! {
    lancer_trainers::end_all();
    lancer_output::abandon_all();
    let work = WORK.load(Ordering::SeqCst);
    if work == Work::Plain as u8 {
        errln!("interrupted; nothing was written");
    } else if work == Work::OfRun as u8 {
        errln!("interrupted; the same command goes on from here");
    } else {
        errln!("interrupted");
    }
    exit()
}

/// Ends the process as it is: other threads are still at work, in engines whose clean-up must not meet them.
#[cfg(unix)]
#[allow(unsafe_code, reason = "the standard library has no way to end a process without cleaning up")]
fn exit() -> ! {
    // SAFETY: `_exit` takes a number, touches no memory of this process and does not return.
    unsafe { libc::_exit(i32::from(EXIT_CODE)) }
}

#[cfg(not(unix))]
fn exit() -> ! {
    std::process::exit(i32::from(EXIT_CODE))
}
