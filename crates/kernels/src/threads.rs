//! Keeps rayon's threads awake while short operations follow one another: waking a thread takes longer than such an operation.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use rayon::Yield;

/// Runs `work` in one of rayon's threads, while the others look for parts of it without falling asleep in between. They
/// give way to other threads of the system.
pub fn with_threads_awake<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    /// Set when the work is done, or has panicked.
    struct Done<'a>(&'a AtomicBool);

    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }

    let is_done = AtomicBool::new(false);
    rayon::scope(|scope| {
        let done = Done(&is_done);
        for _ in 1..rayon::current_num_threads() {
            scope.spawn(|_| {
                while !is_done.load(Ordering::Acquire) {
                    if rayon::yield_now() != Some(Yield::Executed) {
                        thread::yield_now();
                    }
                }
            });
        }
        let result = work();
        drop(done);
        result
    })
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn work_is_done_in_all_threads_and_ends() {
        for _ in 0..100 {
            let sum = with_threads_awake(|| (0..1000_u64).into_par_iter().sum::<u64>());
            assert_eq!(sum, 499_500);
        }
    }

    #[test]
    fn a_panic_ends_it() {
        let result = std::panic::catch_unwind(|| with_threads_awake(|| panic!("on purpose")));
        assert!(result.is_err());
    }
}
