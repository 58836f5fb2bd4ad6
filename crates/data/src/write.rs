//! Records into files.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::Path,
};

use polars::prelude::{ParquetCompression, ParquetWriter};
use serde::Serialize;
use serde_json::ser::to_string;
use tempfile::Builder;

use crate::{DataError, format::Format, frame};

/// Writes rows, each of which must serialise as an object, by the file's ending: `.jsonl`, `.json` (an array, a row a
/// line) or `.parquet` (see [`to_frame`](crate::to_frame) for its columns).
///
/// The file is written beside its place and then renamed, so that whatever goes wrong leaves either the old file or the
/// new one, whole. Its folder must exist. Fractions are written to their last digit; from JSON they may be read with
/// another one.
pub fn write_rows<T: Serialize>(path: &Path, rows: &[T]) -> Result<(), DataError> {
    match Format::of(path)? {
        Format::JsonLines => {
            let lines = lines(rows)?;
            replace(path, |file| lines.iter().try_for_each(|line| writeln!(file, "{line}")))
        }
        Format::Json => {
            let array = lines(rows)?.join(",\n");
            replace(path, |file| {
                if array.is_empty() { writeln!(file, "[]") } else { writeln!(file, "[\n{array}\n]") }
            })
        }
        Format::Parquet => {
            let mut frame = frame::to_frame(rows)?;
            replace(path, |file| {
                // Snappy: the one that every reader of Parquet has.
                ParquetWriter::new(file)
                    .with_compression(ParquetCompression::Snappy)
                    .finish(&mut frame)
                    .map_err(|error| io::Error::other(error.to_string()))
                    .map(|_| ())
            })
        }
    }
}

fn lines<T: Serialize>(rows: &[T]) -> Result<Vec<String>, DataError> {
    let line = |(row, value)| {
        let line = to_string(value).map_err(|source| DataError::Row { row, source })?;
        if line.starts_with('{') {
            return Ok(line);
        }
        let source = serde::ser::Error::custom("it is not an object");
        Err(DataError::Row { row, source })
    };
    (1..).zip(rows).map(line).collect()
}

/// Puts a file into its place once it is complete.
pub(crate) fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&fs::File>) -> io::Result<()>,
) -> Result<(), DataError> {
    let written = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = Builder::new();
        builder.prefix(".lancer-").suffix(".partial");
        // A scratch file is otherwise for its owner alone, and so would be what it becomes.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let scratch = builder.tempfile_in(folder)?;
        let mut file = BufWriter::new(scratch.as_file());
        write(&mut file)?;
        file.flush()?;
        drop(file);
        scratch.as_file().sync_all()?;
        scratch.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    written().map_err(|source| DataError::Write { path: path.to_owned(), source })
}
