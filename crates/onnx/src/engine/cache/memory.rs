//! Where a cache's tensors stand: in the processor's memory or in a device's.

use std::ops::Range;

use ort::{
    memory::MemoryInfo,
    session::Session,
    value::{DynTensor, TensorElementType},
};

use super::{device::Device, host};
use crate::engine::{
    interface::{Interface, Padding},
    provider::Provider,
};

/// Makes the tensors of caches and moves their rows.
pub(in super::super) struct Memory {
    pub(super) shape: Shape,
    /// The device that keeps them; `None` is the processor.
    pub(super) device: Option<Device>,
}

/// What a cache's tensors have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Tensors.
    pub(super) count: usize,
    pub(super) heads: usize,
    pub(super) head_size: usize,
    pub(super) kind: TensorElementType,
    pub(super) padding: Padding,
}

impl Shape {
    /// The first of a capacity's columns that a sequence of `length` tokens stands in.
    pub(super) fn start(self, length: usize, capacity: usize) -> usize {
        match self.padding {
            Padding::Right => 0,
            Padding::Left => capacity - length,
        }
    }
}

impl Memory {
    /// The memory of what `provider` computes with, for the model of `session`.
    pub(in super::super) fn new(
        session: &Session,
        interface: &Interface,
        provider: Provider,
    ) -> ort::Result<Self> {
        let shape = Shape {
            count: interface.cache.len(),
            heads: interface.kv_heads,
            head_size: interface.head_size,
            kind: interface.cache_type,
            padding: interface.padding,
        };
        let device =
            provider.memory()?.map(|info| Device::new(session, info, provider, shape)).transpose()?;
        Ok(Self { shape, device })
    }

    pub(super) fn padding(&self) -> Padding {
        self.shape.padding
    }

    /// Where a run puts a cache that it gives; `None` is the processor's memory.
    pub(in super::super) fn info(&self) -> Option<&MemoryInfo<'static>> {
        self.device.as_ref().map(Device::info)
    }

    /// Tensors of zeros.
    pub(super) fn tensors(&self, rows: usize, capacity: usize) -> ort::Result<Vec<DynTensor>> {
        let shape = self.shape;
        let dimensions = [rows, shape.heads, capacity, shape.head_size];
        // What holds nothing need not be on the device, where a buffer of no bytes may be refused.
        let on_device = self.device.as_ref().filter(|_| rows * capacity > 0);
        let tensor = || match on_device {
            Some(device) => DynTensor::new(device.allocator(), shape.kind, dimensions),
            None => host::zeros(shape.kind, dimensions),
        };
        (0..shape.count).map(|_| tensor()).collect()
    }

    /// Tensors with these rows of `from`, `free` rows after them, and room for `capacity` columns: `columns` at the end
    /// where their sequences end in the last one, else at the beginning.
    pub(super) fn select(
        &mut self,
        from: &[DynTensor],
        rows: &[usize],
        free: usize,
        columns: Range<usize>,
        capacity: usize,
    ) -> ort::Result<Vec<DynTensor>> {
        if rows.is_empty() || columns.is_empty() {
            return self.tensors(rows.len() + free, capacity);
        }
        if let Some(device) = &mut self.device {
            return device.select(from, rows, free, columns, capacity);
        }
        let mut tensors = self.tensors(rows.len() + free, capacity)?;
        let moves: Vec<(usize, usize)> = rows.iter().copied().enumerate().collect();
        host::copy(&mut tensors, from, &moves, columns, self.shape)?;
        Ok(tensors)
    }

    /// Puts these columns of the only row of `from` into `rows` of `to`, which have `capacity` columns: at the end where
    /// sequences end in the last one, else at the beginning.
    pub(super) fn put(
        &mut self,
        to: &mut Vec<DynTensor>,
        rows: &[usize],
        from: &[DynTensor],
        columns: Range<usize>,
        capacity: usize,
    ) -> ort::Result<()> {
        if let Some(device) = &mut self.device {
            return device.put(to, rows, from, columns, capacity);
        }
        let moves: Vec<(usize, usize)> = rows.iter().map(|&row| (row, 0)).collect();
        host::copy(to, from, &moves, columns, self.shape)
    }
}
