//! Weight matrices as they are in their files, mapped into memory and not copied.

use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use lancer_kernels::{BlockFormat, BlockMatrix, RowOrder};
use memmap2::Mmap;

use crate::ModelError;

/// A weight matrix as it is in its file. The system reads those of its pages that are asked for, and may forget them again
/// where memory is short: they are the file's.
#[derive(Debug, Clone)]
pub struct StoredMatrix {
    map: Arc<Mmap>,
    start: usize,
    bytes: usize,
    format: BlockFormat,
    shape: [usize; 2],
    order: RowOrder,
}

/// Where a matrix stands in a file.
pub(crate) struct Stored<'a> {
    pub(crate) path: &'a Path,
    /// First byte.
    pub(crate) offset: u64,
    /// Number of bytes.
    pub(crate) bytes: u64,
    pub(crate) format: BlockFormat,
    pub(crate) shape: &'a [usize],
    pub(crate) order: RowOrder,
}

impl StoredMatrix {
    /// The weights, `[output, input]` as Hugging Face has them.
    #[allow(clippy::missing_panics_doc, reason = "the matrix was checked when it was found")]
    pub fn blocks(&self) -> BlockMatrix<'_> {
        let matrix = BlockMatrix::new(self.format, self.shape, self.bytes());
        // Both were checked when the matrix was found.
        matrix.and_then(|matrix| matrix.ordered(self.order)).expect("a matrix that was checked")
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.map[self.start..self.start + self.bytes]
    }
}

/// The files of a model that are mapped, each once.
#[derive(Debug, Default)]
pub(crate) struct Maps(Mutex<HashMap<PathBuf, Arc<Mmap>>>);

impl Maps {
    /// A matrix of a file.
    pub(crate) fn matrix(&self, name: &str, stored: &Stored<'_>) -> Result<StoredMatrix, ModelError> {
        let wrong =
            |reason: String| ModelError::Tensor { path: stored.path.into(), tensor: name.into(), reason };
        let &[rows, columns] = stored.shape else {
            return Err(wrong(format!("its shape {:?} is that of no matrix", stored.shape)));
        };
        let map = self.file(stored.path)?;
        let (start, bytes) = (stored.offset as usize, stored.bytes as usize);
        if start.checked_add(bytes).is_none_or(|end| end > map.len()) {
            return Err(wrong(format!("the file has become shorter: {} bytes", map.len())));
        }
        let (format, shape, order) = (stored.format, [rows, columns], stored.order);
        let matrix = StoredMatrix { map, start, bytes, format, shape, order };
        BlockMatrix::new(format, shape, matrix.bytes())
            .and_then(|blocks| blocks.ordered(order))
            .map_err(|error| wrong(error.to_string()))?;
        Ok(matrix)
    }

    fn file(&self, path: &Path) -> Result<Arc<Mmap>, ModelError> {
        // Nothing that holds the lock can fail half-way.
        let mut maps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(map) = maps.get(path) {
            return Ok(map.clone());
        }
        let failed = |action| move |source| ModelError::Io { path: path.into(), action, source };
        let file = File::open(path).map_err(failed("open"))?;
        // SAFETY: what is read from the map is bytes only, of which any are valid. Whoever writes into a model's file or cuts it
        // while it is read changes what is computed or ends the program, as with every program that maps model files; lancer
        // replaces files whole.
        #[allow(unsafe_code, reason = "a file is mapped")]
        let map = unsafe { Mmap::map(&file) }.map_err(failed("map"))?;
        let map = Arc::new(map);
        maps.insert(path.into(), map.clone());
        Ok(map)
    }
}
