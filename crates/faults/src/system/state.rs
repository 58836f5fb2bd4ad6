//! The plan that is in force, and what has been counted, where a handler can read it.

use std::{
    ffi::CString,
    os::unix::ffi::OsStrExt,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use super::raw;
use crate::{Action, Clock, Kinds, Plan};

/// The plan as the handler uses it: nothing here is allocated or freed while a call is handled.
pub(super) struct State {
    pub(super) folder: Vec<u8>,
    pub(super) faults: Vec<Planned>,
    /// The file in which calls are written down.
    record: Option<u64>,
    with_data: bool,
    pub(super) is_virtual: bool,
    /// What the source of random numbers gives next.
    random: Option<AtomicU64>,
    /// Held while a call is counted, made and written down, so that these are one.
    busy: AtomicBool,
}

/// A fault and how many calls it has been compared with.
pub(super) struct Planned {
    pub(super) kinds: Kinds,
    pub(super) within: Vec<u8>,
    pub(super) after: u32,
    pub(super) times: u32,
    pub(super) action: Action,
    pub(super) met: AtomicU32,
}

static STATE: OnceLock<State> = OnceLock::new();

/// The state, once a plan is in force.
pub(super) fn get() -> Option<&'static State> {
    STATE.get()
}

/// Puts a plan in force.
pub(super) fn set(plan: &Plan) {
    let record = plan.record.as_ref().and_then(|path| {
        let path = CString::new(path.as_os_str().as_bytes()).ok()?;
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_CLOEXEC;
        let file = raw::call_3(libc::SYS_open, path.as_ptr() as u64, flags as u64, 0o644);
        // High, so that the program's own files have the numbers that they would have.
        let high = raw::call_3(libc::SYS_fcntl, file as u64, libc::F_DUPFD_CLOEXEC as u64, 500);
        raw::call_3(libc::SYS_close, file as u64, 0, 0);
        u64::try_from(high).ok()
    });
    let faults = plan.faults.iter().map(|fault| Planned {
        kinds: fault.kinds,
        within: fault.within.clone().into_bytes(),
        after: fault.after,
        times: fault.times,
        action: fault.action,
        met: AtomicU32::new(0),
    });
    let _ = STATE.set(State {
        folder: plan.folder.as_os_str().as_bytes().to_vec(),
        faults: faults.collect(),
        record,
        with_data: plan.with_data,
        is_virtual: plan.clock == Clock::Virtual,
        random: plan.seed.map(|seed| AtomicU64::new(seed | 1)),
        busy: AtomicBool::new(false),
    });
}

impl State {
    /// Waits until no other thread's call is handled.
    pub(super) fn begin(&self) {
        while self.busy.swap(true, Ordering::Acquire) {
            raw::call_3(libc::SYS_sched_yield, 0, 0, 0);
        }
    }

    pub(super) fn end(&self) {
        self.busy.store(false, Ordering::Release);
    }

    /// Whether bytes that are written are written down.
    pub(super) fn keeps_data(&self) -> bool {
        self.record.is_some() && self.with_data
    }

    /// Writes bytes down.
    pub(super) fn write_down(&self, mut bytes: &[u8]) {
        let Some(file) = self.record else { return };
        while !bytes.is_empty() {
            let written = raw::call_3(libc::SYS_write, file, bytes.as_ptr() as u64, bytes.len() as u64);
            if written <= 0 {
                return;
            }
            bytes = &bytes[written as usize..];
        }
    }

    /// Eight random bytes of the plan's own source (xorshift64*, Vigna 2016); `None` where the plan leaves it to the system.
    pub(super) fn random(&self) -> Option<u64> {
        let source = self.random.as_ref()?;
        let mut state = source.load(Ordering::Relaxed);
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        source.store(state, Ordering::Relaxed);
        Some(state.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }
}
