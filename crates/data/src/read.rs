//! Records from files.

mod csv;
mod element;
mod files;
mod json_array;
mod json_lines;
mod keys;
pub(crate) mod limited;
mod parquet;
mod stdin;

use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufRead},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::{
    DataError,
    format::Format,
    hub,
    labelled::LabelledResponses,
    record::{PreferenceRecord, PreferenceRecords, Record, Records, Reject, Row, Rows},
    schema,
};

pub use self::files::files_at;
use self::keys::Keys;
pub use json_lines::MAX_LINE_BYTES;
pub use limited::{UnpackLimit, set_unpack_ratio};
pub use parquet::{ParquetTrial, decode_parquet, try_parquet_with};

/// The files that are read for a path, in the order in which they are read: the file itself, all of a folder with a known
/// ending, those of a pattern, or the local copy of a file on the hub, which is fetched where it is absent.
pub fn files_of(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    if path == Path::new(STDIN) {
        return Ok(vec![path.to_owned()]);
    }
    files_at(&hub::local(path)?)
}

/// The path that means standard input.
pub(crate) const STDIN: &str = "-";

/// The fields in which a record can be: a Parquet column of these must have a type that is read. Another column of such a type
/// is left out.
const RECORD_FIELDS: [&str; 26] = [
    "key",
    "id",
    "prompt",
    "response",
    "completion",
    "instruction",
    "input",
    "output",
    "question",
    "answer",
    "query",
    "messages",
    "conversations",
    "data",
    "history",
    "system",
    "tools",
    "functions",
    "chosen",
    "rejected",
    "chosen_response",
    "rejected_response",
    "completions",
    "responses",
    "ratings",
    "label",
];

/// Reads conversations from `.jsonl`, `.json`, `.csv`, `.tsv` (each of these also packed: `.jsonl.gz`, `.jsonl.zst`) or
/// `.parquet`: a file, all such files of a folder, those of a pattern such as `data/*.jsonl`, or JSON from standard input,
/// `-`.
///
/// Each row's layout is recognised by its fields: `prompt` with `response` or `completion`; Alpaca's `instruction`,
/// `input` and `output` (input after the instruction, an empty line between); `messages` of `role` and `content`;
/// `ShareGPT`'s `conversations` of `from` and `value`; `UltraChat`'s `data`; a prompt with rated responses, of which the best
/// is taken; `question` with `answer`; `input` with `output`. System text under `system` is a system turn, `tools` are the
/// tools that are offered. Turns have text, or parts that are all text; the model's may have calls of tools, and thoughts
/// (`reasoning_content`, or `<think>` in the text) apart from the answer. Every other field is kept with the record and
/// written with it.
///
/// A record's key is the text or whole number under `key` or `id`; without one it is the file's name without its ending,
/// `-`, and the line. Where several files are read and another of them has the key too, since ids begin anew in each, the
/// file's name and `:` come before it. What cannot be read, or has the key of an earlier record of its file, is a [`Reject`].
/// Empty lines are skipped.
pub fn read_records(path: &Path) -> Result<Records, DataError> {
    let (records, rejects) = gathered(|sink| each_record(path, sink))?;
    Ok(Records { records, rejects })
}

