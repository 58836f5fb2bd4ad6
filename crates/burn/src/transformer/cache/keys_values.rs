//! Keys and values of one layer, in the numbers in which they are attended to.

use std::sync::Arc;

use burn::tensor::Tensor;
use lancer_kernels::attention::{PAGE, TiledKeysValues};
use lancer_model::Config;

use super::Places;
use crate::{
    Weights,
    fused::{self, AttentionShape, AttentionSpans},
    gpu,
    numbers::{change, is_here, matrix, primitive, read, slice},
    settings::Products,
};

/// Keys and values of one layer, a row for each token of the pages.
pub(super) enum KeysValues {
    Tensors(Box<Tensors>),
    /// bf16 in the tiles of AMX, with weights that are.
    Tiles(TiledKeysValues),
}

/// 32-bit floats, `[tokens, kv_heads · head_dim]` each; `None` before the first.
#[derive(Default)]
pub(super) struct Tensors {
    keys: Option<Tensor<2>>,
    values: Option<Tensor<2>>,
}

impl KeysValues {
    /// Without tokens.
    pub(super) fn new(config: &Config, weights: Weights) -> Self {
        let tiles = match weights {
            Weights::F32 => None,
            Weights::Bf16 => TiledKeysValues::new(config.kv_heads, config.head_dim),
        };
        tiles.map_or_else(|| Self::Tensors(Box::default()), Self::Tiles)
    }

    /// The output `[rows, heads · head_dim]` for a query of that shape, after the keys and values of its pass, `[rows, kv_heads ·
    /// head_dim]`, are written to their places in so many pages.
    pub(super) fn attend(
        &mut self,
        [query, key, value]: [Tensor<2>; 3],
        pages: usize,
        places: &Places,
        shape: AttentionShape,
        spans: &Arc<AttentionSpans>,
    ) -> Tensor<2> {
        match self {
            Self::Tensors(tensors) => {
                let Tensors { keys, values } = &mut **tensors;
                let [keys, values] = [(keys, key), (values, value)].map(|(all, new)| {
                    // Out of its place while it is changed, so that nothing else holds it and nothing is copied.
                    let written = put(with_room(all.take(), pages * PAGE, &new), &new, places);
                    all.insert(written).clone()
                });
                fused::attend(query, keys, values, shape, Products::F32, spans.clone())
            }
            Self::Tiles(tiles) => {
                let (dims, device) = (query.dims(), query.device());
                let [query, key, value] = [query, key, value].map(primitive);
                tiles.reserve(pages);
                let tokens = places.iter().flat_map(|place| (place.start..).zip(place.rows.clone()));
                tiles.write(slice(&key), slice(&value), tokens.collect());
                let blocks = |at_once| spans.blocks(shape.window, at_once);
                matrix(tiles.attend(slice(&query), shape, blocks), dims, &device)
            }
        }
    }
}

/// Keys or values with room for so many tokens, as wide as new ones are.
fn with_room(known: Option<Tensor<2>>, tokens: usize, new: &Tensor<2>) -> Tensor<2> {
    let missing = tokens - known.as_ref().map_or(0, |known| known.dims()[0]);
    let more = || Tensor::zeros([missing, new.dims()[1]], &new.device());
    match known {
        Some(known) if missing == 0 => known,
        Some(known) => Tensor::cat(vec![known, more()], 0),
        None => more(),
    }
}

/// Writes the rows of a pass to their places.
fn put(all: Tensor<2>, new: &Tensor<2>, places: &Places) -> Tensor<2> {
    if !is_here(&all) {
        let rows = places.cache_rows(&all.device());
        return gpu::put(all, new, &rows);
    }
    let width = new.dims()[1];
    change(all, |all| {
        read(new, |new| {
            for place in places.iter() {
                let new = &new[place.rows.start * width..place.rows.end * width];
                all[place.start * width..][..new.len()].copy_from_slice(new);
            }
        });
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::{super::Place, *};
    use crate::{device, numbers::to_vec};

    #[test]
    fn what_was_written_stays_as_there_is_more() {
        device::all().for_each(|device| write_more_and_more(&device));
    }

    fn write_more_and_more(device: &Device) {
        let mut all = None;
        let mut written: Vec<f32> = Vec::new();
        for pages in 1..4 {
            let rows = PAGE - 2;
            let numbers: Vec<f32> = (0..2 * rows).map(|i| (i + 1000 * pages) as f32).collect();
            // After the first two tokens of each page, which stay 0.
            written.extend([0.0; 4].iter().chain(&numbers));
            let new = matrix(numbers, [rows, 2], device);
            let place = Place { rows: 0..rows, start: (pages - 1) * PAGE + 2 };
            let known = put(with_room(all, pages * PAGE, &new), &new, &vec![place].into());
            assert_eq!(to_vec(&known), written);
            all = Some(known);
        }
    }
}
