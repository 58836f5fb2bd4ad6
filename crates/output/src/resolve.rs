//! Where a path leads: absolute, without `.`, `..` and symbolic links, also where its end does not exist yet.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use crate::OutputError;

/// Symbolic links that are followed one after another; the limit of Linux.
const LINKS: usize = 40;

/// The path to which `path` leads. What does not exist yet keeps the names that it is given.
///
/// # Errors
/// Where the path leads through a file, through a circle of symbolic links, or through what cannot be read.
pub fn resolve(path: &Path) -> Result<PathBuf, OutputError> {
    let absolute = std::path::absolute(path).map_err(OutputError::io("find", path))?;
    let mut links = LINKS;
    follow(PathBuf::new(), &absolute, &mut links).map_err(|(at, source)| {
        if source.kind() == io::ErrorKind::NotADirectory {
            OutputError::Blocked { path: path.into(), blocked_by: at }
        } else {
            OutputError::Io { action: "find", path: path.into(), source }
        }
    })
}

/// Where `path` leads from the folder `from`; an error comes with how far it led.
fn follow(from: PathBuf, path: &Path, links: &mut usize) -> Result<PathBuf, (PathBuf, io::Error)> {
    let mut real = from;
    for component in path.components() {
        match component {
            Component::Prefix(_) | Component::RootDir => real.push(component),
            Component::CurDir => {}
            // `real` has no links, so that its parent is the one before.
            Component::ParentDir => {
                real.pop();
            }
            Component::Normal(name) => {
                let next = real.join(name);
                match fs::symlink_metadata(&next) {
                    Ok(found) if found.is_symlink() => {
                        if *links == 0 {
                            return Err((next, io::Error::other("too many symbolic links")));
                        }
                        *links -= 1;
                        let to = fs::read_link(&next).map_err(|error| (next, error))?;
                        let from = if to.is_absolute() { PathBuf::new() } else { real };
                        real = follow(from, &to, links)?;
                    }
                    Ok(_) => real = next,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => real = next,
                    Err(error) => return Err((real, error)),
                }
            }
        }
    }
    Ok(real)
}

/// The folder itself, or the nearest one above it that exists.
pub(crate) fn existing(folder: &Path) -> &Path {
    folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_path_leads_where_the_system_says_once_it_is_made(
            parts in prop::collection::vec(prop::sample::select(vec![".", "..", "a", "b", "to_a", "to_nothing", ""]), 0..7),
            slash in any::<bool>(),
        ) {
            let scratch = tempfile::tempdir().unwrap();
            let root = scratch.path().canonicalize().unwrap();
            fs::create_dir_all(root.join("x/y/z/a")).unwrap();
            for folder in ["x/y/z", "x/y", "x", ""] {
                symlink("a", root.join(folder).join("to_a")).unwrap();
                symlink(root.join("n/e/w"), root.join(folder).join("to_nothing")).unwrap();
            }
            let start = root.join("x/y/z");
            let path = parts.iter().fold(start.clone(), |path, part| path.join(part));
            // More than the tree is deep would leave it.
            prop_assume!(parts.iter().filter(|part| **part == "..").count() < 3);
            let path = if slash { path.join("") } else { path };
            let found = resolve(&path).unwrap();
            prop_assert!(found.starts_with(&root), "{found:?}");
            // Each part is made on the way, as `mkdir -p` would, through links as well.
            let mut made = start;
            for part in &parts {
                made.push(part);
                let place = resolve(&made).unwrap();
                fs::create_dir_all(&place).unwrap();
                made = made.canonicalize().unwrap();
            }
            prop_assert_eq!(found, made);
        }
    }

    #[test]
    fn a_file_on_the_way_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().canonicalize().unwrap().join("file");
        fs::write(&file, "").unwrap();
        let error = resolve(&file.join("below/it")).unwrap_err();
        assert!(
            matches!(&error, OutputError::Blocked { blocked_by, .. } if *blocked_by == file),
            "{error:?}"
        );
    }

    #[test]
    fn a_circle_of_links_ends() {
        let scratch = tempfile::tempdir().unwrap();
        symlink("one", scratch.path().join("other")).unwrap();
        symlink("other", scratch.path().join("one")).unwrap();
        assert!(matches!(resolve(&scratch.path().join("one/out")), Err(OutputError::Io { .. })));
    }
}
