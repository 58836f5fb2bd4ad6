//! Keys and values of what has been read.

use burn::tensor::Tensor;

/// Keys and values of one sequence in every layer. A clone shares them until one of the two reads on.
#[derive(Clone, Default)]
pub(crate) struct Cache {
    layers: Vec<KeysValues>,
}

/// `[tokens, key-value heads · head_dim]` each.
#[derive(Clone)]
struct KeysValues {
    keys: Tensor<2>,
    values: Tensor<2>,
}

impl Cache {
    /// Number of tokens read.
    pub(crate) fn length(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.keys.dims()[0])
    }

    /// The first `length` tokens, of which there are at least so many.
    pub(crate) fn beginning(&self, length: usize) -> Self {
        if length == 0 {
            return Self::default();
        }
        let cut = |all: &Tensor<2>| all.clone().narrow(0, 0, length);
        let layers = self
            .layers
            .iter()
            .map(|layer| KeysValues { keys: cut(&layer.keys), values: cut(&layer.values) })
            .collect();
        Self { layers }
    }

    /// Adds the new keys and values of a layer and gives all of them. Layers come in their order.
    pub(crate) fn extend(
        &mut self,
        layer: usize,
        keys: Tensor<2>,
        values: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        match self.layers.get_mut(layer) {
            Some(known) => {
                known.keys = Tensor::cat(vec![known.keys.clone(), keys], 0);
                known.values = Tensor::cat(vec![known.values.clone(), values], 0);
            }
            None => self.layers.push(KeysValues { keys, values }),
        }
        let all = &self.layers[layer];
        (all.keys.clone(), all.values.clone())
    }
}
