//! What a process may take of memory and of the processor's time.

/// Limits this process: beyond so many bytes of memory an allocation fails, and after so many seconds of the processor's time the
/// system ends it. For a process that is to try what may take both without bound.
#[allow(unsafe_code, reason = "calls to the system")]
pub fn limit_process(bytes: u64, seconds: u64) {
    for (resource, limit) in [(libc::RLIMIT_AS, bytes), (libc::RLIMIT_CPU, seconds), (libc::RLIMIT_CORE, 0)] {
        let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
        // SAFETY: the call reads the struct that it is given a pointer to. Where it fails nothing is limited.
        unsafe { libc::setrlimit(resource, &raw const limit) };
    }
}
