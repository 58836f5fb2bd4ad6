//! A matrix of weights as it is in a file.

use std::ops::Range;

use rayon::prelude::*;

use super::{BlockFormat, dequantise::dequantise_row};

/// Bytes of 32-bit floats that a panel takes at most: they stay in the outer caches while they are multiplied.
const PANEL_BYTES: usize = 4 << 20;

/// A panel has at least so many rows, however long they are.
const PANEL_ROWS: usize = 32;

/// A matrix of weights in a block format, `[rows, columns]`; a linear layer's is `[outputs, inputs]`.
#[derive(Debug, Clone, Copy)]
pub struct BlockMatrix<'a> {
    format: BlockFormat,
    rows: usize,
    columns: usize,
    bytes: &'a [u8],
    order: RowOrder,
}

/// In which order a file has a matrix's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowOrder {
    /// As they are counted.
    AsCounted,
    /// Rows come in heads of this width, and of each head the first half and the second are interleaved: row `i` stands at
    /// `2i`, row `i + width / 2` at `2i + 1`. llama.cpp stores the query and key projections of Llama so.
    Interleaved {
        /// Rows of a head, an even number.
        head: usize,
    },
}

/// Bytes that are not such a matrix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// A row is not made of whole blocks.
    #[error("rows of {columns} weights are no multiple of the {block} of a {format:?} block")]
    Row {
        /// The format.
        format: BlockFormat,
        /// Weights of a row.
        columns: usize,
        /// Weights of a block.
        block: usize,
    },
    /// There are more or fewer bytes than the matrix has.
    #[error("{found} bytes, where {rows} rows of {columns} weights in {format:?} take {expected}")]
    Bytes {
        /// The format.
        format: BlockFormat,
        /// Rows of the matrix.
        rows: usize,
        /// Weights of a row.
        columns: usize,
        /// Bytes that there are.
        found: usize,
        /// Bytes that there should be.
        expected: usize,
    },
    /// The rows are not made of whole heads.
    #[error("{rows} rows are no multiple of the {head} of a head, or those are an odd number")]
    Heads {
        /// Rows of the matrix.
        rows: usize,
        /// Rows of a head.
        head: usize,
    },
}

impl<'a> BlockMatrix<'a> {
    /// The matrix of these bytes, its rows one after another.
    pub fn new(
        format: BlockFormat,
        [rows, columns]: [usize; 2],
        bytes: &'a [u8],
    ) -> Result<Self, BlockError> {
        let block = format.block_length();
        if !columns.is_multiple_of(block) {
            return Err(BlockError::Row { format, columns, block });
        }
        let expected = rows.saturating_mul(columns / block).saturating_mul(format.block_bytes());
        if bytes.len() != expected {
            return Err(BlockError::Bytes { format, rows, columns, found: bytes.len(), expected });
        }
        Ok(Self { format, rows, columns, bytes, order: RowOrder::AsCounted })
    }

    /// The matrix whose rows the same bytes have in another order.
    pub fn ordered(self, order: RowOrder) -> Result<Self, BlockError> {
        match order {
            RowOrder::Interleaved { head }
                if head == 0 || !head.is_multiple_of(2) || !self.rows.is_multiple_of(head) =>
            {
                Err(BlockError::Heads { rows: self.rows, head })
            }
            _ => Ok(Self { order, ..self }),
        }
    }

    /// How the weights are stored.
    pub fn format(&self) -> BlockFormat {
        self.format
    }

    /// Number of rows; a linear layer's outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns; a linear layer's inputs.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Writes the weights of one row to `weights`, which has a place for each column.
    ///
    /// # Panics
    /// Where there is no such row, or `weights` has another length.
    pub fn dequantise_row(&self, row: usize, weights: &mut [f32]) {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        assert_eq!(weights.len(), self.columns, "a place for each column");
        let bytes = self.columns / self.format.block_length() * self.format.block_bytes();
        let stored = self.order.place(row);
        dequantise_row(self.format, &self.bytes[stored * bytes..][..bytes], weights);
    }

    /// Writes the weights of some rows to `weights`, `[rows, columns]`, in all threads.
    ///
    /// # Panics
    /// Where there are no such rows, or `weights` has another length.
    pub fn dequantise_rows(&self, rows: Range<usize>, weights: &mut [f32]) {
        assert_eq!(weights.len(), rows.len() * self.columns, "a place for each weight");
        if weights.is_empty() {
            return;
        }
        weights.par_chunks_mut(self.columns).enumerate().for_each(|(place, weights)| {
            self.dequantise_row(rows.start + place, weights);
        });
    }

    /// Calls `each` with the weights of some rows, `[rows, columns]`, and with which rows they are, until it had all.
    pub fn for_each_panel(&self, mut each: impl FnMut(Range<usize>, &[f32])) {
        let of_panel = (PANEL_BYTES / size_of::<f32>() / self.columns.max(1)).max(PANEL_ROWS).min(self.rows);
        let mut panel = vec![0.0; of_panel * self.columns];
        for first in (0..self.rows).step_by(of_panel.max(1)) {
            let rows = first..self.rows.min(first + of_panel);
            let panel = &mut panel[..rows.len() * self.columns];
            self.dequantise_rows(rows.clone(), panel);
            each(rows, panel);
        }
    }
}

impl RowOrder {
    /// Where the row of this number stands.
    fn place(self, row: usize) -> usize {
        match self {
            Self::AsCounted => row,
            Self::Interleaved { head } => {
                let (half, within) = (head / 2, row % head);
                row - within + (within % half) * 2 + within / half
            }
        }
    }
}
