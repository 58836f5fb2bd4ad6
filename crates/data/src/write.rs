//! Records into files.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression as Level, write::GzEncoder};
use polars::prelude::{ParquetCompression, ParquetWriter};
use serde::Serialize;
use serde_json::{Value, ser::to_string};
use tempfile::{Builder, NamedTempFile};

use crate::{
    DataError,
    format::{Compression, Format},
    frame::{self, Fields},
};

/// Writes rows, each of which must serialise as an object, by the file's ending: `.jsonl`, `.json` (an array, a row a
/// line), `.csv` (both of these and `.jsonl` also packed, with `.gz` or `.zst` after the ending) or `.parquet` (see
/// [`to_frame`](crate::to_frame) for its columns).
///
/// The file is written beside its place and then renamed, so that whatever goes wrong leaves either the old file or the
/// new one, whole. Its folder must exist. Fractions are written to their last digit; from JSON they may be read with
/// another one. In `.csv` a value that is not text is written as JSON.
pub fn write_rows<T: Serialize>(path: &Path, rows: &[T]) -> Result<(), DataError> {
    let (format, compression) = Format::of(path)?;
    match format {
        Format::JsonLines => {
            let lines = lines(rows)?;
            replace(path, |file| {
                compression.write(file, |file| lines.iter().try_for_each(|line| writeln!(file, "{line}")))
            })
        }
        Format::Json => {
            let array = lines(rows)?.join(",\n");
            replace(path, |file| {
                compression.write(file, |file| {
                    if array.is_empty() { writeln!(file, "[]") } else { writeln!(file, "[\n{array}\n]") }
                })
            })
        }
        Format::Csv => {
            let fields = frame::fields(rows)?;
            replace(path, |file| compression.write(file, |file| write_csv(&fields, file)))
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

/// Writes rows as they are made, and puts the file into its place at the end.
///
/// `.jsonl`, packed or not, is written at once and needs no memory; for other endings the rows are held until then.
pub struct RowWriter {
    path: PathBuf,
    sink: Sink,
}

enum Sink {
    Lines(Lines),
    Rows(Vec<Value>),
}

/// Lines on their way into a scratch file.
enum Lines {
    Plain(BufWriter<NamedTempFile>),
    Gzip(Box<GzEncoder<BufWriter<NamedTempFile>>>),
    Zstd(zstd::Encoder<'static, BufWriter<NamedTempFile>>),
}

impl RowWriter {
    /// Begins a file whose folder exists.
    pub fn create(path: &Path) -> Result<Self, DataError> {
        let (format, compression) = Format::of(path)?;
        let sink = match format {
            Format::JsonLines => {
                let lines = scratch(path).and_then(|scratch| Lines::new(scratch, compression));
                Sink::Lines(lines.map_err(|source| DataError::Write { path: path.to_owned(), source })?)
            }
            Format::Json | Format::Csv | Format::Parquet => Sink::Rows(Vec::new()),
        };
        Ok(Self { path: path.to_owned(), sink })
    }

    /// Writes a row.
    pub fn write<T: Serialize>(&mut self, row: &T) -> Result<(), DataError> {
        match &mut self.sink {
            Sink::Lines(file) => {
                let line = lines(std::slice::from_ref(row))?.concat();
                writeln!(file.writer(), "{line}")
                    .map_err(|source| DataError::Write { path: self.path.clone(), source })
            }
            Sink::Rows(rows) => {
                let row_number = rows.len() + 1;
                let row =
                    serde_json::to_value(row).map_err(|source| DataError::Row { row: row_number, source })?;
                rows.push(row);
                Ok(())
            }
        }
    }

    /// Puts the file into its place. Without this nothing of it stays.
    pub fn finish(self) -> Result<(), DataError> {
        match self.sink {
            Sink::Lines(lines) => lines
                .finish()
                .and_then(|scratch| persist(scratch, &self.path))
                .map_err(|source| DataError::Write { path: self.path.clone(), source }),
            Sink::Rows(rows) => write_rows(&self.path, &rows),
        }
    }
}

impl Lines {
    fn new(scratch: NamedTempFile, compression: Compression) -> io::Result<Self> {
        let file = BufWriter::new(scratch);
        Ok(match compression {
            Compression::Plain => Self::Plain(file),
            Compression::Gzip => Self::Gzip(Box::new(GzEncoder::new(file, Level::default()))),
            Compression::Zstd => {
                let mut packed = zstd::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                packed.include_checksum(true)?;
                Self::Zstd(packed)
            }
        })
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Plain(file) => file,
            Self::Gzip(file) => file,
            Self::Zstd(file) => file,
        }
    }

    fn finish(self) -> io::Result<NamedTempFile> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Gzip(file) => file.finish()?,
            Self::Zstd(file) => file.finish()?,
        };
        file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

fn write_csv(fields: &Fields, file: &mut dyn Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record(&fields.names)?;
    for row in &fields.rows {
        writer.write_record(fields.names.iter().map(|name| match row.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        }))?;
    }
    writer.flush()
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
        let scratch = scratch(path)?;
        let mut file = BufWriter::new(scratch.as_file());
        write(&mut file)?;
        file.flush()?;
        drop(file);
        persist(scratch, path)
    };
    written().map_err(|source| DataError::Write { path: path.to_owned(), source })
}

/// A file beside the place of another.
fn scratch(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = Builder::new();
    builder.prefix(".lancer-").suffix(".partial");
    // A scratch file is otherwise for its owner alone, and so would be what it becomes.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn persist(scratch: NamedTempFile, path: &Path) -> io::Result<()> {
    scratch.as_file().sync_all()?;
    scratch.persist(path).map_err(|error| error.error)?;
    Ok(())
}
