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

/// A thread that has waited for something.
struct Thread {
    /// Its number; 0 where the place is free.
    number: AtomicU64,
    /// Until when it waits; 0 while it runs, and [`FOR_EVER`] where it waits for another thread alone.
    until: AtomicU64,
    /// The word of memory on which it waits, and how.
    word: AtomicU64,
    how: AtomicU64,
}

const FOR_EVER: u64 = u64::MAX;

static THREADS: [Thread; 64] = [const {
    Thread {
        number: AtomicU64::new(0),
        until: AtomicU64::new(0),
        word: AtomicU64::new(0),
        how: AtomicU64::new(0),
    }
}; 64];

fn is_virtual() -> bool {
    state::get().is_some_and(|state| state.is_virtual)
}

/// The clock as the whole program reads it, in place of libc's function.
///
/// # Safety
/// As for libc's: `to` points to a `timespec` that may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, to: *mut libc::timespec) -> libc::c_int {
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

/// Lets time pass: nothing where the clock is the system's. All other threads wait for something before it does, and again when
/// those whose time has come have done what they wake up for: so they do it at the same moment each time. The program's first
/// thread calls this, and holds no lock that they need.
pub fn advance(time: Duration) {
    if !is_virtual() {
        return;
    }
    settle();
    let now = jump(time.as_nanos() as u64);
    for thread in &THREADS {
        let until = thread.until.load(Ordering::SeqCst);
        if until != 0 && until <= now {
            let private = thread.how.load(Ordering::SeqCst) & libc::FUTEX_PRIVATE_FLAG as u64;
            let word = thread.word.load(Ordering::SeqCst);
            thread.until.store(0, Ordering::SeqCst);
            if word != 0 {
                raw::call_3(libc::SYS_futex, word, libc::FUTEX_WAKE as u64 | private, i32::MAX as u64);
            }
        }
    }
    settle();
}

/// Time passes, and nobody is waited for; what the clock shows then.
pub(super) fn jump(nanoseconds: u64) -> u64 {
    PASSED.fetch_add(nanoseconds, Ordering::SeqCst) + nanoseconds
}

/// Waits until every thread but this one waits for something, or has ended.
fn settle() {
    let own = own_number();
    for thread in &THREADS {
        // Two seconds of the system's time at most, in case that it never does.
        for round in 0..100_000 {
            let number = thread.number.load(Ordering::SeqCst);
            if number == 0 || number == own || thread.until.load(Ordering::SeqCst) != 0 {
                break;
            }
            // It may have ended, or wait in a call that is not handed over.
            match (round >= 20).then(|| thread_state(number)) {
                Some(None) => thread.number.store(0, Ordering::SeqCst),
                Some(Some(b'S')) if round % 20 == 19 => break,
                _ => pause(10_000),
            }
        }
    }
}

fn own_number() -> u64 {
    raw::call_3(libc::SYS_gettid, 0, 0, 0) as u64
}

/// The letter by which the system names the state of a thread of this process; `None` where the thread has ended.
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

/// A call by which a thread waits until a time comes or another thread wakes it, or wakes others.
pub(super) fn wait(number: i64, arguments: [u64; 6]) -> i64 {
    if !is_virtual() {
        return raw::call(number, arguments);
    }
    let is_futex = number == libc::SYS_futex;
    let [word, how, count, ..] = arguments;
    if is_futex {
        match how as i32 & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME) {
            libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET => {}
            libc::FUTEX_WAKE | libc::FUTEX_WAKE_BITSET => {
                let waits = |thread: &&Thread| {
                    thread.until.load(Ordering::SeqCst) != 0 && thread.word.load(Ordering::SeqCst) == word
                };
                // From here on they run.
                for thread in THREADS.iter().filter(waits).take(count as usize) {
                    thread.until.store(0, Ordering::SeqCst);
                }
                return raw::call(number, arguments);
            }
            _ => return raw::call(number, arguments),
        }
    }
    let now = PASSED.load(Ordering::SeqCst);
    let until = until(number, arguments, now);
    if until <= now {
        return if is_futex { -i64::from(libc::ETIMEDOUT) } else { 0 };
    }
    let own = own_number();
    let is_first = own == raw::call_3(libc::SYS_getpid, 0, 0, 0) as u64;
    if is_first && !is_futex {
        // Nobody else lets time pass while the program's first thread sleeps.
        PASSED.fetch_max(until, Ordering::SeqCst);
        return 0;
    }
    let place = THREADS.iter().find(|thread| {
        thread.number.load(Ordering::SeqCst) == own
            || thread.number.compare_exchange(0, own, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    });
    if let Some(thread) = place {
        thread.word.store(if is_futex { word } else { 0 }, Ordering::SeqCst);
        thread.how.store(how, Ordering::SeqCst);
        thread.until.store(until, Ordering::SeqCst);
    }
    let result = wait_until(number, arguments, until, is_first);
    if let Some(thread) = place {
        thread.until.store(0, Ordering::SeqCst);
    }
    result
}

/// Until when a call waits, since the beginning.
fn until(number: i64, arguments: [u64; 6], now: u64) -> u64 {
    let [clock, how, request, time, ..] = arguments;
    let read = |address: u64| {
        // SAFETY: the program gives the address of a time to a call that reads it there.
        nanoseconds(unsafe { *(address as *const libc::timespec) })
    };
    let since = |time: u64, is_real: bool| time.saturating_sub(if is_real { REAL } else { MONOTONIC });
    match number {
        libc::SYS_futex if time == 0 => FOR_EVER,
        // FUTEX_WAIT counts from now, the other from the clock's beginning.
        libc::SYS_futex if how & 0x7f == libc::FUTEX_WAIT as u64 => now.saturating_add(read(time)),
        libc::SYS_futex => since(read(time), how & libc::FUTEX_CLOCK_REALTIME as u64 != 0),
        libc::SYS_clock_nanosleep if how & libc::TIMER_ABSTIME as u64 != 0 => {
            since(read(request), clock == libc::CLOCK_REALTIME as u64)
        }
        libc::SYS_clock_nanosleep => now.saturating_add(read(request)),
        _ => now.saturating_add(read(clock)),
    }
}

fn wait_until(number: i64, arguments: [u64; 6], until: u64, is_first: bool) -> i64 {
    /// The system's time, in rounds, in case that nobody wakes the thread when its own time has come.
    const ROUND: u64 = 20_000_000;
    let is_futex = number == libc::SYS_futex;
    let [word, how, value, _, other, bits] = arguments;
    if until == FOR_EVER {
        return raw::call(number, arguments);
    }
    let mut waited = 0;
    loop {
        let now = PASSED.load(Ordering::SeqCst);
        if now >= until {
            return if is_futex { -i64::from(libc::ETIMEDOUT) } else { 0 };
        }
        if is_first && waited > until - now {
            PASSED.fetch_max(until, Ordering::SeqCst);
            continue;
        }
        if !is_futex {
            pause(100_000);
            continue;
        }
        waited += ROUND;
        let how = how & libc::FUTEX_PRIVATE_FLAG as u64 | libc::FUTEX_WAIT as u64;
        let round = time(ROUND);
        let result = raw::call(number, [word, how, value, (&raw const round) as u64, other, bits]);
        if result != -i64::from(libc::ETIMEDOUT) && PASSED.load(Ordering::SeqCst) < until {
            return result;
        }
    }
}
