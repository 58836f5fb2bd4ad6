//! What the attention of all layers takes: what a token may look at, and the angles of its position.

use lancer_model::{Config, ModelError, Rotary};

use super::{settings::Operators, weights::Weights};
use crate::{
    graph::{Attribute, Graph, Value},
    proto::ElementType,
};

/// What all layers take.
pub(super) struct SharedInputs {
    pub(super) positions: Value,
    tables: Tables,
    /// Of layers with a sliding window, where there are some.
    windowed_tables: Option<Tables>,
    pub(super) mask: Mask,
}

/// Cosines and sines by position, `[context, head size / 2]`.
pub(super) struct Tables {
    pub(super) cosines: Value,
    pub(super) sines: Value,
}

/// What a token may look at.
pub(super) enum Mask {
    /// For `GroupQueryAttention`: the number of tokens of each sequence less one, `[batch]`, and of the longest, `[]`.
    Lengths { each_less_one: Value, longest: Value },
    /// True where a token may look, `[batch, 1, 1, sequence, whole sequence]`, and where within the sliding window.
    Pairs { all: Value, windowed: Option<Value> },
}

impl SharedInputs {
    /// `mask` is `[batch, whole sequence]`, `positions` `[batch, sequence]`.
    pub(super) fn new(
        graph: &mut Graph,
        weights: &mut Weights<'_>,
        config: &Config,
        operators: Operators,
        mask: &str,
        positions: &str,
    ) -> Result<Self, ModelError> {
        let mut tables = |rotary: &Rotary, ending: &str| Tables::new(graph, weights, config, rotary, ending);
        let window = config.sliding_window.as_ref();
        let windowed_tables = window.map(|window| tables(&window.rotary, "_windowed")).transpose()?;
        let tables = tables(&config.rotary, "")?;
        let mask = match operators {
            Operators::Fused => lengths(graph, mask),
            Operators::Plain => pairs(graph, mask, positions, window.map(|window| window.tokens)),
        };
        Ok(Self { positions: positions.into(), tables, windowed_tables, mask })
    }

    /// The angles of a layer with such a sliding window.
    pub(super) fn tables(&self, window: Option<usize>) -> &Tables {
        self.windowed_tables.as_ref().filter(|_| window.is_some()).unwrap_or(&self.tables)
    }
}

fn lengths(graph: &mut Graph, mask: &str) -> Mask {
    let int = [Attribute::Int("to", ElementType::Int32 as i64)];
    let (one, axis) = (graph.integer(1), graph.integers(&[1]));
    let lengths = graph.add("ReduceSum", &[mask, &axis], &[Attribute::Int("keepdims", 0)]);
    let less_one = graph.add("Sub", &[&lengths, &one], &[]);
    let each_less_one = graph.add("Cast", &[&less_one], &int);
    let shape = graph.add("Shape", &[mask], &[]);
    let longest = graph.add("Gather", &[&shape, &one], &[]);
    let longest = graph.add("Cast", &[&longest], &int);
    Mask::Lengths { each_less_one, longest }
}

/// A token looks at those that the mask shows, up to itself.
fn pairs(graph: &mut Graph, mask: &str, positions: &str, window: Option<usize>) -> Mask {
    let (zero, one) = (graph.integer(0), graph.integer(1));
    let length = |graph: &mut Graph, value: &str| {
        let shape = graph.add("Shape", &[value], &[]);
        graph.add("Gather", &[&shape, &one], &[])
    };
    let (whole, new) = (length(graph, mask), length(graph, positions));
    let past = graph.add("Sub", &[&whole, &new], &[]);
    let columns = graph.add("Range", &[&zero, &whole, &one], &[]);
    let rows = graph.add("Range", &[&past, &whole, &one], &[]);
    let axis = graph.integers(&[1]);
    let rows = graph.add("Unsqueeze", &[&rows, &axis], &[]);
    let causal = graph.add("LessOrEqual", &[&columns, &rows], &[]);
    // Within the window before the batch's own mask: ONNX Runtime's WebGPU fails on an `And` of five dimensions and two
    // that are longer than 1.
    let near = window.map(|tokens| {
        let tokens = graph.integer(tokens as i64);
        let too_far = graph.add("Sub", &[&rows, &tokens], &[]);
        let near = graph.add("Greater", &[&columns, &too_far], &[]);
        graph.add("And", &[&causal, &near], &[])
    });
    let shown = graph.add("Cast", &[mask], &[Attribute::Int("to", ElementType::Bool as i64)]);
    let axes = graph.integers(&[1, 2, 3]);
    let shown = graph.add("Unsqueeze", &[&shown, &axes], &[]);
    let all = graph.add("And", &[&shown, &causal], &[]);
    let windowed = near.map(|near| graph.add("And", &[&shown, &near], &[]));
    Mask::Pairs { all, windowed }
}

impl Tables {
    /// For every position, as transformers computes them: angles in 32-bit floats. `ending` sets their names apart.
    fn new(
        graph: &mut Graph,
        weights: &mut Weights<'_>,
        config: &Config,
        rotary: &Rotary,
        ending: &str,
    ) -> Result<Self, ModelError> {
        let frequencies = rotary.frequencies(config.head_dim);
        let angles = (0..config.context_length)
            .flat_map(|position| frequencies.iter().map(move |frequency| frequency * position as f32));
        let (cosines, sines): (Vec<f32>, Vec<f32>) = angles.map(|angle| (angle.cos(), angle.sin())).unzip();
        let shape = [config.context_length, config.head_dim / 2];
        let mut table = |name: &str, data: &[f32]| {
            let tensor = weights.computed(&format!("{name}{ending}"), &shape, data)?;
            Ok::<_, ModelError>(graph.constant(tensor))
        };
        Ok(Self { cosines: table("cos_cache", &cosines)?, sines: table("sin_cache", &sines)? })
    }
}
