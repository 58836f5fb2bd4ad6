//! The handler of system calls: counts, does what the plan says, writes down.

use std::{fmt::Write, sync::atomic::Ordering};

use super::{
    call::{Call, Name, parts},
    clock, filter, raw,
    state::{self, Planned, State},
};
use crate::{Action, record::Kind};

/// Has all system calls that read or write files handed to [`handle`] from now on.
pub(super) fn install() {
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = handle;
    // SAFETY: the structure is plain numbers, for which zeros are valid; what the handler does is said there.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        // No other handler may run within: what it calls would come here while a call is handled.
        libc::sigfillset(&raw mut action.sa_mask);
        libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut());
    }
    filter::install(state::get().is_some_and(|state| state.is_virtual));
}

/// Makes the call that the filter stopped, or something else in its place, and puts the result where the program finds it.
///
/// It calls the system through [`raw`] alone and neither allocates nor takes a lock that code outside could hold, since it runs
/// within whatever the program was doing.
extern "C" fn handle(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel gives the registers of the interrupted program, which it takes back when the handler
    // returns; nobody else has them meanwhile.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let at = |register: libc::c_int| registers[register as usize];
    let arguments = [
        at(libc::REG_RDI),
        at(libc::REG_RSI),
        at(libc::REG_RDX),
        at(libc::REG_R10),
        at(libc::REG_R8),
        at(libc::REG_R9),
    ]
    .map(|argument| argument as u64);
    let result = answer(at(libc::REG_RAX), arguments);
    registers[libc::REG_RAX as usize] = result;
}

fn answer(number: i64, arguments: [u64; 6]) -> i64 {
    let Some(state) = state::get() else { return raw::call(number, arguments) };
    match number {
        libc::SYS_futex | libc::SYS_nanosleep | libc::SYS_clock_nanosleep => clock::wait(number, arguments),
        libc::SYS_getrandom => random(state, number, arguments),
        // Callers then copy by reading and writing, which is seen.
        libc::SYS_copy_file_range | libc::SYS_sendfile => -i64::from(libc::ENOSYS),
        _ => {
            let (mut path, mut to) = (Name::new(), Name::new());
            let call = Call::of(number, arguments, &state.folder, (&mut path, &mut to));
            let Some(call) = call else { return raw::call(number, arguments) };
            state.begin();
            let result = on_file(state, number, arguments, call, (&path, &to));
            state.end();
            result
        }
    }
}

fn random(state: &State, number: i64, [to, length, flags, ..]: [u64; 6]) -> i64 {
    state.begin();
    let mut place = 0;
    while place < length {
        let Some(random) = state.random() else { break };
        for byte in random.to_le_bytes().into_iter().take((length - place) as usize) {
            // SAFETY: the program gives the address of so many bytes to a call that writes them there.
            unsafe { *((to + place) as *mut u8) = byte };
            place += 1;
        }
    }
    state.end();
    if place == 0 { raw::call(number, [to, length, flags, 0, 0, 0]) } else { place as i64 }
}

/// A call on a file of the plan's folder.
fn on_file(state: &State, number: i64, arguments: [u64; 6], call: Call, names: (&Name, &Name)) -> i64 {
    let action = meet(&state.faults, call, names);
    let write_down = |arguments: [u64; 6], result: i64| {
        write_down(state, number, arguments, call, names, result, action.is_some());
    };
    let make = |arguments: [u64; 6]| {
        let result = raw::call(number, arguments);
        if call.kind != Kind::Read || action.is_some() {
            write_down(arguments, result);
        }
        result
    };
    match action {
        None => make(arguments),
        Some(Action::KillBefore) => {
            write_down(arguments, 0);
            die()
        }
        Some(Action::KillAfter) => {
            make(arguments);
            die()
        }
        Some(Action::Torn(part)) => {
            match shortened(number, arguments, call, part, 0) {
                Some((number, shorter)) => {
                    let result = raw::call(number, shorter);
                    write_down(arguments, result);
                }
                None => write_down(arguments, 0),
            }
            die()
        }
        Some(Action::Fail(error)) => {
            write_down(arguments, -i64::from(error));
            -i64::from(error)
        }
        Some(Action::Short(part)) => match shortened(number, arguments, call, part, 1) {
            Some((number, shorter)) => {
                let result = raw::call(number, shorter);
                write_down(arguments, result);
                result
            }
            None => make(arguments),
        },
        Some(Action::Signal(signal)) => {
            let process = raw::call_3(libc::SYS_getpid, 0, 0, 0) as u64;
            let thread = raw::call_3(libc::SYS_gettid, 0, 0, 0) as u64;
            // It comes when this handler has returned.
            raw::call_3(libc::SYS_tgkill, process, thread, signal as u64);
            make(arguments)
        }
        Some(Action::Pause) => {
            let process = raw::call_3(libc::SYS_getpid, 0, 0, 0) as u64;
            raw::call_3(libc::SYS_kill, process, libc::SIGSTOP as u64, 0);
            make(arguments)
        }
        Some(Action::Jump(milliseconds)) => {
            clock::jump(milliseconds.saturating_mul(1_000_000));
            make(arguments)
        }
    }
}

