//! The KV cache of some sequences: a key and a value tensor for each layer, `[rows, key-value heads, capacity, head size]`.

mod device;
mod graphs;
mod host;
mod memory;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a step that fails fails its test")]
mod tests;

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use ort::value::DynTensor;

pub(super) use self::memory::Memory;
use super::interface::Padding;

/// Capacities are multiples of this, so that a cache does not grow with each token.
const GROWTH: usize = 64;

/// Which cache tensors belong to: another where others are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CacheId(u64);

impl CacheId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The KV cache of some sequences, a row each. A row that holds none is computed along and ignored.
pub(super) struct Cache {
    id: CacheId,
    padding: Padding,
    tensors: Vec<DynTensor>,
    capacity: usize,
    /// Tokens of each row; `None` where it holds no sequence.
    lengths: Vec<Option<usize>>,
}

impl Cache {
    /// A cache with one empty sequence.
    pub(super) fn one(memory: &Memory) -> ort::Result<Self> {
        Self::new(memory, vec![Some(0)], 0)
    }

    /// A cache without rows.
    pub(super) fn empty(memory: &Memory) -> ort::Result<Self> {
        Self::new(memory, Vec::new(), 0)
    }

    fn new(memory: &Memory, lengths: Vec<Option<usize>>, capacity: usize) -> ort::Result<Self> {
        let tensors = memory.tensors(lengths.len(), capacity)?;
        Ok(Self { id: CacheId::next(), padding: memory.padding(), tensors, capacity, lengths })
    }

    /// Where runs write into the cache, its tensors are the same as long as this is.
    pub(super) fn id(&self) -> CacheId {
        self.id
    }

    /// Tokens of each row; `None` where it holds no sequence.
    pub(super) fn lengths(&self) -> &[Option<usize>] {
        &self.lengths
    }

    /// Columns of its tensors.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Tokens of the longest sequence.
    pub(super) fn longest(&self) -> usize {
        self.lengths.iter().flatten().copied().max().unwrap_or(0)
    }

    pub(super) fn tensors(&mut self) -> &mut [DynTensor] {
        &mut self.tensors
    }

    /// Makes room for `more` tokens a row, where the graph writes into the cache itself.
    pub(super) fn reserve(&mut self, memory: &mut Memory, more: usize) -> ort::Result<()> {
        let needed = self.longest().max(1) + more;
        if self.padding == Padding::Right && needed > self.capacity {
            // By half as much again, so that copying what is there costs little beside computing what is new.
            let capacity = needed.max(self.capacity + self.capacity / 2).next_multiple_of(GROWTH);
            let rows: Vec<usize> = (0..self.lengths.len()).collect();
            *self = self.with_rows(memory, &rows, 0, capacity)?;
        }
        Ok(())
    }

    /// Takes over what a run with `new` tokens a row has given: longer tensors, or none where it wrote into these.
    pub(super) fn advance(&mut self, new: usize, longer: Option<Vec<DynTensor>>) {
        if let Some(longer) = longer {
            self.tensors = longer;
            self.capacity += new;
        }
        for length in self.lengths.iter_mut().flatten() {
            *length += new;
        }
    }

    /// Cuts the only sequence to its first `length` tokens.
    pub(super) fn truncate(&mut self, memory: &mut Memory, length: usize) -> ort::Result<()> {
        if self.padding == Padding::Left && length < self.capacity {
            let start = self.columns(self.longest()).start;
            self.tensors = memory.select(&self.tensors, &[0], 0, start..start + length, length)?;
            self.capacity = length;
        }
        self.lengths[0] = Some(length);
        Ok(())
    }

    /// Marks a row as one that holds no sequence.
    pub(super) fn release(&mut self, row: usize) {
        self.lengths[row] = None;
    }

    /// Copies the only sequence of `from`, no longer than the capacity, into rows that are free.
    pub(super) fn put(&mut self, memory: &mut Memory, rows: &[usize], from: &Self) -> ort::Result<()> {
        let length = from.longest();
        memory.put(&mut self.tensors, rows, &from.tensors, from.columns(length), self.capacity)?;
        for &row in rows {
            self.lengths[row] = Some(length);
        }
        Ok(())
    }

    /// A cache with the sequences of `rows` in their order, `free` rows after them, and this capacity at least.
    pub(super) fn with_rows(
        &self,
        memory: &mut Memory,
        rows: &[usize],
        free: usize,
        capacity: usize,
    ) -> ort::Result<Self> {
        let mut lengths: Vec<Option<usize>> = rows.iter().map(|&row| self.lengths[row]).collect();
        lengths.resize(rows.len() + free, None);
        let longest = lengths.iter().flatten().copied().max().unwrap_or(0);
        let capacity = capacity.max(longest);
        let tensors = memory.select(&self.tensors, rows, free, self.columns(longest), capacity)?;
        Ok(Self { id: CacheId::next(), padding: self.padding, tensors, capacity, lengths })
    }

    /// The columns of the last `length` tokens, or the first where sequences begin in the first column.
    fn columns(&self, length: usize) -> Range<usize> {
        match self.padding {
            Padding::Right => 0..length,
            Padding::Left => self.capacity - length..self.capacity,
        }
    }
}
