//! The graphs that move rows of a cache where only a device can reach them.

use ort::value::TensorElementType;
use prost::Message;

use super::memory::Shape;
use crate::{
    graph::{Graph, Length, Value},
    proto::ElementType,
};

/// Which rows; in [`select`] of the source, in [`put`] of the target.
pub(super) const ROWS: &str = "rows";
/// The first of the source's columns, and the one after the last, `[1]` each.
pub(super) const FIRST: &str = "first";
pub(super) const END: &str = "end";
/// What is added before and after each dimension, `[8]`, as `Pad` takes it.
pub(super) const PADS: &str = "pads";
/// `[rows, 1, 1, 1]`.
pub(super) const COPIES: &str = "copies";

/// The names of a tensor of the cache that rows are taken from or put into.
pub(super) fn cache(tensor: usize) -> String {
    format!("cache.{tensor}")
}

/// The name of a tensor of the cache with one row that is put into the other.
pub(super) fn prompt(tensor: usize) -> String {
    format!("prompt.{tensor}")
}

/// The name of what a tensor becomes.
pub(super) fn moved(tensor: usize) -> String {
    format!("moved.{tensor}")
}

/// A model that gives some rows of a cache, some of their columns, and zeros around them.
pub(super) fn select(shape: Shape) -> Vec<u8> {
    let mut parts = Parts::new("select", shape);
    let rows = parts.integers(ROWS, Length::Named("selected"));
    let [first, end, pads] = parts.place();
    for tensor in 0..shape.count {
        let from = parts.tensor(&cache(tensor), "rows", "capacity");
        // Cut first, since a prompt's only row becomes that of many samples.
        let cut = parts.cut(&from, &first, &end);
        let kept = parts.graph.add("Gather", &[&cut, &rows], &[]);
        parts.graph.add_named("", "Pad", &[&kept, &pads], &[], &[&moved(tensor)]);
        parts.output(tensor, "all", "new capacity");
    }
    parts.graph.into_model().encode_to_vec()
}

/// A model that gives a cache with the only row of another, some of its columns and zeros around them, in place of some of
/// its rows.
pub(super) fn put(shape: Shape) -> Vec<u8> {
    let mut parts = Parts::new("put", shape);
    let rows = parts.graph.input(ROWS, ElementType::Int64, &[Length::Named("replaced"), Length::Fixed(1)]);
    let copies = parts.integers(COPIES, Length::Fixed(4));
    let [first, end, pads] = parts.place();
    for tensor in 0..shape.count {
        let to = parts.tensor(&cache(tensor), "rows", "capacity");
        let from = parts.tensor(&prompt(tensor), "one", "tokens");
        let cut = parts.cut(&from, &first, &end);
        let row = parts.graph.add("Pad", &[&cut, &pads], &[]);
        let copied = parts.graph.add("Expand", &[&row, &copies], &[]);
        parts.graph.add_named("", "ScatterND", &[&to, &rows, &copied], &[], &[&moved(tensor)]);
        parts.output(tensor, "rows", "capacity");
    }
    parts.graph.into_model().encode_to_vec()
}

/// What both graphs are made of.
struct Parts {
    graph: Graph,
    shape: Shape,
    kind: ElementType,
}

impl Parts {
    fn new(name: &str, shape: Shape) -> Self {
        let kind = match shape.kind {
            TensorElementType::Float16 => ElementType::Float16,
            _ => ElementType::Float,
        };
        Self { graph: Graph::new(name, kind), shape, kind }
    }

    fn integers(&mut self, name: &str, length: Length<'_>) -> Value {
        self.graph.input(name, ElementType::Int64, &[length])
    }

    fn place(&mut self) -> [Value; 3] {
        [(FIRST, 1), (END, 1), (PADS, 8)].map(|(name, length)| self.integers(name, Length::Fixed(length)))
    }

    fn dimensions<'a>(&self, rows: &'a str, columns: &'a str) -> [Length<'a>; 4] {
        let [heads, size] = [self.shape.heads, self.shape.head_size].map(Length::Fixed);
        [Length::Named(rows), heads, Length::Named(columns), size]
    }

    fn tensor(&mut self, name: &str, rows: &str, columns: &str) -> Value {
        let dimensions = self.dimensions(rows, columns);
        self.graph.input(name, self.kind, &dimensions)
    }

    fn output(&mut self, tensor: usize, rows: &str, columns: &str) {
        let dimensions = self.dimensions(rows, columns);
        self.graph.output(&moved(tensor), self.kind, &dimensions);
    }

    fn cut(&mut self, tensor: &str, first: &str, end: &str) -> Value {
        let axis = self.graph.integers(&[2]);
        self.graph.add("Slice", &[tensor, first, end, &axis], &[])
    }
}
