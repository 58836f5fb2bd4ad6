//! Many requests at the same time, their answers handed to one thread.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
};

use super::{Exchange, Failed, Servers};
use crate::cancel::{Cancel, LOOK_EVERY};

/// The stack of a thread that waits for an answer.
const STACK: usize = 1 << 20;

/// Sends all of `exchanges` and gives each answer to `each` with its number, in the order in which they come. `look` is
/// called while nothing comes.
///
/// # Errors
/// The first failure, after which nothing more is sent; [`Failed::Cancelled`] where `each` or `look` breaks. Requests that
/// are in flight then are left to themselves: nothing waits for them.
pub(crate) fn dispatch<E: Exchange>(
    servers: &Arc<Servers>,
    exchanges: Vec<E>,
    each: &mut dyn FnMut(usize, E::Answer) -> ControlFlow<()>,
    look: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<(), Failed> {
    let count = exchanges.len();
    let cancel = Cancel::default();
    let work = Arc::new((exchanges, AtomicUsize::new(0)));
    let (sender, answers) = mpsc::channel();
    for _ in 0..count.min(servers.settings.in_flight.get() as usize) {
        let (servers, work, cancel, sender) =
            (Arc::clone(servers), Arc::clone(&work), cancel.clone(), sender.clone());
        let body = move || {
            let (exchanges, next) = &*work;
            while !cancel.is_set() {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(exchange) = exchanges.get(number) else { break };
                // The receiver is gone when the call has ended: nobody wants the answer.
                if sender.send((number, servers.perform(exchange, &cancel))).is_err() {
                    break;
                }
            }
        };
        // Where the system has no more threads, those that there are do the work.
        if thread::Builder::new().name("server request".into()).stack_size(STACK).spawn(body).is_err() {
            break;
        }
    }
    drop(sender);
    let called_off = Called(cancel);
    let mut open = count;
    while open > 0 {
        match answers.recv_timeout(LOOK_EVERY) {
            Ok((number, answer)) => {
                open -= 1;
                if each(number, answer?).is_break() {
                    return Err(Failed::Cancelled);
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                if look().is_break() {
                    return Err(Failed::Cancelled);
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failed::GaveUp {
                    server: "this machine".into(),
                    reason: "has no thread left to wait for answers in".into(),
                    attempts: 0,
                    time: std::time::Duration::ZERO,
                });
            }
        }
    }
    drop(called_off);
    Ok(())
}

/// Calls off what is still running, however the call ends.
struct Called(Cancel);

impl Drop for Called {
    fn drop(&mut self) {
        self.0.set();
    }
}
