//! The rows of a Parquet file.
//!
//! A file that is cut, or whose footer claims more than it holds, is an error. Polars trusts the inside of a page more:
//! damage there can make it ask for more memory than there is, which ends the process. So a program can have each file
//! decoded in a process of its own first ([`try_parquet_with`]), as `lancer` does.

use std::{
    borrow::Cow,
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::OnceLock,
};

use polars::{
    error::{PolarsError, polars_err},
    io::SerReader,
    prelude::{ArrowDataType, DataFrame, ParquetReader},
};

use super::ReadRow;
use crate::{DataError, frame};

/// A file with more values than this for each of its bytes is taken to be damaged; text has far fewer.
const MOST_VALUES_PER_BYTE: u64 = 256;

/// Has columns of a file decoded in another process, as by [`decode_parquet`]. An error says how that process ended where a
/// signal ended it.
pub type ParquetTrial = fn(&Path, &[String]) -> Result<(), String>;

static TRIAL: OnceLock<ParquetTrial> = OnceLock::new();

/// From now on each Parquet file is decoded by `trial` before it is read: what would end this process ends the other. The
/// first that is set stays.
pub fn try_parquet_with(trial: ParquetTrial) {
    // One that is set already does the same.
    let _ = TRIAL.set(trial);
}

/// Decodes these columns of a Parquet file and keeps nothing: what the process of a [`ParquetTrial`] does.
pub fn decode_parquet(path: &Path, columns: &[String]) -> Result<(), DataError> {
    let file = File::open(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let contents = catching(path, || contents(path, duplicate(path, &file)?, Some(&columns)))?;
    frames(path, &file, &contents, &mut |frame, _| {
        frame::objects(frame).for_each(drop);
    })
}

/// Hands over row group after row group; no more than one is held. A column of a type that is not read is an error where it is
/// one of `columns`, or where that is absent, and is left out elsewhere.
pub(super) fn records(
    path: &Path,
    file: &File,
    columns: Option<&[&str]>,
    sink: &mut dyn FnMut(ReadRow<'_>),
) -> Result<(), DataError> {
    let contents = catching(path, || contents(path, duplicate(path, file)?, columns))?;
    if contents.columns.is_empty() {
        return Ok(());
    }
    if let Some(trial) = TRIAL.get() {
        let path = || path.to_owned();
        trial(&path(), &contents.columns)
            .map_err(|reason| DataError::ParquetTrial { path: path(), reason })?;
    }
    frames(path, file, &contents, &mut |frame, first| {
        for (place, row) in (first as u64 + 1..).zip(frame::objects(frame)) {
            sink(ReadRow { place, line: &[], row, left_out: &contents.left_out });
        }
    })
}

/// Hands over the frame of each row group with the number of rows before it.
fn frames(
    path: &Path,
    file: &File,
    contents: &Contents,
    sink: &mut dyn FnMut(&DataFrame, usize),
) -> Result<(), DataError> {
    let mut first = 0;
    for &rows in &contents.groups {
        let frame = catching(path, || {
            ParquetReader::new(duplicate(path, file)?)
                .with_columns(Some(contents.columns.clone()))
                .with_slice(Some((first, rows)))
                .finish()
                .map_err(|source| damaged(path, source))
        })?;
        sink(&frame, first);
        first += rows;
    }
    Ok(())
}

/// What of a file is read.
struct Contents {
    columns: Vec<String>,
    /// Columns that are not read, in words.
    left_out: Vec<Cow<'static, str>>,
    /// The number of rows of each row group.
    groups: Vec<usize>,
}

/// Looks at the footer.
fn contents(path: &Path, file: File, columns: Option<&[&str]>) -> Result<Contents, DataError> {
    let length = file.metadata().map_err(|source| DataError::Read { path: path.to_owned(), source })?.len();
    let mut reader = ParquetReader::new(file);
    let metadata = reader.get_metadata().map_err(|source| damaged(path, source))?;
    // Polars asks for memory for as many values as the file claims to have, before it has seen one of them.
    let mut claimed = metadata.num_rows.max(metadata.max_row_group_height) as u64;
    let mut end = 0;
    let mut groups = Vec::with_capacity(metadata.row_groups.len());
    for group in &metadata.row_groups {
        groups.push(group.num_rows());
        claimed = claimed.max(group.num_rows() as u64);
        for column in group.parquet_columns() {
            claimed = claimed.max(u64::try_from(column.num_values()).unwrap_or(u64::MAX));
            end = end.max(column.byte_range().end);
        }
    }
    if claimed > length.saturating_mul(MOST_VALUES_PER_BYTE) || end > length {
        let said = polars_err!(ComputeError: "{claimed} values up to byte {end} are claimed, in a file of {length} bytes");
        return Err(damaged(path, said));
    }
    let schema = reader.schema().map_err(|source| damaged(path, source))?;
    let all = || schema.iter().map(|(name, field)| (name.to_string(), &field.dtype));
    let is_needed = |name: &str| columns.is_none_or(|columns| columns.contains(&name));
    let (mut wanted, mut left_out) = (Vec::new(), Vec::new());
    // Polars is built without the types that text data does not need, and panics at some of them.
    for (column, found) in all() {
        match unread(found) {
            None => wanted.push(column),
            Some(found) if is_needed(&column) => {
                let found = format!("{found:?}");
                return Err(DataError::ColumnType { path: path.to_owned(), column, found });
            }
            Some(found) => left_out.push(format!("column `{column}` of the type {found:?}").into()),
        }
    }
    Ok(Contents { columns: wanted, left_out, groups })
}

/// Damaged files make Polars panic in places; here they are an error like any other.
fn catching<T>(path: &Path, read: impl FnOnce() -> Result<T, DataError>) -> Result<T, DataError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(damaged(path, polars_err!(ComputeError: "{}", said.unwrap_or_else(|| "damaged".into()))))
    })
}

fn duplicate(path: &Path, file: &File) -> Result<File, DataError> {
    file.try_clone().map_err(|source| DataError::Read { path: path.to_owned(), source })
}

fn damaged(path: &Path, source: PolarsError) -> DataError {
    DataError::Parquet { path: path.to_owned(), source }
}

/// The type within a type that is not read.
fn unread(found: &ArrowDataType) -> Option<&ArrowDataType> {
    use ArrowDataType as T;
    match found {
        T::Null
        | T::Boolean
        | T::Int32
        | T::Int64
        | T::UInt32
        | T::UInt64
        | T::Float32
        | T::Float64
        | T::Utf8
        | T::LargeUtf8
        | T::Utf8View
        | T::Binary
        | T::LargeBinary
        | T::BinaryView => None,
        T::List(field) | T::LargeList(field) => unread(&field.dtype),
        T::Struct(fields) => fields.iter().find_map(|field| unread(&field.dtype)),
        T::Dictionary(_, values, _) => unread(values),
        other => Some(other),
    }
}
