//! The order of the rows of the query and key projections.
//!
//! The rotary embedding turns pairs of a head's rows. Hugging Face pairs row `i` with row `i + width/2`; llama.cpp's
//! Llama pairs neighbours, so its files have the rows of each head interleaved.

use crate::Tensor;

/// From neighbours (GGUF) to halves (Hugging Face).
pub(crate) fn to_halves(tensor: Tensor, head_dim: usize) -> Tensor {
    reorder(tensor, head_dim, |row| row / 2 + (row % 2) * (head_dim / 2))
}

/// From halves (Hugging Face) to neighbours (GGUF).
pub(crate) fn to_neighbours(tensor: Tensor, head_dim: usize) -> Tensor {
    let half = head_dim / 2;
    reorder(tensor, head_dim, |row| (row % half) * 2 + row / half)
}

/// Moves row `r` of each head to row `place(r)`.
fn reorder(tensor: Tensor, head_dim: usize, place: impl Fn(usize) -> usize) -> Tensor {
    let columns = tensor.shape[1];
    let mut data = vec![0.0; tensor.data.len()];
    for (row, weights) in tensor.data.chunks_exact(columns).enumerate() {
        let to = row / head_dim * head_dim + place(row % head_dim);
        data[to * columns..(to + 1) * columns].copy_from_slice(weights);
    }
    Tensor { shape: tensor.shape, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let tensor = Tensor { shape: vec![8, 1], data: (0..8).map(|row| row as f32).collect() };
        let neighbours = to_neighbours(tensor.clone(), 4);
        assert_eq!(neighbours.data, [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
        assert_eq!(to_halves(neighbours, 4), tensor);
        // With six rows a head the two orders are not the same.
        let wide = Tensor { shape: vec![6, 1], data: (0..6).map(|row| row as f32).collect() };
        assert_eq!(to_neighbours(wide.clone(), 6).data, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(to_halves(to_neighbours(wide.clone(), 6), 6), wide);
    }
}
