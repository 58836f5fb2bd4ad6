//! Where the weights of a GGUF file differ from those of a Hugging Face folder: in the order of rows, and in what the weights
//! of norms mean.

use lancer_kernels::RowOrder;

use crate::{
    Config, NormWeight, Tensor,
    family::GgufRows,
    rotary_layout::{to_halves, to_neighbours},
};

/// How the two differ in a tensor.
enum Difference {
    None,
    /// The rows of each head are in another order.
    Rows,
    /// GGUF has 1 more.
    OneMore,
}

/// A tensor of a GGUF file as Hugging Face has it. `name` is its Hugging Face name.
pub(crate) fn read(tensor: Tensor, name: &str, config: &Config) -> Tensor {
    match difference(name, config) {
        Difference::None => tensor,
        Difference::Rows => to_halves(tensor, config.head_dim),
        Difference::OneMore => shifted(tensor, -1.0),
    }
}

/// A tensor as GGUF files have it. `name` is its Hugging Face name.
pub(crate) fn written(tensor: Tensor, name: &str, config: &Config) -> Tensor {
    match difference(name, config) {
        Difference::None => tensor,
        Difference::Rows => to_neighbours(tensor, config.head_dim),
        Difference::OneMore => shifted(tensor, 1.0),
    }
}

/// The order in which a GGUF file has the rows of the matrix of this name.
pub(crate) fn order(name: &str, config: &Config) -> RowOrder {
    match difference(name, config) {
        Difference::Rows => RowOrder::Interleaved { head: config.head_dim },
        Difference::None | Difference::OneMore => RowOrder::AsCounted,
    }
}

fn difference(name: &str, config: &Config) -> Difference {
    let design = config.family.design();
    let turned = name.ends_with("self_attn.q_proj.weight") || name.ends_with("self_attn.k_proj.weight");
    if turned && design.gguf_rows == GgufRows::Neighbours {
        Difference::Rows
    } else if name.ends_with("norm.weight") && design.norm_weight == NormWeight::FactorLessOne {
        Difference::OneMore
    } else {
        Difference::None
    }
}

fn shifted(mut tensor: Tensor, by: f32) -> Tensor {
    tensor.data.iter_mut().for_each(|weight| *weight += by);
    tensor
}
