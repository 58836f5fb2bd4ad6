//! Records into files.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use flate2::{Compression as Level, write::GzEncoder};
use lancer_output::{Existing, Place, Scratch};
use polars::prelude::{DataFrame, ParquetCompression, ParquetWriter};
use serde::Serialize;
use serde_json::{Value, ser::to_string};

use crate::{
    DataError,
    format::{Compression, Format},
    frame::{self, Fields},
    integer,
};

/// Writes rows, each of which must serialise as an object, by the file's ending: `.jsonl`, `.json` (an array, a row a
/// line), `.csv`, `.tsv` (all of these and `.jsonl` also packed, with `.gz` or `.zst` after the ending) or `.parquet` (see
/// [`to_frame`](crate::to_frame) for its columns).
///
/// A file that is there is replaced: whatever goes wrong leaves either the old file or the new one, whole. [`write_rows_to`]
/// leaves it to its caller what is replaced. The file's folder is made where it is missing. Fractions are written to their last digit; from JSON they may be read with
/// another one. In `.csv` a value that is not text is written as JSON.
pub fn write_rows<T: Serialize>(path: &Path, rows: &[T]) -> Result<(), DataError> {
    let _ = Format::of(path)?;
    write_rows_to(&Place::file(path, Existing::Own)?, rows)
}

/// Writes rows as [`write_rows`] does, to a place that says what may be replaced.
pub fn write_rows_to<T: Serialize>(path: &Place, rows: &[T]) -> Result<(), DataError> {
    let (format, compression) = Format::of(path.shown())?;
    match format {
        Format::JsonLines => {
            let lines = lines(rows)?;
            write_to(path, |file| {
                compression.write(file, |file| lines.iter().try_for_each(|line| writeln!(file, "{line}")))
            })
        }
        Format::Json => {
            let array = lines(rows)?.join(",\n");
            write_to(path, |file| {
                compression.write(file, |file| {
                    if array.is_empty() { writeln!(file, "[]") } else { writeln!(file, "[\n{array}\n]") }
                })
            })
        }
        Format::Csv | Format::Tsv => {
            let fields = frame::fields(rows)?;
            let delimiter = if format == Format::Tsv { b'\t' } else { b',' };
            write_to(path, |file| compression.write(file, |file| write_csv(&fields, delimiter, file)))
        }
        Format::Parquet => {
            let bytes = parquet(&mut frame::to_frame(rows)?)?;
            write_to(path, |file| file.write_all(&bytes))
        }
    }
}

/// A frame as a Parquet file.
fn parquet(frame: &mut DataFrame) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    // Snappy: the one that every reader of Parquet has.
    ParquetWriter::new(&mut bytes).with_compression(ParquetCompression::Snappy).finish(frame)?;
    forget_views(&mut bytes);
    Ok(bytes)
}

/// Takes from a Parquet file the note that its texts were views where it was written: pyarrow, and so `datasets`, makes views of
/// them again and cannot sort those. Polars always writes it; under another name it is passed over.
fn forget_views(file: &mut [u8]) {
    const NAME: &[u8] = b"ARROW:schema";
    // The file ends with its footer, the footer's length and a mark, four bytes each of these two.
    let Some(end) = file.len().checked_sub(8) else { return };
    let length = file[end..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)) as usize;
    let footer = &mut file[end.saturating_sub(length)..end];
    if let Some(place) = footer.windows(NAME.len()).rposition(|bytes| bytes == NAME) {
        footer[place..place + NAME.len()].copy_from_slice(b"POLAR:schema");
    }
}

/// Writes rows as they are made, and puts the file into its place at the end.
///
/// `.jsonl`, packed or not, is written at once and needs no memory; for other endings the rows are held until then.
pub struct RowWriter {
    place: Place,
    scratch: Scratch,
    sink: Sink,
}

enum Sink {
    Lines(Lines),
    Rows(Vec<Value>),
}

/// Lines on their way into a scratch file.
enum Lines {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
}

impl RowWriter {
    /// Begins a file.
    pub fn begin(place: &Place) -> Result<Self, DataError> {
        let (format, compression) = Format::of(place.shown())?;
        let scratch = place.begin()?;
        let sink = match format {
            Format::JsonLines => {
                let lines = File::create(scratch.path()).and_then(|file| Lines::new(file, compression));
                Sink::Lines(lines.map_err(written(place))?)
            }
            Format::Json | Format::Csv | Format::Tsv | Format::Parquet => Sink::Rows(Vec::new()),
        };
        Ok(Self { place: place.clone(), scratch, sink })
    }

    /// A folder for other files that are needed until this one is finished.
    pub fn folder(&self) -> &Path {
        self.scratch.folder()
    }

    /// Writes a row.
    pub fn write<T: Serialize>(&mut self, row: &T) -> Result<(), DataError> {
        match &mut self.sink {
            Sink::Lines(file) => {
                let line = lines(std::slice::from_ref(row))?.concat();
                writeln!(file.writer(), "{line}").map_err(written(&self.place))
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
            Sink::Lines(lines) => {
                lines.finish().map_err(written(&self.place))?;
                Ok(self.scratch.finish()?)
            }
            Sink::Rows(rows) => write_rows_to(&self.place, &rows),
        }
    }
}

impl Lines {
    fn new(file: File, compression: Compression) -> io::Result<Self> {
        let file = BufWriter::new(file);
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

    fn finish(self) -> io::Result<()> {
        let mut file = match self {
            Self::Plain(file) => file,
            Self::Gzip(file) => file.finish()?,
            Self::Zstd(file) => file.finish()?,
        };
        file.flush()
    }
}

fn write_csv(fields: &Fields, delimiter: u8, file: &mut dyn Write) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(file);
    writer.write_record(&fields.names)?;
    for row in &fields.rows {
        writer.write_record(fields.names.iter().map(|name| match row.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => integer::as_text(text).to_owned(),
            Some(value) => integer::unquoted(value.to_string()),
        }))?;
    }
    writer.flush()
}

fn lines<T: Serialize>(rows: &[T]) -> Result<Vec<String>, DataError> {
    let line = |(row, value)| {
        let line = integer::unquoted(to_string(value).map_err(|source| DataError::Row { row, source })?);
        if line.starts_with('{') {
            return Ok(line);
        }
        let source = serde::ser::Error::custom("it is not an object");
        Err(DataError::Row { row, source })
    };
    (1..).zip(rows).map(line).collect()
}

/// Writes a file to its place.
pub(crate) fn write_to(
    place: &Place,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<(), DataError> {
    place.write(|scratch| {
        let written = || {
            let file = File::create(scratch)?;
            let mut file = BufWriter::new(&file);
            write(&mut file)?;
            file.flush()
        };
        written().map_err(self::written(place))
    })
}

/// For `map_err` on what writing a file gives.
fn written(place: &Place) -> impl FnOnce(io::Error) -> DataError {
    let path = place.shown().to_path_buf();
    move |source| DataError::Write { path, source }
}
