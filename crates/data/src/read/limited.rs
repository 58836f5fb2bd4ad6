//! Readers that stop where a file unpacks too far, or a record is too long to be one.

use std::{
    cell::Cell,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    rc::Rc,
    sync::atomic::{AtomicU64, Ordering},
};

/// So much may be unpacked whatever its ratio: 1 GiB.
const FREE_BYTES: u64 = 1 << 30;
/// Text unpacks to three to ten times its length, and lines that are nearly alike to a hundred times.
const UNPACK_RATIO: u64 = 200;

static RATIO: AtomicU64 = AtomicU64::new(UNPACK_RATIO);

/// Sets how many times as long as the file what it unpacks to may be, beyond the first GiB: 200 unless this is called. For all
/// files of the program that are opened after.
pub fn set_unpack_ratio(ratio: u64) {
    RATIO.store(ratio, Ordering::Relaxed);
}

/// What a packed file unpacks to is many times its length, as that of a decompression bomb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{packed} bytes of it unpack to {unpacked}, more than {ratio} times as many")]
pub struct UnpackLimit {
    /// Bytes of the file that were read.
    pub packed: u64,
    /// What they unpacked to.
    pub unpacked: u64,
    /// The limit.
    pub ratio: u64,
}

/// A record is longer than is read.
#[derive(Debug, thiserror::Error)]
#[error("a record has more than {0} bytes")]
struct RecordLimit(u64);

/// A file whose bytes are counted as they are read.
pub(crate) struct Packed {
    file: BufReader<File>,
    read: Rc<Cell<u64>>,
}

impl Packed {
    /// The file, and the count.
    pub(crate) fn new(file: File) -> (Self, Rc<Cell<u64>>) {
        let read = Rc::new(Cell::new(0));
        (Self { file: BufReader::new(file), read: Rc::clone(&read) }, read)
    }
}

impl Read for Packed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}

impl BufRead for Packed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.file.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.read.set(self.read.get() + count as u64);
        self.file.consume(count);
    }
}

/// What is unpacked, as far as the ratio allows.
pub(crate) struct Unpacked<R> {
    reader: R,
    packed: Rc<Cell<u64>>,
    given: u64,
    ratio: u64,
}

impl<R> Unpacked<R> {
    pub(crate) fn new(reader: R, packed: Rc<Cell<u64>>) -> Self {
        Self { reader, packed, given: 0, ratio: RATIO.load(Ordering::Relaxed) }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.given += count as u64;
        let packed = self.packed.get();
        if self.given > FREE_BYTES && self.given / self.ratio.max(1) > packed {
            let limit = UnpackLimit { packed, unpacked: self.given, ratio: self.ratio };
            return Err(io::Error::other(limit));
        }
        Ok(count)
    }
}

/// A reader that fails where more bytes come than a record may have since [`Since::reset`].
pub(super) struct Records<R> {
    reader: R,
    since: Since,
}

/// Bytes since the last record.
#[derive(Clone)]
pub(super) struct Since(Rc<Cell<u64>>);

impl Since {
    /// A record has ended.
    pub(super) fn reset(&self) {
        self.0.set(0);
    }
}

impl<R: Read> Records<R> {
    pub(super) fn new(reader: R) -> (Self, Since) {
        let since = Since(Rc::new(Cell::new(0)));
        (Self { reader, since: since.clone() }, since)
    }
}

impl<R: Read> Read for Records<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        let since = self.since.0.get() + count as u64;
        self.since.0.set(since);
        let most = super::MAX_LINE_BYTES as u64;
        if since > most { Err(io::Error::other(RecordLimit(most))) } else { Ok(count) }
    }
}

/// Why a reader stopped, if it was a record that is too long.
pub(super) fn too_long(error: &io::Error) -> Option<String> {
    let limit = error.get_ref()?.downcast_ref::<RecordLimit>()?;
    Some(format!("{limit}; nothing after it is read"))
}

/// Why a reader stopped, if it was the ratio.
pub(super) fn unpacked_too_far(error: &io::Error) -> Option<UnpackLimit> {
    error.get_ref()?.downcast_ref().copied()
}
