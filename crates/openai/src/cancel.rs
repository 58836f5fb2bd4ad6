//! Calling off a call whose requests are in flight in several threads.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often whoever waits for something else looks whether the call was called off.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Whether a call was called off. Its clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cancel(Arc<(Mutex<bool>, Condvar)>);

impl Cancel {
    /// Calls off.
    pub(crate) fn set(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    pub(crate) fn is_set(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a time, or until it is called off.
    pub(crate) fn wait(&self, time: Duration) {
        let end = Instant::now() + time;
        let mut is_set = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !*is_set {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            is_set = self.0.1.wait_timeout(is_set, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
