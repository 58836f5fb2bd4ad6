//! Folders as what is in them.

use std::{collections::BTreeMap, fs, io, path::Path};

use sha2::{Digest, Sha256};

/// Every file of a folder by its path within, and what it holds.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Reads a folder with all that is in it; nothing where it is absent.
pub(crate) fn read(folder: &Path) -> io::Result<Files> {
    let mut files = Files::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(within) = left.pop() {
        let entries = match fs::read_dir(&within) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                left.push(path);
            } else if let Ok(name) = path.strip_prefix(folder) {
                files.insert(name.display().to_string(), fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

/// Makes a folder hold these files and nothing else; empty folders are not among them.
pub(crate) fn write(folder: &Path, files: &Files) -> io::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    for (name, bytes) in files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, bytes)?;
    }
    Ok(())
}

/// As much of a hash as tells files apart.
pub(crate) fn hash(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))[..16].to_owned()
}
