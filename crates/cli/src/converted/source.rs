//! What a model's files hold, as one hash.
//!
//! To hash a model takes seconds for each gigabyte, so the hash is remembered with the state of the files: length, times,
//! and on Unix inode, device and the time of the last change of either, which no program can set back. So an edit that keeps
//! length and modification time is seen there; elsewhere it is not. A file that was changed within two seconds before it was
//! hashed is hashed again the next time, since its times may be too coarse to tell a later change.

use std::{
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lancer_output::{Existing, OutputError, Place};
use sha2::{Digest, Sha256};

use super::CacheFolder;

/// How long ago a file must have been changed for its times to tell that it is the same.
const SETTLED: Duration = Duration::from_secs(2);

/// A model's files as they are.
#[derive(PartialEq, Eq)]
pub(super) struct Source {
    /// Absolute.
    path: PathBuf,
    files: Vec<SourceFile>,
}

#[derive(PartialEq, Eq)]
struct SourceFile {
    path: PathBuf,
    bytes: u64,
    /// Nanoseconds since 1970 of the last change of the content, and of the content or anything else.
    changed: [i128; 2],
    /// Where the system has numbers of files: its own and its disk's.
    number: [u64; 2],
}

impl Source {
    /// The files of a model: itself, or those that are in its folder.
    pub(super) fn of(model: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(model)?;
        let mut paths = if path.is_dir() {
            fs::read_dir(&path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?
        } else {
            vec![path.clone()]
        };
        paths.sort();
        let mut files = Vec::new();
        for path in paths {
            let about = fs::metadata(&path)?;
            if about.is_file() {
                files.push(SourceFile::new(path, &about)?);
            }
        }
        Ok(Self { path, files })
    }

    /// The SHA-256 of all names and contents, in hexadecimal.
    pub(super) fn content(&self, cache: &CacheFolder) -> io::Result<String> {
        let (place, state) = (cache.known(&self.path), self.state());
        let known = fs::read_to_string(&place).unwrap_or_default();
        if let Some(content) = known.strip_prefix(&format!("{state} ")) {
            return Ok(content.trim_end().to_owned());
        }
        let begun = SystemTime::now();
        let content = self.hash()?;
        if Self::of(&self.path)? != *self {
            return Err(io::Error::other(
                "it was changed while it was read; run this again when nothing writes to it",
            ));
        }
        let latest = self.files.iter().flat_map(|file| file.changed).max().unwrap_or_default();
        if latest + (SETTLED.as_nanos() as i128) < nanoseconds(begun) {
            let write =
                |to: &Path| fs::write(to, format!("{state} {content}\n")).map_err(OutputError::write(to));
            // Without it the model is hashed again.
            let _ = Place::file(&place, Existing::Own).and_then(|place| place.write(write));
        }
        Ok(content)
    }

    fn hash(&self) -> io::Result<String> {
        let mut hasher = Sha256::new();
        for file in &self.files {
            // A file's own name is no part of a model that is this file.
            let name = if self.path.is_dir() {
                file.path.file_name().unwrap_or_default()
            } else {
                Default::default()
            };
            hasher.update((name.as_encoded_bytes().len() as u64).to_le_bytes());
            hasher.update(name.as_encoded_bytes());
            hasher.update(file.bytes.to_le_bytes());
            io::copy(&mut File::open(&file.path)?, &mut hasher)?;
        }
        Ok(format!("{:x}", hasher.finalize()))
    }

    /// A hash of what the files look like from outside.
    fn state(&self) -> String {
        let mut hasher = Sha256::new();
        for SourceFile { path, bytes, changed, number } in &self.files {
            hasher.update(format!("{:?} {bytes} {changed:?} {number:?}\n", path.file_name()));
        }
        format!("{:x}", hasher.finalize())
    }
}

impl SourceFile {
    #[cfg(unix)]
    #[expect(clippy::unnecessary_wraps, reason = "other systems may not know when a file was changed")]
    fn new(path: PathBuf, about: &Metadata) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        let changed =
            [nanoseconds(about.mtime(), about.mtime_nsec()), nanoseconds(about.ctime(), about.ctime_nsec())];
        Ok(Self { path, bytes: about.len(), changed, number: [about.ino(), about.dev()] })
    }

    #[cfg(not(unix))]
    fn new(path: PathBuf, about: &Metadata) -> io::Result<Self> {
        let changed = nanoseconds(about.modified()?);
        Ok(Self { path, bytes: about.len(), changed: [changed; 2], number: [0; 2] })
    }
}

fn nanoseconds(time: SystemTime) -> i128 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as i128
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "a step that fails fails its test")]
mod tests {
    use super::*;

    #[test]
    fn an_edit_that_keeps_length_and_time_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weights");
        fs::write(&file, "before").unwrap();
        let (before, modified) =
            (Source::of(&file).unwrap(), fs::metadata(&file).unwrap().modified().unwrap());
        // The system's clock for files may be coarse: until it has moved on.
        loop {
            fs::write(&file, "behind").unwrap();
            File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
            let after = Source::of(&file).unwrap();
            assert_eq!(after.files[0].changed[0], before.files[0].changed[0]);
            if after.files[0].changed[1] != before.files[0].changed[1] {
                assert_ne!(after.state(), before.state());
                break;
            }
        }
    }

    #[test]
    fn names_count_in_a_folder_and_not_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let hash = |path: &Path| Source::of(path).unwrap().hash().unwrap();
        let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
        for (path, name) in [(&one, "config.json"), (&other, "config2.json")] {
            fs::create_dir(path).unwrap();
            fs::write(path.join(name), "{}").unwrap();
        }
        assert_ne!(hash(&one), hash(&other));
        assert_eq!(hash(&one.join("config.json")), hash(&other.join("config2.json")));
    }
}
