//! The hashes of files, some of which are large: one that has not been touched since it was hashed is not read again.

use std::{
    fs::{self, Metadata},
    path::Path,
    time::{Duration, SystemTime},
};

use lancer_model::{ContentHash, ModelContent, ModelFiles};

use crate::{error::EvolveError, ledger::Ledger};

/// A file that was changed so shortly ago may be changed again within the same tick of the disk's clock. So its state is not
/// taken for its content.
const SETTLED: Duration = Duration::from_secs(3);

/// Hashes files, remembering in the ledger what they were.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hashing<'a> {
    ledger: &'a Ledger,
}

impl<'a> Hashing<'a> {
    pub(crate) fn new(ledger: &'a Ledger) -> Self {
        Self { ledger }
    }

    /// A file's size and SHA-256.
    pub(crate) fn of_file(self, path: &Path) -> Result<(u64, String), EvolveError> {
        let failed = |source| EvolveError::Io { action: "read", path: path.into(), source };
        let before = fs::metadata(path).map_err(failed)?;
        let state = state(&before);
        if let Some(known) = self.ledger.hashed(path, &state)? {
            return Ok((before.len(), known));
        }
        let now = SystemTime::now();
        let hash = ContentHash::of_file(path)?.to_string();
        let after = fs::metadata(path).map_err(failed)?;
        if is_settled(&before, now) && self::state(&after) == state {
            self.ledger.set_hashed(path, &state, &hash)?;
        }
        Ok((after.len(), hash))
    }

    /// The content of a model as one hash.
    pub(crate) fn of_model(self, path: &Path) -> Result<String, EvolveError> {
        let hash = |path: &Path| -> Result<ContentHash, EvolveError> {
            let (_, hash) = self.of_file(path)?;
            // A hash that the ledger holds and cannot be read as one is taken anew.
            hash.parse().or_else(|_| Ok(ContentHash::of_file(path)?))
        };
        let content = match ModelFiles::of(path)? {
            ModelFiles::File(file) => ModelContent::File(hash(&file)?),
            ModelFiles::Folder(files) => ModelContent::Folder(
                files
                    .into_iter()
                    .map(|(name, file)| Ok((name, hash(&file)?)))
                    .collect::<Result<_, EvolveError>>()?,
            ),
        };
        Ok(content.hash().to_string())
    }
}

/// What is seen of a file without reading it: its size, when it was written, and on Unix when anything about it was changed
/// (which no program can set back) and which file it is.
fn state(metadata: &Metadata) -> String {
    let since =
        |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let written = metadata.modified().map_or(0, since);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (device, inode) = (metadata.dev(), metadata.ino());
        let (changed, nanoseconds) = (metadata.ctime(), metadata.ctime_nsec());
        format!("{} {written} {changed}.{nanoseconds:09} {device}:{inode}", metadata.len())
    }
    #[cfg(not(unix))]
    format!("{} {written}", metadata.len())
}

/// Whether a file was last changed long enough before `now`.
fn is_settled(metadata: &Metadata, now: SystemTime) -> bool {
    let old = |time: SystemTime| now.duration_since(time).is_ok_and(|age| age >= SETTLED);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let seconds = u64::try_from(metadata.ctime()).unwrap_or(0);
        if !old(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)) {
            return false;
        }
    }
    metadata.modified().is_ok_and(old)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_file_is_read_again_only_where_it_was_touched() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("ledger.sqlite")).unwrap();
        let path = folder.path().join("a");
        let hashing = Hashing::new(&ledger);
        fs::write(&path, "one").unwrap();
        let one = hashing.of_file(&path).unwrap();
        // Just written: it may be written again in the same tick, so nothing is remembered.
        let state_now = || state(&fs::metadata(&path).unwrap());
        assert_eq!(ledger.hashed(&path, &state_now()).unwrap(), None);

        // What is remembered is believed while the state is the same, and only then.
        ledger.set_hashed(&path, &state_now(), "remembered").unwrap();
        assert_eq!(hashing.of_file(&path).unwrap().1, "remembered");
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "two").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        let two = hashing.of_file(&path).unwrap();
        assert_eq!((two.0, two.1 == one.1), (3, false));
        #[cfg(unix)]
        assert_eq!(two.1, ContentHash::of_bytes(b"two").to_string());
    }
}
