//! Buckets on disk: Parquet files with a column for each band, so that one band of all texts can be read alone.

use std::{fs::File, num::NonZeroUsize, path::PathBuf};

use polars::prelude::{Column, DataFrame, ParquetCompression, ParquetReader, ParquetWriter, SerReader};
use tempfile::TempDir;

use crate::DataError;

/// The buckets of texts by band: those of the newest texts in memory, the others in files that go when this goes.
pub(super) struct Spill {
    folder: TempDir,
    files: Vec<PathBuf>,
    /// By band.
    newest: Vec<Vec<u64>>,
    texts: usize,
    /// The texts of each file.
    of_file: NonZeroUsize,
}

impl Spill {
    /// With the buckets of fewer texts than `of_file` in memory.
    pub(super) fn new(folder: TempDir, bands: usize, of_file: NonZeroUsize) -> Self {
        Self { folder, files: Vec::new(), newest: vec![Vec::new(); bands], texts: 0, of_file }
    }

    /// How many texts there are.
    pub(super) fn texts(&self) -> usize {
        self.texts
    }

    /// Takes the buckets of further texts, by text, then by band.
    pub(super) fn add(&mut self, buckets: &[Vec<u64>]) -> Result<(), DataError> {
        for of_text in buckets {
            for (band, &bucket) in self.newest.iter_mut().zip(of_text) {
                band.push(bucket);
            }
            self.texts += 1;
            if self.texts.is_multiple_of(self.of_file.get()) {
                self.write()?;
            }
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), DataError> {
        let path = self.folder.path().join(format!("{}.parquet", self.files.len()));
        let columns = self.newest.iter_mut().enumerate();
        let columns =
            columns.map(|(band, buckets)| Column::new(name(band), std::mem::take(buckets))).collect();
        let mut frame = DataFrame::new(self.of_file.get(), columns)?;
        let file = File::create(&path).map_err(|source| DataError::Write { path: path.clone(), source })?;
        // Hashes are as good as random: nothing makes them smaller.
        ParquetWriter::new(file)
            .with_compression(ParquetCompression::Uncompressed)
            .finish(&mut frame)
            .map_err(|error| DataError::Write { path: path.clone(), source: std::io::Error::other(error) })?;
        self.files.push(path);
        Ok(())
    }

    /// The buckets of one band, with their texts.
    pub(super) fn band(&self, band: usize) -> Result<Vec<(u64, u32)>, DataError> {
        let mut found = Vec::with_capacity(self.texts);
        for path in &self.files {
            let file = File::open(path).map_err(|source| DataError::Read { path: path.clone(), source })?;
            let frame = ParquetReader::new(file)
                .with_columns(Some(vec![name(band).to_string()]))
                .finish()
                .map_err(|source| DataError::Parquet { path: path.clone(), source })?;
            let buckets = frame.column(&name(band))?.u64()?.into_no_null_iter();
            found.extend(buckets.zip(found.len() as u32..));
        }
        found.extend(self.newest[band].iter().copied().zip(found.len() as u32..));
        Ok(found)
    }
}

fn name(band: usize) -> polars::prelude::PlSmallStr {
    format!("band_{band}").into()
}
