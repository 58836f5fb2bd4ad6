//! Files of datasets on the Hugging Face hub, named as Hugging Face's file system does:
//! `hf://datasets/OWNER/NAME[@REVISION]/PATH`.

#[cfg_attr(feature = "hub", path = "hub/fetch.rs")]
#[cfg_attr(not(feature = "hub"), path = "hub/absent.rs")]
mod fetch;

use std::{borrow::Cow, path::Path};

use crate::DataError;

/// The beginning of a path on the hub.
const SCHEME: &str = "hf://";
const DATASETS: &str = "hf://datasets/";
/// The revision of a dataset that is named without one.
const MAIN: &str = "main";

/// A file of a dataset on the hub.
#[derive(Debug, PartialEq, Eq)]
struct HubFile<'a> {
    /// `OWNER/NAME`.
    repository: &'a str,
    /// A branch, tag or commit.
    revision: Cow<'a, str>,
    /// The file's path inside the repository.
    path: &'a str,
}

/// The local copy of a file on the hub, fetched into Hugging Face's cache folder unless it is there; other paths as they
/// are.
pub(crate) fn local(path: &Path) -> Result<Cow<'_, Path>, DataError> {
    let Some(text) = path.to_str().filter(|text| text.starts_with(SCHEME)) else {
        return Ok(Cow::Borrowed(path));
    };
    let file = HubFile::parse(text).ok_or_else(|| DataError::HubPath { path: path.to_owned() })?;
    fetch::fetch(&file).map(Cow::Owned).map_err(|source| DataError::Hub { path: path.to_owned(), source })
}

/// A path on the hub with the commit in place of a branch or a tag, so that it stays the same file; the file is fetched unless
/// it is in the cache. Other paths as they are.
///
/// # Errors
/// [`DataError::HubPath`] and [`DataError::Hub`], where the file cannot be had.
pub fn pinned(path: &Path) -> Result<Cow<'_, Path>, DataError> {
    let file = path.to_str().and_then(HubFile::parse);
    let (Some(file), fetched) = (file, local(path)?) else { return Ok(Cow::Borrowed(path)) };
    // CACHE/snapshots/COMMIT/PATH
    let depth = file.path.split('/').count();
    let commit = fetched.ancestors().nth(depth).and_then(Path::file_name).and_then(|name| name.to_str());
    let commit = commit.filter(|commit| !commit.is_empty());
    let Some(commit) = commit else { return Ok(Cow::Borrowed(path)) };
    fetch::remember(&file, commit);
    Ok(Cow::Owned(format!("{DATASETS}{}@{commit}/{}", file.repository, file.path).into()))
}

/// Whether `kept` is what [`pinned`] made of `asked` once: the same file, which `asked` names by a branch or a tag, or by no
/// revision.
pub fn is_pinned(asked: &Path, kept: &Path) -> bool {
    match (asked.to_str().and_then(HubFile::parse), kept.to_str().and_then(HubFile::parse)) {
        (Some(asked), Some(kept)) => {
            (asked.repository, asked.path) == (kept.repository, kept.path)
                && kept.revision != asked.revision
                && asked.revision == MAIN
        }
        _ => false,
    }
}

impl<'a> HubFile<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix(DATASETS)?.splitn(3, '/');
        let (owner, name, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (name, revision) = name.split_once('@').unwrap_or((name, MAIN));
        if [owner, name, revision, path].iter().any(|part| part.is_empty()) {
            return None;
        }
        let start = DATASETS.len();
        let repository = &text[start..=start + owner.len() + name.len()];
        // Hugging Face writes the slash of a revision such as `refs/convert/parquet` as `%2F`.
        let revision = if revision.contains('%') {
            Cow::Owned(revision.replace("%2F", "/").replace("%2f", "/"))
        } else {
            Cow::Borrowed(revision)
        };
        Some(Self { repository, revision, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_repository_revision_and_file() {
        let file = HubFile::parse(
            "hf://datasets/allenai/ai2_arc@refs%2Fconvert%2Fparquet/ARC-Easy/test/0000.parquet",
        );
        let file = file.unwrap();
        assert_eq!(file.repository, "allenai/ai2_arc");
        assert_eq!(file.revision, "refs/convert/parquet");
        assert_eq!(file.path, "ARC-Easy/test/0000.parquet");
        assert_eq!(HubFile::parse("hf://datasets/a/b/c.jsonl").unwrap().revision, "main");
    }

    #[test]
    fn what_is_missing_is_an_error() {
        for text in [
            "hf://datasets/a/b",
            "hf://models/a/b/c",
            "hf://datasets/a/b/",
            "hf://datasets//b/c",
            "hf://datasets/a/b@/c",
        ] {
            assert!(matches!(local(Path::new(text)), Err(DataError::HubPath { .. })), "{text}");
        }
    }

    #[test]
    fn other_paths_are_left_alone() {
        assert_eq!(local(Path::new("data/seeds.jsonl")).unwrap(), Path::new("data/seeds.jsonl"));
    }
}
