//! Attention with rotary embedding and KV cache, in ONNX Runtime's operators or in ONNX's.

use lancer_model::Config;

use super::shared_inputs::{Mask, SharedInputs};
use crate::graph::{Attribute, Graph, MICROSOFT, Value};

/// One layer's attention.
pub(super) struct Attention<'a> {
    pub(super) config: &'a Config,
    pub(super) layer: usize,
}

impl Attention<'_> {
    /// Width of the layer's sliding window, where it has one.
    fn window(&self) -> Option<usize> {
        self.config.window(self.layer).map(|window| window.tokens)
    }

    /// From queries, keys and values, `[batch, sequence, heads × head size]`, what each token takes from those it looks
    /// at, `[batch, sequence, heads × head size]`.
    pub(super) fn add(
        &self,
        graph: &mut Graph,
        shared: &SharedInputs,
        query: &str,
        key: &str,
        value: &str,
    ) -> Value {
        match &shared.mask {
            Mask::Lengths { each_less_one, longest } => {
                let query = self.rotate_fused(graph, shared, query);
                let key = self.rotate_fused(graph, shared, key);
                self.attend_fused(graph, [&query, &key, value], each_less_one, longest)
            }
            Mask::Pairs { all, windowed } => {
                let pairs = windowed.as_ref().filter(|_| self.window().is_some()).unwrap_or(all);
                self.attend(graph, shared, [query, key, value], pairs)
            }
        }
    }

    /// Turns queries or keys, `[batch, sequence, heads × head size]`, by their positions' angles, in one operator.
    fn rotate_fused(&self, graph: &mut Graph, shared: &SharedInputs, states: &str) -> Value {
        let tables = shared.tables(self.window());
        let inputs = [states, &shared.positions, &tables.cosines, &tables.sines];
        graph.add_fused("RotaryEmbedding", &inputs, &[Attribute::Int("interleaved", 0)])
    }

    fn attend_fused(
        &self,
        graph: &mut Graph,
        [query, key, value]: [&str; 3],
        each_less_one: &str,
        longest: &str,
    ) -> Value {
        let mixed = format!("model.layers.{}.self_attn.output", self.layer);
        let [past_key, past_value] = self.past();
        let [present_key, present_value] = self.present();
        let mut attributes = vec![
            Attribute::Int("num_heads", self.config.heads as i64),
            Attribute::Int("kv_num_heads", self.config.kv_heads as i64),
        ];
        // Without it, the operator takes 1 / √(head size).
        attributes.extend([Attribute::Float("scale", self.config.attention_scale())]);
        attributes.extend(self.window().map(|tokens| Attribute::Int("local_window_size", tokens as i64)));
        graph.add_named(
            MICROSOFT,
            "GroupQueryAttention",
            &[query, key, value, &past_key, &past_value, each_less_one, longest],
            &attributes,
            &[&mixed, &present_key, &present_value],
        );
        mixed
    }

    /// Queries that share a key head stand below each other as rows of one product.
    fn attend(
        &self,
        graph: &mut Graph,
        shared: &SharedInputs,
        [query, key, value]: [&str; 3],
        pairs: &str,
    ) -> Value {
        let (heads, kv_heads, size) =
            (self.config.heads as i64, self.config.kv_heads as i64, self.config.head_dim as i64);
        let group = heads / kv_heads;
        let query = self.by_head(graph, query, heads);
        let query = self.rotate(graph, shared, &query);
        let key = self.by_head(graph, key, kv_heads);
        let key = self.rotate(graph, shared, &key);
        let value = self.by_head(graph, value, kv_heads);
        let [key, value] = [key, value];
        let past = self.past();
        let present = self.present();
        for ((new, past), present) in [&key, &value].into_iter().zip(&past).zip(&present) {
            graph.add_named("", "Concat", &[past, new], &[Attribute::Int("axis", 2)], &[present]);
        }
        let [key, value] = &present;

        let rows = graph.integers(&[0, kv_heads, -1, size]);
        let query = graph.add("Reshape", &[&query, &rows], &[]);
        let scale = graph.number(self.config.attention_scale());
        let query = graph.add("Mul", &[&query, &scale], &[]);
        let key = graph.add("Transpose", &[key], &[Attribute::Ints("perm", &[0, 1, 3, 2])]);
        let scores = graph.add("MatMul", &[&query, &key], &[]);
        let all_rows = graph.add("Shape", &[&scores], &[]);
        let (batch, columns) = (graph.integers(&[0]), graph.integers(&[3]));
        let batch = graph.add("Gather", &[&all_rows, &batch], &[]);
        let columns = graph.add("Gather", &[&all_rows, &columns], &[]);
        let (groups, rest) = (graph.integers(&[kv_heads, group]), graph.integers(&[-1]));
        let by_query = graph.add("Concat", &[&batch, &groups, &rest, &columns], &[Attribute::Int("axis", 0)]);
        let scores = graph.add("Reshape", &[&scores, &by_query], &[]);
        let never = graph.number(NEVER);
        let scores = graph.add("Where", &[pairs, &scores, &never], &[]);
        let shares = graph.add("Softmax", &[&scores], &[Attribute::Int("axis", -1)]);
        let shares = graph.add("Reshape", &[&shares, &all_rows], &[]);
        let mixed = graph.add("MatMul", &[&shares, value], &[]);

        let by_head = graph.integers(&[0, heads, -1, size]);
        let mixed = graph.add("Reshape", &[&mixed, &by_head], &[]);
        let mixed = graph.add("Transpose", &[&mixed], &[Attribute::Ints("perm", &[0, 2, 1, 3])]);
        let together = graph.integers(&[0, 0, heads * size]);
        graph.add("Reshape", &[&mixed, &together], &[])
    }

    /// `[batch, heads, sequence, head size]`.
    fn by_head(&self, graph: &mut Graph, states: &str, heads: i64) -> Value {
        let shape = graph.integers(&[0, 0, heads, self.config.head_dim as i64]);
        let states = graph.add("Reshape", &[states, &shape], &[]);
        graph.add("Transpose", &[&states], &[Attribute::Ints("perm", &[0, 2, 1, 3])])
    }

    /// Turns row `i` of each head with row `i + size / 2` by the position's angle.
    fn rotate(&self, graph: &mut Graph, shared: &SharedInputs, states: &str) -> Value {
        let half = self.config.head_dim as i64 / 2;
        let one = graph.integers(&[1]);
        let angle = |graph: &mut Graph, table: &str| {
            let rows = graph.add("Gather", &[table, &shared.positions], &[]);
            graph.add("Unsqueeze", &[&rows, &one], &[])
        };
        let tables = shared.tables(self.window());
        let (cosines, sines) = (angle(graph, &tables.cosines), angle(graph, &tables.sines));
        let (zero, middle, end) =
            (graph.integers(&[0]), graph.integers(&[half]), graph.integers(&[2 * half]));
        let last = graph.integers(&[3]);
        let first = graph.add("Slice", &[states, &zero, &middle, &last], &[]);
        let second = graph.add("Slice", &[states, &middle, &end, &last], &[]);
        let mut product = |one: &str, two: &str| graph.add("Mul", &[one, two], &[]);
        let parts = [
            product(&first, &cosines),
            product(&second, &sines),
            product(&second, &cosines),
            product(&first, &sines),
        ];
        let left = graph.add("Sub", &[&parts[0], &parts[1]], &[]);
        let right = graph.add("Add", &[&parts[2], &parts[3]], &[]);
        graph.add("Concat", &[&left, &right], &[Attribute::Int("axis", -1)])
    }

    fn past(&self) -> [Value; 2] {
        ["key", "value"].map(|part| format!("past_key_values.{}.{part}", self.layer))
    }

    fn present(&self) -> [Value; 2] {
        ["key", "value"].map(|part| format!("present.{}.{part}", self.layer))
    }
}

/// The score of a pair that must not be: low enough for a share of 0, and within the range of 16-bit floats.
const NEVER: f32 = -60_000.0;
