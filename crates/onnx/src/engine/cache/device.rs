//! Moving rows of a cache in a device's memory: small graphs that run where the model does.

use std::ops::Range;

use ort::{
    memory::{Allocator, MemoryInfo},
    session::{IoBinding, Session, builder::GraphOptimizationLevel},
    value::{DynTensor, Tensor},
};

use super::{
    graphs::{self, COPIES, END, FIRST, PADS, ROWS},
    memory::Shape,
};
use crate::engine::{interface::Padding, library, provider::Provider};

/// A device's memory.
pub(super) struct Device {
    info: MemoryInfo<'static>,
    allocator: Allocator,
    shape: Shape,
    select: LoadedGraph,
    put: LoadedGraph,
}

/// A graph that is ready to run.
struct LoadedGraph {
    binding: IoBinding,
    session: Session,
}

impl Device {
    /// That of `info`, which the model of `session` computes in.
    pub(super) fn new(
        session: &Session,
        info: MemoryInfo<'static>,
        provider: Provider,
        shape: Shape,
    ) -> ort::Result<Self> {
        let allocator = Allocator::new(session, info.to_owned())?;
        let select = LoadedGraph::new(&graphs::select(shape), provider)?;
        let put = LoadedGraph::new(&graphs::put(shape), provider)?;
        Ok(Self { info, allocator, shape, select, put })
    }

    pub(super) fn info(&self) -> &MemoryInfo<'static> {
        &self.info
    }

    pub(super) fn allocator(&self) -> &Allocator {
        &self.allocator
    }

    /// As [`Memory::select`](super::Memory::select), of one row and one column at least.
    pub(super) fn select(
        &mut self,
        from: &[DynTensor],
        rows: &[usize],
        free: usize,
        columns: Range<usize>,
        capacity: usize,
    ) -> ort::Result<Vec<DynTensor>> {
        let graph = &mut self.select;
        graph.bind(ROWS, &[rows.len()], rows)?;
        graph.bind_place(&columns, free, capacity, self.shape)?;
        for (tensor, from) in from.iter().enumerate() {
            graph.binding.bind_input(graphs::cache(tensor), from)?;
            graph.binding.bind_output_to_device(graphs::moved(tensor), &self.info)?;
        }
        graph.run(self.shape.count)
    }

    /// As [`Memory::put`](super::Memory::put).
    pub(super) fn put(
        &mut self,
        to: &mut Vec<DynTensor>,
        rows: &[usize],
        from: &[DynTensor],
        columns: Range<usize>,
        capacity: usize,
    ) -> ort::Result<()> {
        let graph = &mut self.put;
        graph.bind(ROWS, &[rows.len(), 1], rows)?;
        graph.bind(COPIES, &[4], &[rows.len(), 1, 1, 1])?;
        graph.bind_place(&columns, 0, capacity, self.shape)?;
        for (tensor, (to, from)) in to.iter_mut().zip(from).enumerate() {
            graph.binding.bind_input(graphs::cache(tensor), to)?;
            graph.binding.bind_input(graphs::prompt(tensor), from)?;
            match self.shape.padding {
                // The graph writes into the cache itself, as the model does.
                Padding::Right => graph.binding.bind_output(graphs::moved(tensor), to)?,
                Padding::Left => graph.binding.bind_output_to_device(graphs::moved(tensor), &self.info)?,
            }
        }
        let moved = graph.run(self.shape.count)?;
        if self.shape.padding == Padding::Left {
            *to = moved;
        }
        Ok(())
    }
}

impl LoadedGraph {
    fn new(model: &[u8], provider: Provider) -> ort::Result<Self> {
        let environment = library::environment().map_err(|error| ort::Error::new(error.to_string()))?;
        let plain = |error: ort::Error<_>| ort::Error::new(error.message());
        let session = Session::builder(environment)?
            .with_optimization_level(GraphOptimizationLevel::Disable)
            .map_err(plain)?
            .with_execution_providers(provider.dispatch())
            .map_err(plain)?
            .commit_from_memory(model)?;
        let binding = session.create_binding()?;
        Ok(Self { binding, session })
    }

    fn bind(&mut self, name: &str, shape: &[usize], values: &[usize]) -> ort::Result<()> {
        let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
        self.binding.bind_input(name, &Tensor::from_array((shape, values))?)
    }

    /// Binds which columns are taken, and what is added around them: rows after the last, and columns up to `capacity`.
    fn bind_place(
        &mut self,
        columns: &Range<usize>,
        free: usize,
        capacity: usize,
        shape: Shape,
    ) -> ort::Result<()> {
        self.bind(FIRST, &[1], &[columns.start])?;
        self.bind(END, &[1], &[columns.end])?;
        let before = shape.start(columns.len(), capacity);
        let after = capacity - columns.len() - before;
        self.bind(PADS, &[8], &[0, 0, before, 0, free, 0, after, 0])
    }

    /// Gives the tensors of the cache that it has made.
    fn run(&mut self, count: usize) -> ort::Result<Vec<DynTensor>> {
        let mut outputs = self.session.run_binding(&self.binding)?;
        let moved = (0..count)
            .map(|tensor| {
                let name = graphs::moved(tensor);
                let value = outputs.remove(&name);
                value.ok_or_else(|| ort::Error::new(format!("no `{name}` was given")))?.downcast()
            })
            .collect();
        drop(outputs);
        // What is bound would be kept.
        self.binding.clear();
        moved
    }
}
