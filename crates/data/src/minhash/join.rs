//! Near-duplicates among more texts than memory holds.

use std::{num::NonZeroUsize, path::Path};

use rayon::prelude::*;

use super::{Clusters, MinHash, MinHashSettings, clusters::UnionFind, spill::Spill};
use crate::{DataError, SettingError};

const TEXTS_HELD: NonZeroUsize = NonZeroUsize::new(1 << 18).expect("1 << 18 is not 0");

/// Takes texts in any number of pieces, then says which are near-duplicates.
///
/// No text is held. Memory grows by 20 bytes a text and has room for the buckets of some texts besides; all other buckets,
/// 8 bytes a text and band, stand in Parquet files until the end.
///
/// ```
/// use lancer_data::{Keep, MinHashJoin, MinHashSettings};
///
/// let text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen";
/// let scratch = std::env::temp_dir();
/// let mut join = MinHashJoin::new(MinHashSettings::default(), &scratch)?;
/// join.add(&[text, "quite another text, which has nothing at all in common with the first one"])?;
/// join.add(&[text])?;
/// assert_eq!(join.clusters()?.kept(Keep::First, &[]), [0, 1, 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MinHashJoin {
    hash: MinHash,
    spill: Spill,
}

impl MinHashJoin {
    /// A join that keeps its files in a folder of its own within `scratch`, and the buckets of up to 262,144 texts in
    /// memory.
    ///
    /// # Errors
    /// Where the folder cannot be made, or a setting is out of its range.
    pub fn new(settings: MinHashSettings, scratch: &Path) -> Result<Self, MinHashError> {
        Self::holding(TEXTS_HELD, settings, scratch)
    }

    /// The same with the buckets of so many texts in memory.
    ///
    /// # Errors
    /// As of [`Self::new`].
    pub fn holding(
        texts: NonZeroUsize,
        settings: MinHashSettings,
        scratch: &Path,
    ) -> Result<Self, MinHashError> {
        let hash = MinHash::new(settings)?;
        let folder = tempfile::Builder::new()
            .prefix(".lancer-minhash-")
            .tempdir_in(scratch)
            .map_err(|source| DataError::Write { path: scratch.to_owned(), source })?;
        let spill = Spill::new(folder, hash.bands().count, texts);
        Ok(Self { hash, spill })
    }

    /// Takes further texts. Those of one call are hashed on all cores.
    pub fn add<T: AsRef<str> + Sync>(&mut self, texts: &[T]) -> Result<(), DataError> {
        let buckets: Vec<Vec<u64>> =
            texts.par_iter().map(|text| self.hash.buckets(text.as_ref()).collect()).collect();
        self.spill.add(&buckets)
    }

    /// The clusters of all texts, numbered in the order in which they came.
    pub fn clusters(self) -> Result<Clusters, DataError> {
        let mut found = UnionFind::new(self.spill.texts());
        for band in 0..self.hash.bands().count {
            let mut buckets = self.spill.band(band)?;
            buckets.par_sort_unstable();
            for pair in buckets.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
                found.join(pair[0].1, pair[1].1);
            }
        }
        Ok(found.clusters())
    }
}

/// Why a join cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum MinHashError {
    /// A setting is out of its range.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The scratch folder cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
}