/// Reads as [`read_records`] does, and hands each record and reject to `sink` as it comes, for files larger than memory. Only
/// the keys are held, and of a Parquet file one row group.
pub fn each_record(
    path: &Path,
    sink: &mut dyn FnMut(Result<Record, Reject>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let files = files_of(path)?;
    let mut keys = Keys::of(&files);
    for (number, file) in files.iter().enumerate() {
        each_row_of(file, Some(&RECORD_FIELDS), &mut |read| {
            let made = read.made(file, schema::record).and_then(|mut record| {
                record.key = keys.taken(number, &record.key)?;
                record.row.unused.extend(read.left_out.iter().cloned());
                Ok(record)
            });
            sink(made.map_err(|reason| read.reject(file, reason)))
        })?;
    }
    Ok(())
}

/// Reads preference pairs from what [`read_records`] reads.
///
/// `chosen` and `rejected` are the two responses (text, or `TRL`'s turns) to what is under `prompt`, `question`,
/// `instruction` or `conversations`; or two conversations that are the same up to their last turns, as turns or as the
/// marked text of `hh-rlhf`. Of rated responses the best is chosen and the worst rejected. Responses with a `label` each
/// (KTO's data) are paired with one of the other label to the same prompt, as long as there are some. Keys and rejects are as
/// [`read_records`] has them.
pub fn read_preferences(path: &Path) -> Result<PreferenceRecords, DataError> {
    let mut found = PreferenceRecords::default();
    let mut labelled = LabelledResponses::default();
    let files = files_of(path)?;
    let mut keys = Keys::of(&files);
    for (number, file) in files.iter().enumerate() {
        each_row_of(file, Some(&RECORD_FIELDS), &mut |read| {
            let one = read.made(file, |row, key| match schema::labelled(&row, key)? {
                Some(response) => Ok(Preference::Labelled(response)),
                None => schema::preference(row, key).map(Preference::Pair),
            });
            let taken = one.and_then(|one| match one {
                Preference::Pair((mut record, unused)) => {
                    record.key = keys.taken(number, &record.key)?;
                    found.count(unused.into_iter().chain(read.left_out.iter().cloned()));
                    found.records.push(record);
                    Ok(())
                }
                Preference::Labelled(mut response) => {
                    response.key = keys.taken(number, &response.key)?;
                    labelled.add(response, read.reject(file, String::new()));
                    Ok(())
                }
            });
            if let Err(reason) = taken {
                found.rejects.push(read.reject(file, reason));
            }
            Ok(())
        })?;
    }
    let (records, rejects) = labelled.pairs();
    found.records.extend(records);
    found.rejects.extend(rejects);
    Ok(found)
}

/// What a row of preference data is.
enum Preference {
    Pair((PreferenceRecord, schema::Unused)),
    Labelled(schema::Labelled),
}

/// Where records and rejects go as they come.
type Sink<'s, T> = dyn FnMut(Result<T, Reject>) -> Result<(), DataError> + 's;

/// All that `each` hands over, and the rejects apart.
fn gathered<T>(
    each: impl FnOnce(&mut Sink<'_, T>) -> Result<(), DataError>,
) -> Result<(Vec<T>, Vec<Reject>), DataError> {
    let (mut records, mut rejects) = (Vec::new(), Vec::new());
    each(&mut |record| {
        match record {
            Ok(record) => records.push(record),
            Err(reject) => rejects.push(reject),
        }
        Ok(())
    })?;
    Ok((records, rejects))
}

/// Reads any JSON objects, from what [`read_records`] reads.
///
/// Nulls of a Parquet file are left out of its rows, so that rows with different fields come back as they were. All values
/// of a `.csv` file are text.
pub fn read_rows(path: &Path) -> Result<Rows, DataError> {
    let (rows, rejects) = gathered(|sink| each_row(path, sink))?;
    Ok(Rows { rows: rows.into_iter().map(|row| row.fields).collect(), rejects })
}

/// Reads as [`read_rows`] does, and hands each row and each reject to `sink` as it comes, for files larger than memory; of a
/// Parquet file one row group is held.
pub fn each_row(
    path: &Path,
    sink: &mut dyn FnMut(Result<Row, Reject>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    for file in files_of(path)? {
        each_row_of(&file, None, &mut |record| match record.row {
            Ok(fields) => sink(Ok(Row { automatic_key: automatic_key(&file, record.place), fields })),
            Err(ref reason) => sink(Err(record.reject(&file, reason.clone()))),
        })?;
    }
    Ok(())
}

/// The file's name without its ending, and the line.
fn automatic_key(file: &Path, place: u64) -> String {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    format!("{}-{place}", without_ending(&name))
}

/// A file's name without the endings that say what it holds.
fn without_ending(name: &str) -> &str {
    let mut stem = name;
    if name == STDIN {
        return "stdin";
    }
    for ending in [".gz", ".zst", ".jsonl", ".json", ".csv", ".tsv", ".parquet"] {
        let start = stem.len().saturating_sub(ending.len());
        if stem.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(ending)) {
            stem = &stem[..start];
        }
    }
    stem
}

/// Hands every record of a file to `sink`.
fn each_row_of(
    file: &Path,
    columns: Option<&[&str]>,
    sink: &mut dyn FnMut(ReadRow<'_>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut result = Ok(());
    records(file, columns, &mut |record| {
        if result.is_ok() {
            result = sink(record);
        }
    })?;
    result
}

/// One line, array element or row.
struct ReadRow<'a> {
    /// From 1.
    place: u64,
    /// The line as it stands in the file; empty where there is none.
    line: &'a [u8],
    /// The object, or why it is none.
    row: Result<Map<String, Value>, String>,
    /// What of it was not read, in words.
    left_out: &'a [Cow<'static, str>],
}

impl ReadRow<'_> {
    /// What `of_row` makes of it with the key that it has by its place.
    fn made<T>(
        &self,
        file: &Path,
        of_row: impl FnOnce(Map<String, Value>, &str) -> Result<T, String>,
    ) -> Result<T, String> {
        of_row(self.row.clone()?, &automatic_key(file, self.place))
    }

    fn reject(&self, file: &Path, reason: String) -> Reject {
        let text = match &self.row {
            Ok(row) if self.line.is_empty() => serde_json::to_string(row).unwrap_or_default(),
            _ => String::from_utf8_lossy(&self.line[..self.line.len().min(800)]).into_owned(),
        };
        let text = text.chars().take(200).collect();
        Reject { file: Some(file.to_owned()), place: self.place, reason, text }
    }
}

