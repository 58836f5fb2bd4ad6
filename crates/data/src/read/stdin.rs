//! Standard input: read once, and kept, since some commands read their records twice.

use std::{
    io::{self, BufRead, Cursor, Read},
    sync::{Mutex, PoisonError},
};

static READ: Mutex<Option<Vec<u8>>> = Mutex::new(None);

/// What standard input holds.
pub(super) fn reader() -> io::Result<Box<dyn BufRead>> {
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes = if let Some(bytes) = &*read {
        bytes.clone()
    } else {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        read.insert(bytes).clone()
    };
    Ok(Box::new(Cursor::new(bytes)))
}
