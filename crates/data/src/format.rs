//! What a file holds, by its ending.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};

use flate2::{Compression as Level, bufread::MultiGzDecoder, write::GzEncoder};

use crate::{
    DataError,
    read::{
        STDIN,
        limited::{Packed, Unpacked},
    },
};

/// The layouts of files that are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `.jsonl`: one JSON object a line.
    JsonLines,
    /// `.json`: an array of objects; reading takes one object a line as well.
    Json,
    /// `.csv`: a line of names, then a record a line.
    Csv,
    /// `.tsv`: the same with tabs.
    Tsv,
    /// `.parquet`.
    Parquet,
}

/// How a file's bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Plain,
    /// `.gz` after the other ending.
    Gzip,
    /// `.zst` after the other ending.
    Zstd,
}

impl Format {
    pub(crate) fn of(path: &Path) -> Result<(Self, Compression), DataError> {
        if path == Path::new(STDIN) {
            return Ok((Self::Json, Compression::Plain));
        }
        let unknown = || DataError::UnknownEnding { path: path.to_owned() };
        let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase());
        let name = name.ok_or_else(unknown)?;
        let (name, compression) = match name.rsplit_once('.') {
            Some((name, "gz")) => (name, Compression::Gzip),
            Some((name, "zst")) => (name, Compression::Zstd),
            _ => (name.as_str(), Compression::Plain),
        };
        let format = match name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("jsonl") => Self::JsonLines,
            Some("json") => Self::Json,
            Some("csv") => Self::Csv,
            Some("tsv") => Self::Tsv,
            // Packed within already.
            Some("parquet") if compression == Compression::Plain => Self::Parquet,
            _ => return Err(unknown()),
        };
        Ok((format, compression))
    }
}

/// Whether a file's name says how its records are laid out, so that it can be read or written.
pub fn check_ending(path: &Path) -> Result<(), DataError> {
    Format::of(path).map(|_| ())
}

impl Compression {
    /// What a file holds, unpacked.
    pub(crate) fn reader(self, file: File) -> io::Result<Box<dyn BufRead>> {
        if self == Self::Plain {
            return Ok(Box::new(BufReader::new(file)));
        }
        let (file, read) = Packed::new(file);
        let unpacked: Box<dyn Read> = match self {
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(file)?),
            Self::Gzip | Self::Plain => Box::new(MultiGzDecoder::new(file)),
        };
        Ok(Box::new(BufReader::new(Unpacked::new(unpacked, read))))
    }

    /// Packs what `write` writes into `file`.
    pub(crate) fn write(
        self,
        file: &mut dyn Write,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        match self {
            Self::Plain => write(file),
            Self::Gzip => {
                let mut packed = GzEncoder::new(file, Level::default());
                write(&mut packed)?;
                packed.finish().map(|_| ())
            }
            Self::Zstd => {
                let mut packed = zstd::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                packed.include_checksum(true)?;
                write(&mut packed)?;
                packed.finish().map(|_| ())
            }
        }
    }
}