/// What is planned for a call; every fault that it could be counts it.
fn meet(faults: &[Planned], call: Call, (path, to): (&Name, &Name)) -> Option<Action> {
    let mut action = None;
    for fault in faults {
        let contains = |name: &Name| {
            fault.within.is_empty()
                || name.bytes().windows(fault.within.len()).any(|part| part == fault.within)
        };
        if fault.kinds.meets(call.kinds) && (contains(path) || contains(to)) {
            let met = fault.met.fetch_add(1, Ordering::Relaxed);
            if met >= fault.after && met - fault.after < fault.times {
                action = action.or(Some(fault.action));
            }
        }
    }
    action
}

/// A call for a part of the bytes, at least so many of them; `None` where it reads and writes none.
fn shortened(
    number: i64,
    mut arguments: [u64; 6],
    call: Call,
    part: u32,
    least: u64,
) -> Option<(i64, [u64; 6])> {
    let length = |whole: u64| (whole * u64::from(part) / 1000).clamp(least.min(whole), whole);
    match (call.kind, number) {
        (Kind::Write, libc::SYS_writev | libc::SYS_pwritev | libc::SYS_pwritev2) => {
            let first = parts(arguments).next()?;
            let [file, ..] = arguments;
            let count = length(first.iov_len as u64);
            let write = if number == libc::SYS_writev { libc::SYS_write } else { libc::SYS_pwrite64 };
            Some((write, [file, first.iov_base as u64, count, arguments[3], 0, 0]))
        }
        (Kind::Write | Kind::Read, _) => {
            arguments[2] = length(arguments[2]);
            Some((number, arguments))
        }
        _ => None,
    }
}

/// Kills the process, as the system's killer of processes and a user's `kill -9` do.
fn die() -> ! {
    loop {
        let process = raw::call_3(libc::SYS_getpid, 0, 0, 0) as u64;
        raw::call_3(libc::SYS_kill, process, libc::SIGKILL as u64, 0);
    }
}

/// A text on the stack.
struct Line {
    bytes: [u8; 2304],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

impl Line {
    fn push(&mut self, bytes: &[u8]) {
        let room = &mut self.bytes[self.length..];
        let count = bytes.len().min(room.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.length += count;
    }
}

#[allow(clippy::too_many_arguments, reason = "all that is known of a call")]
fn write_down(
    state: &State,
    number: i64,
    arguments: [u64; 6],
    call: Call,
    (path, to): (&Name, &Name),
    result: i64,
    is_fault: bool,
) {
    let has_data = state.keeps_data() && call.kind == Kind::Write && result > 0;
    let length = if has_data { result as usize } else { 0 };
    let mut line = Line { bytes: [0; 2304], length: 0 };
    line.push(&[call.kind as u8, b'\t', if is_fault { b'!' } else { b'-' }]);
    // Writing to a line cannot fail.
    let _ = write!(line, "\t{}\t{result}\t{length}\t", call.offset);
    line.push(path.bytes());
    line.push(b"\t");
    line.push(to.bytes());
    line.push(b"\n");
    state.write_down(&line.bytes[..line.length]);
    if !has_data {
        return;
    }
    let write = |address: u64, length: usize| {
        // SAFETY: the call has just read these bytes from the program's memory.
        state.write_down(unsafe { std::slice::from_raw_parts(address as *const u8, length) });
    };
    if matches!(number, libc::SYS_write | libc::SYS_pwrite64) {
        write(arguments[1], length);
    } else {
        let mut left = length;
        for part in parts(arguments) {
            let count = part.iov_len.min(left);
            write(part.iov_base as u64, count);
            left -= count;
        }
    }
}
