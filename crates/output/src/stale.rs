//! Scratch folders of processes that were killed.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::Path,
};

use crate::files::{self, FILES, sync_folder};

pub(crate) const PREFIX: &str = ".lancer-";
pub(crate) const SUFFIX: &str = ".partial";

/// Within a scratch folder: a finished folder whose files are being moved to where the scratch folder is.
pub(crate) const READY: &str = ".ready";
/// Within a scratch folder: what the output takes the place of.
pub(crate) const REPLACED: &str = ".replaced";

/// Whether a name is one of a scratch file or folder.
pub fn is_scratch(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
}

/// Locks a scratch folder for this process, as long as the file lives; `None` where the system has no locks on folders.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] where another process took it for one that was left behind, and `WouldBlock` where another
/// process uses it.
pub(crate) fn lock(scratch: &Path) -> io::Result<Option<File>> {
    if cfg!(not(unix)) {
        return Ok(None);
    }
    let folder = File::open(scratch)?;
    match folder.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
        // A file system without locks.
        Err(fs::TryLockError::Error(_)) => return Ok(None),
    }
    // It may have been removed before it was locked.
    fs::symlink_metadata(scratch)?;
    Ok(Some(folder))
}

/// Removes what processes that were killed have left in `folder`; a beginning output does so itself. What cannot be removed stays: it is no part of an
/// output.
pub fn clean(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_folder || !is_scratch(&entry.file_name()) {
            continue;
        }
        let scratch = entry.path();
        if let Ok(Some(_lock)) = lock(&scratch)
            && (!scratch.join(READY).exists() || move_up(&scratch, folder).is_ok())
        {
            let _ = fs::remove_dir_all(&scratch);
        }
    }
}

/// Moves a finished folder's files out of a scratch folder into the folder around it, in place of those that the list there
/// names. Begun again after a kill, it goes on.
///
/// The lists move last, and so tell how far this came: while the list of the old files is there, so may be old files; then,
/// while the new list is not there, some new files may not be.
pub(crate) fn move_up(scratch: &Path, folder: &Path) -> io::Result<()> {
    let ready = scratch.join(READY);
    if ready.join(FILES).exists() {
        if folder.join(FILES).exists() {
            // Files may have been added since the kill.
            files::check(folder).map_err(io::Error::other)?;
            let replaced = scratch.join(REPLACED);
            fs::create_dir_all(&replaced)?;
            move_all(folder, &replaced)?;
        }
        move_all(&ready, folder)?;
    }
    sync_folder(folder)
}

/// Moves what is in one folder to another, the list last.
fn move_all(from: &Path, to: &Path) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        if !is_scratch(&name) && name != FILES {
            names.push(name);
        }
    }
    for name in names.iter().map(std::ffi::OsString::as_os_str).chain([OsStr::new(FILES)]) {
        let place = to.join(name);
        if fs::symlink_metadata(&place).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{} is there", place.display()),
            ));
        }
        fs::rename(from.join(name), place)?;
    }
    Ok(())
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "a step that fails fails its test")]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The files of a folder with their texts, but for the list.
    fn texts(folder: &Path) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if entry.path().is_dir() {
                texts.extend(
                    self::texts(&entry.path())
                        .into_iter()
                        .map(|(file, text)| (format!("{name}/{file}"), text)),
                );
            } else if name != FILES {
                texts.insert(name, fs::read_to_string(entry.path()).unwrap());
            }
        }
        texts
    }

    fn fill(folder: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        files::list(folder).unwrap();
    }

    const OLD: &[(&str, &str)] = &[("weights", "old"), ("only_old", "old"), ("below/graph", "old")];
    const NEW: &[(&str, &str)] = &[("weights", "new"), ("only_new", "new"), ("below/graph", "new")];

    /// A folder with old files, and within it a scratch folder whose new ones are to be moved up.
    fn interrupted(root: &Path) -> std::path::PathBuf {
        let scratch = root.join(".lancer-killed.partial");
        fill(root, OLD);
        fill(&scratch.join(READY), NEW);
        fs::create_dir_all(scratch.join(REPLACED)).unwrap();
        scratch
    }

    #[test]
    fn a_replacement_that_was_killed_at_any_rename_is_completed() {
        let moves: Vec<(&str, &str, &str)> = ["weights", "only_old", "below", FILES]
            .map(|name| (name, "", REPLACED))
            .into_iter()
            .chain(["weights", "only_new", "below", FILES].map(|name| (name, READY, "")))
            .collect();
        for killed_after in 0..=moves.len() {
            let root = tempfile::tempdir().unwrap();
            let root = root.path();
            let scratch = interrupted(root);
            for (name, from, to) in &moves[..killed_after] {
                let side = |side: &str| if side.is_empty() { root.to_path_buf() } else { scratch.join(side) };
                fs::rename(side(from).join(name), side(to).join(name)).unwrap();
            }
            clean(root);
            let new = NEW.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
            assert_eq!(texts(root), new, "killed after {killed_after} renames");
            files::check(root).unwrap();
        }
    }

    #[test]
    fn a_file_that_was_added_after_the_kill_stays() {
        let root = tempfile::tempdir().unwrap();
        interrupted(root.path());
        fs::write(root.path().join("below/mine"), "mine").unwrap();
        clean(root.path());
        assert_eq!(texts(root.path())["below/mine"], "mine");
        assert_eq!(texts(root.path())["weights"], "old");
    }

    #[test]
    fn only_a_process_that_has_ended_leaves_scratch_to_remove() {
        let root = tempfile::tempdir().unwrap();
        let [living, dead] =
            ["living", "dead"].map(|name| root.path().join(format!("{PREFIX}{name}{SUFFIX}")));
        let others = ["lancer-x.partial", ".lancer-x", "notes"].map(|name| root.path().join(name));
        for folder in others.iter().chain([&living, &dead]) {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("half"), "").unwrap();
        }
        let held = lock(&living).unwrap();
        clean(root.path());
        assert!(living.join("half").exists() && !dead.exists());
        assert!(others.iter().all(|folder| folder.join("half").exists()));
        drop(held);
        clean(root.path());
        assert!(!living.exists());
    }
}
