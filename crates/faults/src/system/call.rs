//! What a system call does to which file.

use super::raw;
use crate::{Kinds, record::Kind};

/// A path, kept on the stack: a handler must not allocate.
pub(super) struct Name {
    bytes: [u8; Self::LIMIT],
    length: usize,
}

impl Name {
    const LIMIT: usize = 1024;

    pub(super) const fn new() -> Self {
        Self { bytes: [0; Self::LIMIT], length: 0 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The path of an open file.
    fn of_file(&mut self, file: u64) {
        let mut link = *b"/proc/self/fd/0000000000\0";
        let mut left = u64::from(file as u32);
        for digit in link[14..24].iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
        let skip = link[14..24].iter().take_while(|&&digit| digit == b'0').count().min(9);
        link.copy_within(14 + skip.., 14);
        let room = self.bytes.as_mut_ptr() as u64;
        let read = raw::call_3(libc::SYS_readlink, link.as_ptr() as u64, room, Self::LIMIT as u64);
        self.length = usize::try_from(read).unwrap_or(0);
    }

    /// A path as it was given to a call, from a folder that is open or the current one.
    fn of_path(&mut self, folder: u64, path: u64) {
        self.length = 0;
        if path == 0 {
            return;
        }
        let byte = |place: usize| {
            // SAFETY: the program gives the address of a text with a zero at its end, and no byte after the zero is read.
            unsafe { *(path as *const u8).add(place) }
        };
        if byte(0) != b'/' {
            if folder as i32 == libc::AT_FDCWD {
                let room = self.bytes.as_mut_ptr() as u64;
                let read = raw::call_3(libc::SYS_getcwd, room, Self::LIMIT as u64, 0);
                // With the zero at its end.
                self.length = usize::try_from(read - 1).unwrap_or(0);
            } else {
                self.of_file(folder);
            }
            self.push(b'/');
        }
        let mut place = 0;
        while byte(place) != 0 && self.length < Self::LIMIT {
            self.push(byte(place));
            place += 1;
        }
        while self.length > 1 && self.bytes[self.length - 1] == b'/' {
            self.length -= 1;
        }
    }

    fn push(&mut self, byte: u8) {
        if self.length < Self::LIMIT {
            self.bytes[self.length] = byte;
            self.length += 1;
        }
    }

    /// Cuts `folder` off; whether the path was that folder or within it.
    fn cut(&mut self, folder: &[u8]) -> bool {
        let is_within = self.bytes().starts_with(folder)
            && self.bytes().get(folder.len()).is_none_or(|&next| next == b'/');
        if is_within {
            let start = (folder.len() + 1).min(self.length);
            self.bytes.copy_within(start..self.length, 0);
            self.length -= start;
        } else {
            self.length = 0;
        }
        is_within
    }
}

/// What a call on a file of the folder does.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) kind: Kind,
    pub(super) kinds: Kinds,
    /// Where in the file it writes, or the length that it sets.
    pub(super) offset: u64,
    /// How many bytes it reads or writes.
    pub(super) length: u64,
}

/// Where a call has the file that it works on.
enum Place {
    File,
    /// The arguments that are the folder and the path.
    Path(u64, u64),
    /// The same, of the old and of the new name.
    Paths((u64, u64), (u64, u64)),
}

impl Call {
    /// The call, where it reads or changes a file within `folder`; its path is then in `path`, and of two paths the other in
    /// `to`.
    pub(super) fn of(
        number: i64,
        arguments: [u64; 6],
        folder: &[u8],
        (path, to): (&mut Name, &mut Name),
    ) -> Option<Self> {
        let [a, b, c, d, ..] = arguments;
        let here = libc::AT_FDCWD as u64;
        let opening = |flags: u64| {
            let flags = flags as i32;
            let kind = if flags & libc::O_TRUNC == 0 { Kind::Open } else { Kind::OpenEmpty };
            let is_change = flags & (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) != 0;
            is_change.then_some((kind, flags & libc::O_CREAT != 0))
        };
        let mut makes = false;
        let (kind, place) = match number {
            libc::SYS_open => {
                let (kind, is_made) = opening(b)?;
                makes = is_made;
                (kind, Place::Path(here, a))
            }
            libc::SYS_openat => {
                let (kind, is_made) = opening(c)?;
                makes = is_made;
                (kind, Place::Path(a, b))
            }
            libc::SYS_creat => {
                makes = true;
                (Kind::OpenEmpty, Place::Path(here, a))
            }
            libc::SYS_read | libc::SYS_pread64 => (Kind::Read, Place::File),
            libc::SYS_write
            | libc::SYS_pwrite64
            | libc::SYS_writev
            | libc::SYS_pwritev
            | libc::SYS_pwritev2 => (Kind::Write, Place::File),
            libc::SYS_fsync | libc::SYS_fdatasync | libc::SYS_sync_file_range => (Kind::Sync, Place::File),
            libc::SYS_ftruncate | libc::SYS_fallocate => (Kind::Truncate, Place::File),
            libc::SYS_truncate => (Kind::Truncate, Place::Path(here, a)),
            libc::SYS_rename => (Kind::Rename, Place::Paths((here, a), (here, b))),
            libc::SYS_renameat | libc::SYS_renameat2 => (Kind::Rename, Place::Paths((a, b), (c, d))),
            libc::SYS_link => (Kind::Link, Place::Paths((here, a), (here, b))),
            libc::SYS_linkat => (Kind::Link, Place::Paths((a, b), (c, d))),
            libc::SYS_unlink => (Kind::Remove, Place::Path(here, a)),
            libc::SYS_rmdir => (Kind::RemoveFolder, Place::Path(here, a)),
            libc::SYS_unlinkat if c as i32 & libc::AT_REMOVEDIR != 0 => {
                (Kind::RemoveFolder, Place::Path(a, b))
            }
            libc::SYS_unlinkat => (Kind::Remove, Place::Path(a, b)),
            libc::SYS_mkdir => (Kind::Folder, Place::Path(here, a)),
            libc::SYS_mkdirat => (Kind::Folder, Place::Path(a, b)),
            _ => return None,
        };
        let is_within = match place {
            Place::File => {
                path.of_file(a);
                path.cut(folder)
            }
            Place::Path(of, at) => {
                path.of_path(of, at);
                path.cut(folder)
            }
            Place::Paths(old, new) => {
                path.of_path(old.0, old.1);
                to.of_path(new.0, new.1);
                // Both are cut.
                path.cut(folder) | to.cut(folder)
            }
        };
        if !is_within {
            return None;
        }
        let mut call = Self { kind, kinds: kinds(kind), offset: 0, length: 0 };
        match number {
            libc::SYS_ftruncate | libc::SYS_truncate => call.offset = b,
            libc::SYS_fallocate => {
                call.offset = c + d;
                makes = true;
            }
            libc::SYS_read | libc::SYS_pread64 => call.length = c,
            _ if kind == Kind::Write => {
                call.length = match number {
                    libc::SYS_write | libc::SYS_pwrite64 => c,
                    _ => parts(arguments).map(|part| part.iov_len as u64).sum(),
                };
                let end;
                (call.offset, end) = offset(number, arguments);
                makes = call.offset + call.length > end;
            }
            _ => {}
        }
        if makes || kind == Kind::Folder {
            call.kinds = call.kinds.and(Kinds::GROW);
        }
        Some(call)
    }
}

fn kinds(kind: Kind) -> Kinds {
    match kind {
        Kind::Open | Kind::OpenEmpty => Kinds::OPEN,
        Kind::Read => Kinds::READ,
        Kind::Write => Kinds::WRITE,
        Kind::Sync => Kinds::SYNC,
        Kind::Truncate => Kinds::TRUNCATE,
        Kind::Rename | Kind::Link => Kinds::RENAME,
        Kind::Remove | Kind::RemoveFolder => Kinds::REMOVE,
        Kind::Folder => Kinds::FOLDER,
    }
}

/// The parts of memory that a call writes one after the other.
pub(super) fn parts(arguments: [u64; 6]) -> impl Iterator<Item = libc::iovec> {
    let [_, address, count, ..] = arguments;
    (0..count as usize).map(move |place| {
        // SAFETY: the program gives the address of so many parts to a call that reads them there.
        unsafe { *(address as *const libc::iovec).add(place) }
    })
}

/// Where a call writes, and where the file ends.
fn offset(number: i64, arguments: [u64; 6]) -> (u64, u64) {
    let [file, _, _, given, ..] = arguments;
    let seek = |to: u64, whence: i32| raw::call_3(libc::SYS_lseek, file, to, whence as u64).max(0) as u64;
    let now = seek(0, libc::SEEK_CUR);
    let end = seek(0, libc::SEEK_END);
    seek(now, libc::SEEK_SET);
    let flags = raw::call_3(libc::SYS_fcntl, file, libc::F_GETFL as u64, 0);
    let offset = match number {
        libc::SYS_pwrite64 | libc::SYS_pwritev | libc::SYS_pwritev2 => given,
        _ if flags >= 0 && flags as i32 & libc::O_APPEND != 0 => end,
        _ => now,
    };
    (offset, end)
}
