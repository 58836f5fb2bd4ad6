//! Where an output goes, checked before the work that makes it.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    OutputError, Scratch, files,
    resolve::{existing, resolve},
    room, scratch, stale,
};

/// What an output may take the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Existing {
    /// Nothing but an empty folder.
    Kept,
    /// As the user said: a file in place of a file, a folder in place of one that lancer wrote and nothing else.
    Overwritten,
    /// Anything of its kind: the place belongs to lancer, as the models of a run do.
    Own,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    File,
    Folder,
}

/// Where an output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As the user gave it, for messages.
    shown: PathBuf,
    path: PathBuf,
    kind: Kind,
    existing: Existing,
}

impl Place {
    /// A place for a file.
    ///
    /// # Errors
    /// Where something is there that is not to be replaced, or where no file can be written.
    pub fn file(path: &Path, existing: Existing) -> Result<Self, OutputError> {
        let place = Self::of(path, Kind::File, existing)?;
        let not_a_file = |found| OutputError::NotAFile { path: path.into(), found };
        // The system takes both away from a path's end.
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.file_name().is_none() {
            return Err(not_a_file("the name of a folder"));
        }
        match place.about()? {
            Some(found) if found.is_dir() => return Err(not_a_file("a folder")),
            Some(found) if !found.is_file() => return Err(not_a_file("a device or a pipe")),
            Some(_) if existing == Existing::Kept => return Err(OutputError::Exists { path: path.into() }),
            Some(_) | None => {}
        }
        place.probed()
    }

    /// A place for a folder.
    ///
    /// # Errors
    /// Where something is there that is not to be replaced, or where no folder can be made.
    pub fn folder(path: &Path, existing: Existing) -> Result<Self, OutputError> {
        let place = Self::of(path, Kind::Folder, existing)?;
        match place.about()? {
            None => {}
            Some(found) if found.is_dir() => {
                // What a killed process had finished is moved into its place.
                stale::clean(&place.path);
                place.check_folder(existing)?;
            }
            Some(_) => return Err(OutputError::NotAFolder { path: path.into(), found: "a file" }),
        }
        place.probed()
    }

    /// Refuses an output of about so many bytes where its disk has no room for it.
    pub fn with_room(&self, needed: u64) -> Result<(), OutputError> {
        let folder = existing(self.host());
        match room::available(folder) {
            Some(available) if available < needed => Err(OutputError::NoRoom {
                path: self.shown.clone(),
                folder: folder.into(),
                needed,
                available,
            }),
            _ => Ok(()),
        }
    }

    /// The path to which the given one leads.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins to write. The folders that lead to the place are made.
    pub fn begin(&self) -> Result<Scratch, OutputError> {
        Scratch::begin(self)
    }

    /// Writes the output: `write` gets a path that does not exist yet and makes the file or folder there.
    pub fn write<E: From<OutputError>>(&self, write: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
        let scratch = self.begin()?;
        write(scratch.path())?;
        Ok(scratch.finish()?)
    }

    /// The path as it was given.
    pub fn shown(&self) -> &Path {
        &self.shown
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn existing(&self) -> Existing {
        self.existing
    }

    pub(crate) fn name(&self) -> &OsStr {
        self.path.file_name().unwrap_or(OsStr::new("output"))
    }

    /// The folder in which the output is written.
    ///
    /// A folder of the user's is filled and not replaced: it may be where a disk is mounted, or where a shell works.
    pub(crate) fn host(&self) -> &Path {
        let is_filled = self.kind == Kind::Folder && self.existing != Existing::Own && self.path.is_dir();
        if is_filled { &self.path } else { self.path.parent().unwrap_or(&self.path) }
    }

    /// Whether a folder that is there may be filled.
    pub(crate) fn check_folder(&self, existing: Existing) -> Result<(), OutputError> {
        if existing == Existing::Own {
            return Ok(());
        }
        let entries = fs::read_dir(&self.path).map_err(OutputError::io("read", &self.shown))?;
        if entries.flatten().all(|entry| stale::is_scratch(&entry.file_name())) {
            return Ok(());
        }
        files::check(&self.path).map_err(|error| match error {
            OutputError::Foreign { file, .. } => OutputError::Foreign { folder: self.shown.clone(), file },
            OutputError::Changed { file, .. } => OutputError::Changed { folder: self.shown.clone(), file },
            error => error,
        })?;
        match existing {
            Existing::Kept => Err(OutputError::Exists { path: self.shown.clone() }),
            Existing::Overwritten | Existing::Own => Ok(()),
        }
    }

    fn of(path: &Path, kind: Kind, existing: Existing) -> Result<Self, OutputError> {
        Ok(Self { shown: path.into(), path: resolve(path)?, kind, existing })
    }

    fn about(&self) -> Result<Option<fs::Metadata>, OutputError> {
        match fs::metadata(&self.path) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OutputError::io("find", &self.shown)(error)),
        }
    }

    /// Once it is known that something can be written there.
    fn probed(self) -> Result<Self, OutputError> {
        match scratch::probe(self.host()) {
            Ok(()) => Ok(self),
            Err((folder, source)) => Err(OutputError::NotWritable { path: self.shown, folder, source }),
        }
    }
}

/// Refuses an output that is an input, is within one or holds one. An input that does not exist is left to who reads it.
pub fn check_apart(output: &Path, input: &Path) -> Result<(), OutputError> {
    let Ok(found) = fs::canonicalize(input) else { return Ok(()) };
    let place = resolve(output)?;
    let relation = if found == place {
        "is"
    } else if place.starts_with(&found) {
        "is within"
    } else if found.starts_with(&place) {
        "holds"
    } else {
        return Ok(());
    };
    Err(OutputError::Input { output: output.into(), relation, input: input.into() })
}
