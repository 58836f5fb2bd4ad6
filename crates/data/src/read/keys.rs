//! Keys that are unique among all files that are read together, though ids may begin anew in each file.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use super::without_ending;

/// The keys that are taken.
pub(super) struct Keys {
    /// What each file puts before a key that another file has too.
    names: Vec<String>,
    /// The last file that has a key of its own, by the key.
    own: HashMap<String, usize>,
    /// Keys with a file's name before them.
    qualified: HashSet<String>,
}

impl Keys {
    /// No key yet. `files` are those that are read, in their order.
    pub(super) fn of(files: &[PathBuf]) -> Self {
        let folder = common_folder(files);
        let names = files
            .iter()
            .map(|file| {
                let within = folder.and_then(|folder| file.strip_prefix(folder).ok()).unwrap_or(file);
                without_ending(&within.to_string_lossy()).to_owned()
            })
            .collect();
        Self { names, own: HashMap::new(), qualified: HashSet::new() }
    }

    /// The key under which a record of this file goes; or that it is taken.
    pub(super) fn taken(&mut self, file: usize, key: &str) -> Result<String, String> {
        self.take(file, key).ok_or_else(|| format!("an earlier record has the key `{key}`"))
    }

    /// The key under which a record of this file goes; none where an earlier record of the file has the same.
    fn take(&mut self, file: usize, key: &str) -> Option<String> {
        let before = self.own.insert(key.to_owned(), file);
        if before == Some(file) {
            return None;
        }
        if before.is_none() && !self.qualified.contains(key) {
            return Some(key.to_owned());
        }
        let mut qualified = format!("{}:{key}", self.names[file]);
        // An id of another file may read like that already.
        while self.own.contains_key(&qualified) || self.qualified.contains(&qualified) {
            qualified.push('+');
        }
        self.qualified.insert(qualified.clone());
        Some(qualified)
    }
}

/// The folder that all files are in.
fn common_folder(files: &[PathBuf]) -> Option<&Path> {
    let mut folder = files.first()?.parent()?;
    while !files.iter().all(|file| file.starts_with(folder)) {
        folder = folder.parent()?;
    }
    Some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_pairs_get_one_key_and_duplicates_in_a_file_are_found() {
        let files: Vec<PathBuf> = ["d/a.jsonl", "d/b.jsonl", "d/x/b.jsonl"].map(PathBuf::from).into();
        let mut keys = Keys::of(&files);
        assert_eq!(keys.take(0, "1").as_deref(), Some("1"));
        assert_eq!(keys.take(0, "b:1").as_deref(), Some("b:1"));
        assert_eq!(keys.take(0, "1"), None);
        assert_eq!(keys.take(1, "2").as_deref(), Some("2"));
        assert_eq!(keys.take(1, "1").as_deref(), Some("b:1+"));
        assert_eq!(keys.take(1, "1"), None);
        assert_eq!(keys.take(2, "1").as_deref(), Some("x/b:1"));
        assert_eq!(keys.take(2, "x/b:1").as_deref(), Some("x/b:x/b:1"));
        assert_eq!(keys.take(2, "b:1").as_deref(), Some("x/b:b:1"));
    }
}
