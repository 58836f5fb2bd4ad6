//! Attention over many reaches at once: those of about the same size are padded to the same and made one product, after long
//! ones were cut into pieces.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor, TensorData, activation};

use crate::{
    fused::{AttentionShape, Reach, Reaches},
    numbers::indices,
};

/// What is added to the score of a key that a query does not see: nothing is left of it, and rows that see no key, which
/// are padding, still have numbers.
const UNSEEN: f32 = -1e30;

/// Queries of a piece. All scores of a piece stand in memory at once, and half of those within it are of keys that are not seen.
const QUERIES: usize = 512;

/// Reaches as tensors.
#[derive(Debug)]
pub(in crate::fused) struct Padded {
    groups: Vec<Group>,
    /// The row of the groups' outputs, one group after another, that is each query's.
    outputs: Tensor<1, Int>,
}

/// Reaches of about the same size.
#[derive(Debug)]
struct Group {
    reaches: usize,
    queries: usize,
    keys: usize,
    /// Rows of the queries, `[reaches · queries]`.
    query_rows: Tensor<1, Int>,
    /// Rows of the keys, `[reaches · keys]`.
    key_rows: Tensor<1, Int>,
    /// What is added to scores, `[reaches, 1, queries, keys]`.
    bias: Tensor<4>,
}

/// Attention of all reaches, which are padded the first time and kept so.
pub(in crate::fused) fn attend(
    query: &Tensor<2>,
    key: &Tensor<2>,
    value: &Tensor<2>,
    shape: AttentionShape,
    reaches: &Reaches,
) -> Tensor<2> {
    let device = query.device().inner();
    let padded = reaches.padded(shape.window, || Padded::new(reaches, shape.window, &device));
    let outputs = padded.groups.iter().map(|group| group.attend(query, key, value, shape));
    Tensor::cat(outputs.collect(), 0).select(0, padded.outputs.clone())
}

impl Padded {
    fn new(reaches: &[Reach], window: Option<usize>, device: &Device) -> Self {
        let mut groups: BTreeMap<(usize, usize), Vec<&Reach>> = BTreeMap::new();
        let pieces: Vec<Reach> = reaches.iter().flat_map(|reach| reach.pieces(QUERIES)).collect();
        for reach in &pieces {
            let size = (reach.rows().next_power_of_two(), reach.keys().next_power_of_two());
            groups.entry(size).or_default().push(reach);
        }
        let rows = reaches.iter().map(|reach| reach.queries.end).max().unwrap_or(0);
        let (mut outputs, mut before) = (vec![0; rows], 0);
        let groups = groups.into_values().map(|reaches| {
            let group = Group::new(&reaches, window, device);
            for (place, reach) in reaches.iter().enumerate() {
                for (query, row) in reach.queries.clone().enumerate() {
                    outputs[row] = before + place * group.queries + query;
                }
            }
            before += group.reaches * group.queries;
            group
        });
        let groups = groups.collect();
        Self { groups, outputs: indices(outputs, device) }
    }
}

impl Group {
    /// At least one reach.
    fn new(reaches: &[&Reach], window: Option<usize>, device: &Device) -> Self {
        let largest = |of: fn(&Reach) -> usize| reaches.iter().map(|reach| of(reach)).max().unwrap_or(0);
        let (queries, keys) = (largest(Reach::rows), largest(Reach::keys));
        let (mut query_rows, mut key_rows) = (Vec::new(), Vec::new());
        let mut bias = vec![UNSEEN; reaches.len() * queries * keys];
        for (place, reach) in reaches.iter().enumerate() {
            let (own, known) = (reach.rows(), reach.keys());
            query_rows.extend(padded(reach.queries.clone(), queries));
            key_rows.extend(padded(reach.keys.iter().cloned().flatten(), keys));
            for query in 0..own {
                let seen = known - own + query + 1;
                let first = window.map_or(0, |window| seen.saturating_sub(window));
                let row = (place * queries + query) * keys;
                bias[row + first..row + seen].fill(0.0);
            }
        }
        let bias = TensorData::new(bias, [reaches.len(), 1, queries, keys]);
        Self {
            reaches: reaches.len(),
            queries,
            keys,
            query_rows: indices(query_rows, device),
            key_rows: indices(key_rows, device),
            bias: Tensor::from_data(bias, device),
        }
    }

    /// `[reaches · queries, heads · head_dim]`.
    fn attend(
        &self,
        query: &Tensor<2>,
        key: &Tensor<2>,
        value: &Tensor<2>,
        shape: AttentionShape,
    ) -> Tensor<2> {
        let &Self { reaches, queries, keys, .. } = self;
        let AttentionShape { heads, kv_heads, head_dim, scale, .. } = shape;
        let (batch, groups) = (reaches * kv_heads, heads / kv_heads);
        // Queries that share a key-value head are rows of one product.
        let query = query.clone().select(0, self.query_rows.clone());
        let query = query.reshape([reaches, queries, kv_heads, groups, head_dim]).permute([0, 2, 3, 1, 4]);
        let query = query.reshape([batch, groups * queries, head_dim]);
        let of_keys = |all: &Tensor<2>| {
            let rows = all.clone().select(0, self.key_rows.clone());
            rows.reshape([reaches, keys, kv_heads, head_dim]).permute([0, 2, 1, 3])
        };
        let key = of_keys(key).reshape([batch, keys, head_dim]);
        let value = of_keys(value).reshape([batch, keys, head_dim]);
        let scores = query.matmul(key.transpose()) * scale;
        let scores = scores.reshape([reaches, heads, queries, keys]) + self.bias.clone();
        let weights = activation::softmax(scores, 3).reshape([batch, groups * queries, keys]);
        let output = weights.matmul(value).reshape([reaches, kv_heads, groups, queries, head_dim]);
        output.permute([0, 3, 1, 2, 4]).reshape([reaches * queries, heads * head_dim])
    }
}

/// These rows, at least one, and then the last of them again, `count` in all.
fn padded(rows: impl Iterator<Item = usize> + Clone, count: usize) -> impl Iterator<Item = usize> {
    let last = rows.clone().last().unwrap_or(0);
    rows.chain(std::iter::repeat(last)).take(count)
}
