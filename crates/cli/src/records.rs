//! Records from a file, with a line on the terminal for what cannot be used.

use std::path::Path;

use lancer_data::{PreferenceRecord, Record, Reject};

use crate::{failure::Failure, progress::Bars};

/// Conversations that end with a response.
pub(crate) fn read_records(path: &Path, bars: &Bars) -> Result<Vec<Record>, Failure> {
    let read = lancer_data::read_records(path)?;
    say_what_is_unused(read.unused().into_iter(), bars);
    usable(path, read.records, &read.rejects, "conversation with a prompt and a response", bars)
}

fn say_what_is_unused<'a>(unused: impl Iterator<Item = (&'a str, usize)>, bars: &Bars) {
    for (what, records) in unused {
        bars.say(&format!("note: not used of {records} records: {what}"));
    }
}

/// The pairs of a better and a worse response.
pub(crate) fn read_preferences(path: &Path, bars: &Bars) -> Result<Vec<PreferenceRecord>, Failure> {
    let read = lancer_data::read_preferences(path)?;
    say_what_is_unused(read.unused.iter().map(|(what, records)| (what.as_str(), *records)), bars);
    usable(path, read.records, &read.rejects, "pair of a `chosen` and a `rejected` response", bars)
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
