//! What a life wrote down: the calls on files of the plan's folder, in their order.

use std::{fs, io, path::Path};

/// A call that was made, or that a fault hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What kind of call it was.
    pub kind: Kind,
    /// The file, within the plan's folder.
    pub path: String,
    /// Where a renamed file went, if that is within the folder too.
    pub to: String,
    /// Where in the file bytes were written, or the length that it was given.
    pub offset: u64,
    /// What the call returned: bytes, 0, or an error number below 0.
    pub result: i64,
    /// The bytes that were written, where the plan asked for them.
    pub data: Vec<u8>,
    /// Whether the call was planned to go wrong.
    pub is_fault: bool,
}

/// A kind of call that is written down. Reading is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A file was opened to be written, and made where it was absent.
    Open = b'o',
    /// The same, and what it held is gone.
    OpenEmpty = b'e',
    /// Bytes were read.
    Read = b'r',
    /// Bytes were written.
    Write = b'w',
    /// What was written is on the disk.
    Sync = b's',
    /// A file's length was set.
    Truncate = b't',
    /// A file or folder got another name.
    Rename = b'n',
    /// A file or folder got a second name.
    Link = b'l',
    /// A file was removed.
    Remove = b'u',
    /// An empty folder was removed.
    RemoveFolder = b'd',
    /// A folder was made.
    Folder = b'm',
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::Open,
        Self::OpenEmpty,
        Self::Read,
        Self::Write,
        Self::Sync,
        Self::Truncate,
        Self::Rename,
        Self::Link,
        Self::Remove,
        Self::RemoveFolder,
        Self::Folder,
    ];

    fn of(letter: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == letter)
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open | Self::OpenEmpty => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "fsync",
            Self::Truncate => "truncate",
            Self::Rename => "rename",
            Self::Link => "link",
            Self::Remove => "remove",
            Self::RemoveFolder => "rmdir",
            Self::Folder => "mkdir",
        }
    }
}

/// The calls that a file of records holds. What a kill has cut off at the end is left out.
pub fn read(path: &Path) -> io::Result<Vec<Record>> {
    let bytes = fs::read(path)?;
    let mut left = bytes.as_slice();
    let mut records = Vec::new();
    while let Some((record, rest)) = next(left) {
        records.push(record);
        left = rest;
    }
    Ok(records)
}

/// A record is a line of fields between tabs, then the bytes that were written.
fn next(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let line = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut fields = line.split('\t');
    let kind = Kind::of(*fields.next()?.as_bytes().first()?)?;
    let is_fault = fields.next()? == "!";
    let offset = fields.next()?.parse().ok()?;
    let result = fields.next()?.parse().ok()?;
    let length: usize = fields.next()?.parse().ok()?;
    let (path, to) = (fields.next()?.to_owned(), fields.next()?.to_owned());
    let rest = &bytes[end + 1..];
    let data = rest.get(..length)?.to_vec();
    Some((Record { kind, path, to, offset, result, data, is_fault }, &rest[length..]))
}