/// Hands every record of a file to `sink`, in order; an error if there is none. Of a Parquet file only the named
/// columns are read.
fn records(
    path: &Path,
    columns: Option<&[&str]>,
    sink: &mut dyn FnMut(ReadRow<'_>),
) -> Result<(), DataError> {
    let (format, compression) = Format::of(path)?;
    let unreadable = |source: io::Error| match limited::unpacked_too_far(&source) {
        Some(limit) => DataError::UnpacksTooFar { path: path.to_owned(), limit },
        None => DataError::Read { path: path.to_owned(), source },
    };
    let open = || {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(file) }
    };
    let reader = || {
        if path == Path::new(STDIN) { stdin::reader() } else { compression.reader(open()?) }
    };
    let mut count = 0_u64;
    let mut sink = |record: ReadRow<'_>| {
        count += 1;
        sink(record);
    };
    match format {
        Format::Parquet => parquet::records(path, &open().map_err(unreadable)?, columns, &mut sink)?,
        Format::JsonLines => {
            reader().and_then(|reader| json_lines::records(reader, &mut sink)).map_err(unreadable)?;
        }
        Format::Csv | Format::Tsv => {
            reader().and_then(|reader| csv::records(reader, format, &mut sink)).map_err(unreadable)?;
        }
        Format::Json => {
            let mut array = reader().map_err(unreadable)?;
            if starts_with_array(&mut array).map_err(unreadable)? {
                json_array::records(array, &mut sink).map_err(unreadable)?;
            } else {
                // From the beginning, so that lines are counted from there.
                reader().and_then(|reader| json_lines::records(reader, &mut sink)).map_err(unreadable)?;
            }
        }
    }
    if count == 0 {
        return Err(DataError::Empty { path: path.to_owned() });
    }
    Ok(())
}

/// Skips white space and a byte order mark; whether `[` follows.
fn starts_with_array(reader: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let buffer = reader.fill_buf()?;
        let Some(first) = buffer.iter().position(|byte| !byte.is_ascii_whitespace() && !BOM.contains(byte))
        else {
            if buffer.is_empty() {
                return Ok(false);
            }
            let length = buffer.len();
            reader.consume(length);
            continue;
        };
        let found = buffer[first] == b'[';
        reader.consume(first);
        return Ok(found);
    }
}

/// The byte order mark that some editors write before UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";
