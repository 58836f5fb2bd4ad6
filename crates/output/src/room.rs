//! How much room a disk has.

use std::path::Path;

/// Bytes that can be written to the disk of a folder that exists; `None` where the system does not say.
#[cfg(unix)]
pub fn available(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Bytes that can be written to the disk of a folder that exists; `None` where the system does not say.
#[cfg(not(unix))]
pub fn available(_: &Path) -> Option<u64> {
    None
}
