//! An output while it is written: in a folder of its own beside its place, or within it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use tempfile::Builder;

use crate::{
    OutputError,
    files::{self, Plain},
    live::{self, Live},
    place::{Existing, Kind, Place},
    resolve::existing,
    stale::{self, PREFIX, READY, REPLACED, SUFFIX},
};

/// Other names that are tried for an output whose place was taken meanwhile.
const OTHER_NAMES: u32 = 1000;

/// An output that is being written. Dropped before it is [finished](Self::finish), it leaves nothing.
#[derive(Debug)]
pub struct Scratch {
    place: Place,
    folder: PathBuf,
    /// Where the output is written.
    path: PathBuf,
    /// Tells other processes that this one lives.
    _lock: Option<File>,
}

impl Scratch {
    pub(crate) fn begin(place: &Place) -> Result<Self, OutputError> {
        let host = place.host();
        let mut live = live::hold();
        let is_new = |folder: &&Path| !folder.exists();
        let mut made: Vec<PathBuf> = host.ancestors().take_while(is_new).map(Path::to_path_buf).collect();
        made.reverse();
        let (folder, lock) = make(host).map_err(|source| {
            made.iter().rev().for_each(|folder| drop(fs::remove_dir(folder)));
            OutputError::io("write", place.shown())(source)
        })?;
        live.push(Live { scratch: folder.clone(), made });
        let path = folder.join(place.name());
        Ok(Self { place: place.clone(), folder, path, _lock: lock })
    }

    /// Where the output is to be written: a path that does not exist yet, in an empty folder, with the name that it will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder around it, for other files that are needed until the output is finished.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts the output into its place.
    ///
    /// # Errors
    /// Where it was not written, and [`OutputError::Kept`] where its place can no longer be written: it is then kept under
    /// another name.
    pub fn finish(self) -> Result<(), OutputError> {
        self.settle().map_err(OutputError::io("write", self.place.shown()))?;
        let mut live = live::hold();
        let placed = self.put().or_else(|source| match self.place.existing() {
            // It is made again; nobody looks for it under another name.
            Existing::Own => Err(OutputError::io("write", self.place.shown())(source)),
            Existing::Kept | Existing::Overwritten => self.keep_elsewhere(source),
        });
        live::remove(&mut live, &self.folder);
        placed
    }

    /// Everything on disk, with its permissions.
    fn settle(&self) -> io::Result<()> {
        let about = fs::symlink_metadata(&self.path)?;
        if about.is_dir() != (self.place.kind() == Kind::Folder) {
            return Err(io::Error::other("a file was written for a folder, or a folder for a file"));
        }
        let plain = Plain::within(&self.folder)?;
        files::settle(&self.path, &plain)?;
        match (self.place.kind(), self.place.existing()) {
            (Kind::File, _) => Ok(()),
            // It is replaced whatever it holds, and no byte in it depends on when it was written.
            (Kind::Folder, Existing::Own) => files::unlist(&self.path),
            (Kind::Folder, _) => {
                files::list(&self.path)?;
                File::open(self.path.join(files::FILES))?.sync_all()?;
                files::sync_folder(&self.path)
            }
        }
    }

    fn put(&self) -> io::Result<()> {
        let to = self.place.path();
        match (self.place.kind(), self.place.existing()) {
            (Kind::File, Existing::Kept) => put_new(&self.path, to)?,
            (Kind::Folder, Existing::Own) => {
                if to.exists() {
                    fs::rename(to, self.folder.join(REPLACED))?;
                }
                fs::rename(&self.path, to)?;
            }
            (Kind::Folder, existing) if self.folder.parent() == Some(to) => {
                // It may have been filled since it was checked.
                self.place.check_folder(existing).map_err(io::Error::other)?;
                fs::rename(&self.path, self.folder.join(READY))?;
                files::sync_folder(&self.folder)?;
                stale::move_up(&self.folder, to)?;
            }
            // A folder that appeared meanwhile is replaced only if it is empty.
            (Kind::File | Kind::Folder, _) => fs::rename(&self.path, to)?,
        }
        files::sync_folder(to.parent().unwrap_or(to))
    }

    /// Gives the output another name, so that work is not lost.
    fn keep_elsewhere(&self, source: io::Error) -> Result<(), OutputError> {
        let to = self.place.path();
        let stem = to.file_stem().unwrap_or_default();
        let written = if self.path.exists() { self.path.clone() } else { self.folder.join(READY) };
        for number in 2..OTHER_NAMES {
            let mut name = stem.to_owned();
            name.push(format!("-{number}"));
            if let Some(ending) = to.extension() {
                name.push(".");
                name.push(ending);
            }
            let kept = to.with_file_name(name);
            let put = match self.place.kind() {
                Kind::File => put_new(&written, &kept),
                Kind::Folder if kept.exists() => continue,
                Kind::Folder => fs::rename(&written, &kept),
            };
            match put {
                Ok(()) => return Err(OutputError::Kept { path: self.place.shown().into(), kept, source }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(_) => break,
            }
        }
        Err(OutputError::io("write", self.place.shown())(source))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        live::remove(&mut live::hold(), &self.folder);
    }
}

/// A locked scratch folder within `host`, which is made where it is missing.
fn make(host: &Path) -> io::Result<(PathBuf, Option<File>)> {
    fs::create_dir_all(host)?;
    stale::clean(host);
    loop {
        let folder = Builder::new().prefix(PREFIX).suffix(SUFFIX).tempdir_in(host)?.keep();
        match stale::lock(&folder) {
            Ok(lock) => return Ok((folder, lock)),
            // Another process was faster, took it for one that was left behind, and removes it.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::WouldBlock) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Gives a file a name that no other file has.
fn put_new(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            // A file system without hard links. Something may appear between the two calls there.
            if fs::symlink_metadata(to).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        linked => linked,
    }
}

/// Whether something can be written into a folder, or into the nearest one above it that exists.
pub(crate) fn probe(folder: &Path) -> Result<(), (PathBuf, io::Error)> {
    let folder = existing(folder);
    let probed = Builder::new().prefix(PREFIX).suffix(SUFFIX).tempdir_in(folder);
    // Another process may take the folder for one that was left behind and remove it first.
    probed.map(drop).map_err(|error| (folder.to_path_buf(), error))
}
