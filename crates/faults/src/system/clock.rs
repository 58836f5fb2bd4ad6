//! A time that passes only where the program or the plan says so.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{raw, state};

/// What the clocks show at the beginning, in nanoseconds: a moment long after the machine was started, and the first of December
/// 2026.
const MONOTONIC: u64 = 1_000_000 * 1_000_000_000;
const REAL: u64 = 1_796_083_200 * 1_000_000_000;

/// Nanoseconds that have passed since.
static PASSED: AtomicU64 = AtomicU64::new(0);

/// A thread that sleeps until a time comes.
struct Sleeper {
    /// The thread; 0 where the place is free.
    thread: AtomicU64,
    /// Until when it sleeps; 0 while it is awake.
    until: AtomicU64,
    /// The word of memory on which it waits, and how.
    word: AtomicU64,
    how: AtomicU64,
}

static SLEEPERS: [Sleeper; 16] = [const {
    Sleeper {
        thread: AtomicU64::new(0),
        until: AtomicU64::new(0),
        word: AtomicU64::new(0),
        how: AtomicU64::new(0),
    }
}; 16];

fn is_virtual() -> bool {
    state::get().is_some_and(|state| state.is_virtual)
}

/// The clock as the whole program reads it, in place of libc's function.
///
/// # Safety
/// As for libc's: `to` points to a `timespec` that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, to: *mut libc::timespec) -> libc::c_int {
    let began = match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_TAI => REAL,
        libc::CLOCK_MONOTONIC
        | libc::CLOCK_MONOTONIC_RAW
        | libc::CLOCK_MONOTONIC_COARSE
        | libc::CLOCK_BOOTTIME => MONOTONIC,
        _ => 0,
    };
    if began == 0 || !is_virtual() {
        return if raw::call_3(libc::SYS_clock_gettime, clock as u64, to as u64, 0) == 0 { 0 } else { -1 };
    }
    // SAFETY: the caller promises that `to` may be written.
    unsafe { *to = time(began + PASSED.load(Ordering::SeqCst)) };
    0
}

fn time(nanoseconds: u64) -> libc::timespec {
    libc::timespec {
        tv_sec: (nanoseconds / 1_000_000_000) as i64,
        tv_nsec: (nanoseconds % 1_000_000_000) as i64,
    }
}

