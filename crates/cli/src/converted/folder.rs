//! The user's cache folder: where it is, whose it is, how much it may hold.

use std::{
    collections::BTreeSet,
    env, fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::entry::{Cleared, Entry};
use crate::options::cache_folder;

/// Names how much the cache may hold.
const LIMIT: &str = "LANCER_CACHE_LIMIT";

/// Bytes that it may hold unless said otherwise.
const DEFAULT_LIMIT: u64 = 20_000_000_000;

/// The folder of what is remembered of models' files.
const KNOWN: &str = "known";

/// The folder of converted models: for its owner alone, so that nobody else can put a model there.
pub(crate) struct CacheFolder {
    path: PathBuf,
    limit: u64,
}

impl CacheFolder {
    /// Opens the folder, which is made where it is missing.
    ///
    /// # Errors
    /// Where it is another user's, or where its limit is no size.
    pub(crate) fn open() -> io::Result<Self> {
        let folder = cache_folder().ok_or_else(|| {
            io::Error::other("there is no cache folder; set LANCER_CACHE to a folder of your own")
        })?;
        let path = folder.join("converted");
        private(&path).map_err(|error| {
            let (kind, path) = (error.kind(), path.display());
            io::Error::new(
                kind,
                format!("the cache folder {path} cannot be used ({error}); set LANCER_CACHE to another"),
            )
        })?;
        Ok(Self { path, limit: limit()? })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that it may hold.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// The entry of a model's content in some form.
    pub(super) fn entry(&self, content: &str, form: &str) -> Entry {
        let form = format!("{:x}", Sha256::digest(form));
        Entry::new(&self.path, &format!("{content}-{}", &form[..16]))
    }

    /// Where it is remembered what files a path had, and what their content was.
    pub(super) fn known(&self, path: &Path) -> PathBuf {
        self.path.join(KNOWN).join(format!("{:x}", Sha256::digest(path.as_os_str().as_encoded_bytes())))
    }

    /// All entries, the one that was used longest ago first.
    pub(crate) fn entries(&self) -> io::Result<Vec<Entry>> {
        // By the locks and by the folders: one may be there without the other.
        let mut names = BTreeSet::new();
        for found in fs::read_dir(&self.path)? {
            if let Some(name) =
                found?.file_name().to_str().filter(|name| *name != KNOWN && !name.starts_with('.'))
            {
                names.insert(name.strip_suffix(".lock").unwrap_or(name).to_owned());
            }
        }
        let mut entries: Vec<Entry> = names.iter().map(|name| Entry::new(&self.path, name)).collect();
        entries.sort_by_cached_key(Entry::last_used);
        Ok(entries)
    }

    /// Removes entries until the rest is within the limit: those first that were used longest ago, none that is in use.
    pub(super) fn shrink(&self, except: Option<&Entry>) -> io::Result<()> {
        let entries = self.entries()?;
        let mut bytes: u64 = entries.iter().map(Entry::bytes).sum();
        for entry in entries.iter().filter(|entry| except != Some(entry)) {
            if bytes <= self.limit {
                break;
            }
            let its = entry.bytes();
            if entry.remove()? == Cleared::Removed {
                bytes -= its;
            }
        }
        self.forget()
    }

    /// Removes all entries that are not in use; what became of each.
    pub(crate) fn clear(&self) -> io::Result<Vec<(u64, Cleared)>> {
        lancer_output::clean(&self.path);
        let cleared = self.entries()?.iter().map(|entry| Ok((entry.bytes(), entry.remove()?))).collect();
        self.forget()?;
        cleared
    }

    /// Removes what is remembered of models that have no entry any more.
    fn forget(&self) -> io::Result<()> {
        let entries = self.entries()?;
        let Ok(known) = fs::read_dir(self.path.join(KNOWN)) else { return Ok(()) };
        for known in known.flatten() {
            let text = fs::read_to_string(known.path()).unwrap_or_default();
            let content = text.split(' ').nth(1).unwrap_or("none");
            if !entries.iter().any(|entry| entry.name().starts_with(content)) {
                let _ = fs::remove_file(known.path());
            }
        }
        Ok(())
    }
}

fn limit() -> io::Result<u64> {
    let Some(text) = env::var_os(LIMIT) else { return Ok(DEFAULT_LIMIT) };
    size(&text.to_string_lossy()).ok_or_else(|| {
        let text = text.to_string_lossy();
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{LIMIT} is `{text}`; it must be bytes, such as 500M or 20G"),
        )
    })
}

/// A number of bytes, with K, M, G or T for thousands of them.
fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "B" => 1,
        "K" | "KB" => 1_000,
        "M" | "MB" => 1_000_000,
        "G" | "GB" => 1_000_000_000,
        "T" | "TB" => 1_000_000_000_000,
        _ => return None,
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(factor)
}

/// Makes a folder for its owner alone, or checks that it is one.
#[cfg(unix)]
fn private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};

    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let about = fs::metadata(path)?;
    // A file of ours shows who we are.
    let trial = path.join(format!(".lancer-{}-{:?}", std::process::id(), std::thread::current().id()));
    let ours = fs::File::create(&trial)?.metadata()?.uid();
    fs::remove_file(&trial)?;
    if about.uid() != ours {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
    }
    if about.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Makes a folder; on other systems the user's cache folder is the user's alone.
#[cfg(not(unix))]
fn private(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_read() {
        assert_eq!(size("20G"), Some(20_000_000_000));
        assert_eq!(size("500 MB"), Some(500_000_000));
        assert_eq!(size("17"), Some(17));
        for wrong in ["", "G", "-1", "1.5G", "2X", "99999999999T"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
