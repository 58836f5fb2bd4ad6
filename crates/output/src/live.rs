//! The scratch folders of this process, so that it can remove them when it ends early.

use std::{
    fs, mem,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Scratch folders, each with the folders that were made for its output.
static LIVE: Mutex<Vec<Live>> = Mutex::new(Vec::new());

/// Attempts to remove a folder into which another thread may be writing.
const ATTEMPTS: u32 = 100;

pub(crate) struct Live {
    pub(crate) scratch: PathBuf,
    /// The innermost last.
    pub(crate) made: Vec<PathBuf>,
}

impl Live {
    /// Removes the scratch folder, and what was made for the output as far as it is empty.
    fn remove(&self) {
        for _ in 0..ATTEMPTS {
            match fs::remove_dir_all(&self.scratch) {
                Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {}
                _ => break,
            }
        }
        for folder in self.made.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// While this is held, no output is begun, put into its place or abandoned.
pub(crate) fn hold() -> MutexGuard<'static, Vec<Live>> {
    // The list is whole at every moment.
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a scratch folder off the list and removes it.
pub(crate) fn remove(live: &mut Vec<Live>, scratch: &Path) {
    if let Some(place) = live.iter().position(|one| one.scratch == scratch) {
        live.swap_remove(place).remove();
    }
}

/// Removes every output of this process that is not finished. None can be begun or finished after this: a thread that tries
/// waits for ever, so the process must end now.
pub fn abandon_all() {
    let mut live = hold();
    live.drain(..).for_each(|one| one.remove());
    mem::forget(live);
}