fn nanoseconds(time: libc::timespec) -> u64 {
    (time.tv_sec.max(0) as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}

/// Lets time pass: nothing where the clock is the system's. Threads whose sleep ends then have done what they wake up for when
/// this returns, so that they come at the same moment each time. The caller holds no lock that they need.
pub fn advance(time: Duration) {
    if !is_virtual() {
        return;
    }
    let now = jump(time.as_nanos() as u64);
    for sleeper in &SLEEPERS {
        let until = sleeper.until.load(Ordering::SeqCst);
        if until != 0 && until <= now {
            wake(sleeper);
            wait_until_at_rest(sleeper, now);
        }
    }
}

/// Time passes, and nobody is waited for; what the clock shows then.
pub(super) fn jump(nanoseconds: u64) -> u64 {
    PASSED.fetch_add(nanoseconds, Ordering::SeqCst) + nanoseconds
}

fn wake(sleeper: &Sleeper) {
    let private = sleeper.how.load(Ordering::SeqCst) & libc::FUTEX_PRIVATE_FLAG as u64;
    let word = sleeper.word.load(Ordering::SeqCst);
    if word != 0 {
        raw::call_3(libc::SYS_futex, word, libc::FUTEX_WAKE as u64 | private, i32::MAX as u64);
    }
}

/// Waits until a thread that was woken sleeps again, waits for something else, or has ended.
fn wait_until_at_rest(sleeper: &Sleeper, now: u64) {
    let mut waiting = 0;
    // Two seconds of the system's time at most, in case that it never comes to rest.
    for _ in 0..100_000 {
        let until = sleeper.until.load(Ordering::SeqCst);
        if until > now {
            return;
        }
        if until == 0 {
            match thread_state(sleeper.thread.load(Ordering::SeqCst)) {
                Some(b'S') => waiting += 1,
                Some(_) => waiting = 0,
                None => return,
            }
            if waiting == 5 {
                return;
            }
        }
        pause(20_000);
    }
}

/// The letter that stands for what a thread of this process does; `None` where it has ended.
fn thread_state(thread: u64) -> Option<u8> {
    let mut path = *b"/proc/self/task/0000000000/stat\0";
    let mut left = thread;
    for digit in path[16..26].iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
    // The system takes no leading zeros.
    let skip = path[16..26].iter().take_while(|&&digit| digit == b'0').count().min(9);
    path.copy_within(16 + skip.., 16);
    let file = raw::call_3(libc::SYS_open, path.as_ptr() as u64, libc::O_RDONLY as u64, 0);
    let file = u64::try_from(file).ok()?;
    let mut text = [0_u8; 128];
    let read = raw::call_3(libc::SYS_read, file, text.as_mut_ptr() as u64, text.len() as u64);
    raw::call_3(libc::SYS_close, file, 0, 0);
    let text = &text[..usize::try_from(read).ok()?];
    // `1234 (name) S ...`
    let end = text.iter().rposition(|&byte| byte == b')')?;
    text.get(end + 2).copied()
}

/// Waits for some of the system's time.
fn pause(nanoseconds: u64) {
    let time = time(nanoseconds);
    raw::call_3(libc::SYS_nanosleep, (&raw const time) as u64, 0, 0);
}

/// A call that waits until a time comes, or until it is woken before.
pub(super) fn sleep(number: i64, arguments: [u64; 6]) -> i64 {
    if !is_virtual() {
        return raw::call(number, arguments);
    }
    let read = |address: u64| {
        // SAFETY: the program gives the address of a time to a call that reads it there.
        nanoseconds(unsafe { *(address as *const libc::timespec) })
    };
    let now = PASSED.load(Ordering::SeqCst);
    let began = |is_real: bool| if is_real { REAL } else { MONOTONIC };
    let until = match number {
        libc::SYS_futex => {
            let is_real = arguments[1] & libc::FUTEX_CLOCK_REALTIME as u64 != 0;
            read(arguments[3]).saturating_sub(began(is_real))
        }
        libc::SYS_clock_nanosleep if arguments[1] & libc::TIMER_ABSTIME as u64 != 0 => {
            read(arguments[2]).saturating_sub(began(arguments[0] == libc::CLOCK_REALTIME as u64))
        }
        libc::SYS_clock_nanosleep => now.saturating_add(read(arguments[2])),
        _ => now.saturating_add(read(arguments[0])),
    };
    if until <= now {
        return if number == libc::SYS_futex { -i64::from(libc::ETIMEDOUT) } else { 0 };
    }
    let thread = raw::call_3(libc::SYS_gettid, 0, 0, 0) as u64;
    let is_main = thread == raw::call_3(libc::SYS_getpid, 0, 0, 0) as u64;
    if is_main && number != libc::SYS_futex {
        // Nobody else lets time pass while the program's first thread sleeps.
        PASSED.fetch_max(until, Ordering::SeqCst);
        return 0;
    }
    let place = SLEEPERS.iter().find(|sleeper| {
        sleeper.thread.load(Ordering::SeqCst) == thread
            || sleeper.thread.compare_exchange(0, thread, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    });
    let result = wait(number, arguments, until, place, is_main);
    if let Some(sleeper) = place {
        sleeper.until.store(0, Ordering::SeqCst);
    }
    result
}

fn wait(number: i64, arguments: [u64; 6], until: u64, place: Option<&Sleeper>, is_main: bool) -> i64 {
    let is_futex = number == libc::SYS_futex;
    if let Some(sleeper) = place {
        sleeper.word.store(if is_futex { arguments[0] } else { 0 }, Ordering::SeqCst);
        sleeper.how.store(arguments[1], Ordering::SeqCst);
        sleeper.until.store(until, Ordering::SeqCst);
    }
    let mut rounds = 0_u64;
    loop {
        let now = PASSED.load(Ordering::SeqCst);
        if now >= until {
            return if is_futex { -i64::from(libc::ETIMEDOUT) } else { 0 };
        }
        // The system's time, in rounds, in case that nobody wakes it when its own time has come.
        let round = 20_000_000;
        if is_main && rounds * round > until - now {
            PASSED.fetch_max(until, Ordering::SeqCst);
            continue;
        }
        rounds += 1;
        if !is_futex {
            pause(100_000);
            continue;
        }
        let mut real = time(0);
        raw::call_3(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC as u64, (&raw mut real) as u64, 0);
        let end = time(nanoseconds(real) + round);
        let [word, how, value, _, other, bits] = arguments;
        let how = how & !(libc::FUTEX_CLOCK_REALTIME as u64);
        let result = raw::call(number, [word, how, value, (&raw const end) as u64, other, bits]);
        if result != -i64::from(libc::ETIMEDOUT) && PASSED.load(Ordering::SeqCst) < until {
            return result;
        }
    }
}
