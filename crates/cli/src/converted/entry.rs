//! One model in the cache: its folder, and the lock beside it.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

/// The file in an entry that says what it was made from.
const SOURCE: &str = "source";

/// Locks of what this process uses, until it ends.
static IN_USE: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// One model in the cache.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    folder: PathBuf,
    lock: PathBuf,
}

/// What became of an entry that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cleared {
    Removed,
    /// A process uses it or makes it.
    InUse,
}

impl Entry {
    pub(super) fn new(cache: &Path, name: &str) -> Self {
        Self { folder: cache.join(name), lock: cache.join(format!("{name}.lock")) }
    }

    /// The entry's folder.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    pub(super) fn name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Marks a whole entry as used, so that nobody removes it until this process ends; `false` where there is none.
    pub(super) fn take(&self) -> io::Result<bool> {
        if !self.is_whole() {
            return Ok(false);
        }
        let Some(lock) = self.locked(File::lock_shared)? else { return Ok(false) };
        if !self.is_whole() {
            return Ok(false);
        }
        // The order in which entries are removed may be off where the system refuses this.
        let _ = lock.set_modified(SystemTime::now());
        IN_USE.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
        Ok(true)
    }

    /// The right to make the entry, once no other process makes or uses it; `None` where another has made it meanwhile.
    pub(super) fn begin(&self) -> io::Result<Option<File>> {
        let mut is_first = true;
        let lock = self.locked(|lock| match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                is_first = false;
                // Until it is made. Who uses it then has a shared lock too, so that nobody waits for the end of a use.
                lock.lock_shared()
            }
            _ => Ok(()),
        })?;
        Ok(lock.filter(|_| is_first && !self.is_whole()))
    }

    /// Notes in a folder that is to become the entry what it is made from.
    pub(super) fn describe(folder: &Path, source: &Path) -> io::Result<()> {
        fs::write(folder.join(SOURCE), std::path::absolute(source)?.as_os_str().as_encoded_bytes())
    }

    /// What it was made from.
    pub(crate) fn source(&self) -> String {
        fs::read(self.folder.join(SOURCE))
            .map(|path| String::from_utf8_lossy(&path).into_owned())
            .unwrap_or_default()
    }

    /// When it was last used.
    pub(crate) fn last_used(&self) -> SystemTime {
        fs::metadata(&self.lock).and_then(|lock| lock.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// The bytes of its files.
    pub(crate) fn bytes(&self) -> u64 {
        bytes(&self.folder)
    }

    /// Whether a process uses or makes it.
    pub(crate) fn is_in_use(&self) -> bool {
        File::open(&self.lock).is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Removes it, unless it is in use.
    pub(super) fn remove(&self) -> io::Result<Cleared> {
        let lock = self.open_lock()?;
        if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            return Ok(Cleared::InUse);
        }
        self.remove_files()?;
        match fs::remove_file(&self.lock) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(Cleared::Removed),
        }
    }

    /// Removes what it holds. The caller has the right to make it anew.
    pub(super) fn remove_files(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether it is there as it was written.
    fn is_whole(&self) -> bool {
        self.folder.join(lancer_output::FILES).exists() && lancer_output::check_written(&self.folder).is_ok()
    }

    /// The lock once it is held; `None` where it was removed meanwhile.
    fn locked(&self, take: impl FnOnce(&File) -> io::Result<()>) -> io::Result<Option<File>> {
        let lock = self.open_lock()?;
        // Where the file system has no locks, an entry is still whole or absent.
        if let Err(error) = take(&lock)
            && error.kind() == io::ErrorKind::Interrupted
        {
            return Ok(None);
        }
        Ok(is_at(&lock, &self.lock)?.then_some(lock))
    }

    fn open_lock(&self) -> io::Result<File> {
        File::options().read(true).write(true).create(true).truncate(false).open(&self.lock)
    }
}

/// Whether an open file still has its name.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    match fs::metadata(path) {
        Ok(found) => Ok(found.ino() == file.metadata()?.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether an open file still has its name: elsewhere an open file cannot be removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

fn bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => bytes(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}
