//! The list of its files that lancer leaves in a folder, by which it knows the folder again.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use crate::{OutputError, stale};

/// The list's name within a folder.
pub const FILES: &str = ".lancer-files";

const HEADER: &str = "# What lancer wrote into this folder: bytes, time of the last change, name. lancer replaces the folder, \
                      if asked to, as long as it holds nothing else.";

/// A file as it was written.
#[derive(Debug, PartialEq, Eq)]
struct Written {
    bytes: u64,
    /// Nanoseconds since 1970.
    changed: u128,
}

impl Written {
    fn of(found: &Metadata) -> io::Result<Self> {
        let changed = found.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self { bytes: found.len(), changed: changed.as_nanos() })
    }
}

/// Writes the list of all files that are in a folder, and the folder, to disk.
pub(crate) fn list(folder: &Path) -> io::Result<()> {
    let mut text = format!("{HEADER}\n");
    for (file, found) in all(folder)? {
        let Written { bytes, changed } = Written::of(&found)?;
        let name = name(&file);
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{bytes} {changed} {name}");
    }
    fs::write(folder.join(FILES), text)
}

/// Removes the list, if there is one.
pub(crate) fn unlist(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(FILES)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether lancer wrote all that is in a folder which holds something.
///
/// # Errors
/// [`OutputError::Foreign`] and [`OutputError::Changed`], which name a file.
pub fn check(folder: &Path) -> Result<(), OutputError> {
    let failed = || OutputError::io("read", folder);
    let files = all(folder).map_err(failed())?;
    if files.is_empty() && !folder.join(FILES).exists() {
        // Folders only.
        let first = fs::read_dir(folder).map_err(failed())?.flatten().next();
        let file = first.map_or_else(PathBuf::new, |entry| entry.file_name().into());
        return Err(OutputError::Foreign { folder: folder.into(), file });
    }
    let listed = match fs::read_to_string(folder.join(FILES)) {
        Ok(text) => parse(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
        // No text, so none of ours.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => BTreeMap::new(),
        Err(error) => return Err(failed()(error)),
    };
    for (file, found) in &files {
        let Some(written) = listed.get(&name(file)).filter(|_| found.is_file()) else {
            return Err(OutputError::Foreign { folder: folder.into(), file: file.clone() });
        };
        if *written != Written::of(found).map_err(failed())? {
            return Err(OutputError::Changed { folder: folder.into(), file: file.clone() });
        }
    }
    Ok(())
}

fn parse(text: &str) -> BTreeMap<String, Written> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut parts = line.splitn(3, ' ');
            let (bytes, changed) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            Some((parts.next()?.to_owned(), Written { bytes, changed }))
        })
        .collect()
}

/// A path within a folder, as the list has it.
fn name(file: &Path) -> String {
    file.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Everything in a folder that is no folder itself, by its path within it, but for the list and for scratch folders.
fn all(folder: &Path) -> io::Result<Vec<(PathBuf, Metadata)>> {
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(within) = folders.pop() {
        for entry in fs::read_dir(folder.join(&within))? {
            let entry = entry?;
            let path = within.join(entry.file_name());
            let is_ours = within.as_os_str().is_empty()
                && (entry.file_name() == FILES || stale::is_scratch(&entry.file_name()));
            // Of a symbolic link itself: what is behind it is not in the folder.
            let about = entry.metadata()?;
            if about.is_dir() && !is_ours {
                folders.push(path);
            } else if !is_ours {
                found.push((path, about));
            }
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}

/// Gives files and folders the permissions that new ones have here, and writes them to disk.
///
/// Some libraries write by way of files that are for their owner alone.
pub(crate) fn settle(path: &Path, plain: &Plain) -> io::Result<()> {
    let about = fs::symlink_metadata(path)?;
    if about.is_dir() {
        for entry in fs::read_dir(path)? {
            settle(&entry?.path(), plain)?;
        }
        sync_folder(path)
    } else if about.is_file() {
        plain.apply(path, &about)?;
        File::open(path)?.sync_all()
    } else {
        Ok(())
    }
}

/// Writes what a folder lists to disk, where the system can.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The permissions of a new file.
pub(crate) struct Plain(fs::Permissions);

impl Plain {
    /// Those that the system gives to a file in this folder.
    pub(crate) fn within(folder: &Path) -> io::Result<Self> {
        let path = folder.join(".plain");
        let permissions = File::create_new(&path)?.metadata()?.permissions();
        fs::remove_file(path)?;
        Ok(Self(permissions))
    }

    fn apply(&self, path: &Path, about: &Metadata) -> io::Result<()> {
        if about.permissions() == self.0 { Ok(()) } else { fs::set_permissions(path, self.0.clone()) }
    }
}
