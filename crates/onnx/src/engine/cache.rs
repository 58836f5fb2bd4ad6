//! The KV cache of some sequences: a key and a value tensor for each layer, `[rows, key-value heads, capacity, head size]`.

use half::f16;
use ort::{
    memory::Allocator,
    value::{DynTensor, PrimitiveTensorElementType, TensorElementType},
};

use super::interface::{Interface, Padding};

/// Capacities are multiples of this, so that a cache does not grow with each token.
const GROWTH: usize = 64;

/// The KV cache of some sequences, a row each. A row that holds none is computed along and ignored.
pub(super) struct Cache {
    shape: Shape,
    tensors: Vec<DynTensor>,
    capacity: usize,
    /// Tokens of each row; `None` where it holds no sequence.
    lengths: Vec<Option<usize>>,
}

/// What a cache's tensors have in common.
#[derive(Debug, Clone, Copy)]
struct Shape {
    count: usize,
    heads: usize,
    head_size: usize,
    kind: TensorElementType,
    padding: Padding,
}

impl Cache {
    /// A cache with one empty sequence.
    pub(super) fn one(interface: &Interface) -> ort::Result<Self> {
        Self::new(Shape::of(interface), vec![Some(0)], 0)
    }

    /// A cache without rows.
    pub(super) fn empty(interface: &Interface) -> ort::Result<Self> {
        Self::new(Shape::of(interface), Vec::new(), 0)
    }

    fn new(shape: Shape, lengths: Vec<Option<usize>>, capacity: usize) -> ort::Result<Self> {
        let dimensions = [lengths.len(), shape.heads, capacity, shape.head_size];
        let tensors = (0..shape.count)
            .map(|_| DynTensor::new(&Allocator::default(), shape.kind, dimensions))
            .collect::<ort::Result<_>>()?;
        Ok(Self { shape, tensors, capacity, lengths })
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
    pub(super) fn reserve(&mut self, more: usize) -> ort::Result<()> {
        let needed = self.longest().max(1) + more;
        if self.shape.padding == Padding::Right && needed > self.capacity {
            // By half as much again, so that copying what is there costs little beside computing what is new.
            let capacity = needed.max(self.capacity + self.capacity / 2).next_multiple_of(GROWTH);
            let rows: Vec<usize> = (0..self.lengths.len()).collect();
            *self = self.with_rows(&rows, 0, capacity)?;
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
    pub(super) fn truncate(&mut self, length: usize) -> ort::Result<()> {
        if self.shape.padding == Padding::Left && length < self.capacity {
            let mut cut = Self::new(self.shape, vec![Some(length)], length)?;
            cut.copy(0, self, 0, length)?;
            *self = cut;
        }
        self.lengths[0] = Some(length);
        Ok(())
    }

    /// Marks a row as one that holds no sequence.
    pub(super) fn release(&mut self, row: usize) {
        self.lengths[row] = None;
    }

    /// Copies the only sequence of `from` into a row that is free.
    pub(super) fn put(&mut self, row: usize, from: &Self) -> ort::Result<()> {
        let length = from.longest();
        self.lengths[row] = Some(length);
        self.copy(row, from, 0, length)
    }

    /// A cache with the sequences of `rows` in their order, `free` rows after them, and this capacity at least.
    pub(super) fn with_rows(&self, rows: &[usize], free: usize, capacity: usize) -> ort::Result<Self> {
        let mut lengths: Vec<Option<usize>> = rows.iter().map(|&row| self.lengths[row]).collect();
        lengths.resize(rows.len() + free, None);
        let longest = lengths.iter().flatten().copied().max().unwrap_or(0);
        let mut cache = Self::new(self.shape, lengths, capacity.max(longest))?;
        for (to, &from) in rows.iter().enumerate() {
            if let Some(length) = self.lengths[from] {
                cache.copy(to, self, from, length)?;
            }
        }
        Ok(cache)
    }

    /// Copies the first `length` tokens of a row of `from`, which is its sequence's whole or a part of it.
    fn copy(&mut self, row: usize, from: &Self, from_row: usize, length: usize) -> ort::Result<()> {
        let sequence = from.lengths[from_row].unwrap_or(0);
        let source = Place { row: from_row, start: from.start(sequence), capacity: from.capacity };
        let target = Place { row, start: self.start(length), capacity: self.capacity };
        let shape = self.shape;
        for (to, from) in self.tensors.iter_mut().zip(&from.tensors) {
            match shape.kind {
                TensorElementType::Float16 => copy_columns::<f16>(from, source, to, target, length, shape)?,
                _ => copy_columns::<f32>(from, source, to, target, length, shape)?,
            }
        }
        Ok(())
    }

    /// The column of a sequence's first token.
    fn start(&self, length: usize) -> usize {
        match self.shape.padding {
            Padding::Right => 0,
            Padding::Left => self.capacity - length,
        }
    }
}

impl Shape {
    fn of(interface: &Interface) -> Self {
        Self {
            count: interface.cache.len(),
            heads: interface.kv_heads,
            head_size: interface.head_size,
            kind: interface.cache_type,
            padding: interface.padding,
        }
    }
}

/// Where a sequence stands in a tensor.
#[derive(Clone, Copy)]
struct Place {
    row: usize,
    start: usize,
    capacity: usize,
}

impl Place {
    fn range(self, head: usize, length: usize, shape: Shape) -> std::ops::Range<usize> {
        let first = ((self.row * shape.heads + head) * self.capacity + self.start) * shape.head_size;
        first..first + length * shape.head_size
    }
}

/// Copies a sequence's columns; those before it, where there are any, become zeros: the graph multiplies them with a share
/// of 0, and what is no number would spread.
fn copy_columns<T: PrimitiveTensorElementType + Copy + Default>(
    from: &DynTensor,
    source: Place,
    to: &mut DynTensor,
    target: Place,
    length: usize,
    shape: Shape,
) -> ort::Result<()> {
    let (_, from) = from.try_extract_tensor::<T>()?;
    let (_, to) = to.try_extract_tensor_mut::<T>()?;
    for head in 0..shape.heads {
        let columns = target.range(head, length, shape);
        to[columns.start - target.start * shape.head_size..columns.start].fill(T::default());
        to[columns].copy_from_slice(&from[source.range(head, length, shape)]);
    }
    Ok(())
}
