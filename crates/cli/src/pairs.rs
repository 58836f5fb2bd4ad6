//! Pairs from a file, with a line on the terminal for what cannot be used.

use std::path::Path;

use lancer_data::{Pair, PreferencePair, Reject};

use crate::{failure::Failure, progress::Bars};

/// The pairs of a prompt and a response.
pub(crate) fn read_pairs(path: &Path, bars: &Bars) -> Result<Vec<Pair>, Failure> {
    let read = lancer_data::read_pairs(path)?;
    usable(path, read.pairs, &read.rejects, "pair of a prompt and a response", bars)
}

/// The pairs of a better and a worse response.
pub(crate) fn read_preferences(path: &Path, bars: &Bars) -> Result<Vec<PreferencePair>, Failure> {
    let read = lancer_data::read_preferences(path)?;
    usable(path, read.pairs, &read.rejects, "pair of a `chosen` and a `rejected` response", bars)
}

fn usable<T>(
    path: &Path,
    records: Vec<T>,
    rejects: &[Reject],
    what: &str,
    bars: &Bars,
) -> Result<Vec<T>, Failure> {
    let why = rejects.first().map_or_else(String::new, |first| {
        // Where one file is read, its name has been said.
        let file = first.file.as_deref().filter(|&file| file != path);
        let file = file.map_or_else(String::new, |file| format!(" of {}", file.display()));
        format!(", the first at {}{file}: {}", first.place, first.reason)
    });
    if records.is_empty() {
        return Err(Failure::failed(format!("{} holds no usable {what}{why}", path.display())));
    }
    if !rejects.is_empty() {
        bars.say(&format!("note: {} records of {} cannot be used{why}", rejects.len(), path.display()));
    }
    Ok(records)
}
