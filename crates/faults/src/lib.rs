//! Faults in a program's system calls: a kill, a full disk, a short write, a failing fsync, a signal, at a chosen call on a
//! file of one folder.
//!
//! A [`Plan`] is text in the environment variable [`VARIABLE`]. The program that is tested installs it when it starts
//! ([`install`]; a program into which this library is loaded with `LD_PRELOAD` needs not even that). From then on Linux hands
//! every system call that reads or writes files to a handler within the program (seccomp's `SECCOMP_RET_TRAP` and the signal
//! `SIGSYS`), whoever makes it: Rust's standard library, `SQLite`, or a crate that goes around libc. The handler counts the
//! calls on files of the plan's folder, does to the planned ones what the plan says, writes down all of them
//! ([`record`]), and makes the others as they are.
//!
//! Time can be the plan's too: it then stands still but for [`advance`] and the jumps of the plan, and sleeps end when it has
//! passed. So a program that is the same in all else makes the same calls in the same order each time.
//!
//! This needs Linux on `x86_64`; elsewhere [`install`] does nothing and [`IS_SUPPORTED`] says so.

#![allow(
    unsafe_code,
    reason = "a handler of system calls is made of system calls and of the caller's memory"
)]

mod plan;
pub mod record;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod system;
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod without_linux;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
use without_linux as system;

pub use plan::{Action, Clock, Fault, Kinds, Plan, PlanError, VARIABLE};
pub use system::{IS_SUPPORTED, advance, asked_to_stop, install, raise, watch_signals};
