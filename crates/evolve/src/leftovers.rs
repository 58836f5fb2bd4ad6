//! Scratch files and folders that a killed process has left in a run's folder.
//!
//! Only lancer's own scratch names count, in the folders where lancer writes; links are not followed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{error::EvolveError, files};

/// The folders of a run in which lancer writes, and how many levels of folders within each.
const FOLDERS: [(&str, usize); 4] = [("", 0), ("exports", 2), ("models", 0), ("training", 2)];

/// The scratch files and folders in a run's folder, by name.
pub(crate) fn find(run: &Path) -> Result<Vec<PathBuf>, EvolveError> {
    let mut found = Vec::new();
    for (folder, levels) in FOLDERS {
        find_within(&run.join(folder), levels, &mut found)?;
    }
    found.sort();
    Ok(found)
}

/// Removes them; what was finished in a scratch folder takes its place. To be called by the process that has the run to itself.
pub(crate) fn remove(run: &Path) -> Result<(), EvolveError> {
    for path in find(run)? {
        match path.parent() {
            // It knows what a process that lives, such as one that writes a report, is still using.
            Some(folder) if path.is_dir() => lancer_output::clean(folder),
            // Older versions have left files.
            _ => files::remove(&path)?,
        }
    }
    Ok(())
}

fn find_within(folder: &Path, levels: usize, found: &mut Vec<PathBuf>) -> Result<(), EvolveError> {
    let failed = |source| EvolveError::Io { action: "look into", path: folder.into(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        // Of a link itself, not of what it points to.
        let kind = entry.file_type().map_err(failed)?;
        if !kind.is_symlink() && lancer_output::is_scratch(&entry.file_name()) {
            found.push(entry.path());
        } else if kind.is_dir() && levels > 0 {
            find_within(&entry.path(), levels - 1, found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn scratch_files_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let elsewhere = folder.path().join("elsewhere");
        fs::create_dir_all(run.join("exports/iteration-1/plain")).unwrap();
        fs::create_dir_all(&elsewhere).unwrap();
        let scratch = [
            "exports/iteration-1/.lancer-Ab3dEf.partial",
            "exports/iteration-1/plain/.lancer-x1Y2z3.partial",
            ".lancer-000000.partial",
        ];
        let kept = [
            "exports/iteration-1/sft.jsonl",
            "exports/iteration-1/mine.partial",
            "exports/.lancer-notes",
            "exports/iteration-1/plain/.lancer-a-b.partial.txt",
            "run.toml",
        ];
        for name in scratch.iter().chain(&kept) {
            fs::write(run.join(name), "text").unwrap();
        }
        let scratch_folder = run.join("models/.lancer-Ab3dEf.partial");
        fs::create_dir_all(scratch_folder.join("weights")).unwrap();
        fs::write(elsewhere.join(".lancer-Ab3dEf.partial"), "text").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&elsewhere, run.join("exports/link")).unwrap();
        let found = find(&run).unwrap();
        assert_eq!(found.len(), scratch.len() + 1, "{found:?}");
        remove(&run).unwrap();
        assert!(scratch.iter().all(|name| !run.join(name).exists()) && !scratch_folder.exists());
        assert!(kept.iter().all(|name| run.join(name).exists()));
        assert!(elsewhere.join(".lancer-Ab3dEf.partial").exists(), "a link was followed");
        assert_eq!(find(&folder.path().join("none")).unwrap(), Vec::<PathBuf>::new());
    }
}
