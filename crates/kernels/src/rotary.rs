//! Rotary position embedding (Su et al. 2021, arXiv 2104.09864), in Hugging Face's layout: numbers `i` and `i + head_dim / 2` of a
//! head are rotated together. The derivative rotates them back.

use rayon::prelude::*;

use crate::CHUNK;

/// The cosine and sine of each row's position times each frequency.
#[derive(Debug)]
pub struct RotaryTable {
    /// `[rows, head_dim / 2]`.
    cosine: Vec<f32>,
    sine: Vec<f32>,
    half: usize,
}

/// The direction of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The embedding.
    Forward,
    /// Its derivative.
    Back,
}

impl RotaryTable {
    /// The table of rows at these positions; `frequencies` are half as many as a head is wide.
    pub fn new(frequencies: &[f32], positions: &[usize]) -> Self {
        let table = |of: fn(f32) -> f32| {
            let angles = positions
                .iter()
                .flat_map(|&position| frequencies.iter().map(move |&frequency| position as f32 * frequency));
            angles.map(of).collect()
        };
        Self { cosine: table(f32::cos), sine: table(f32::sin), half: frequencies.len() }
    }

    /// The cosines and the sines, `[rows, head_dim / 2]` each.
    pub fn tables(&self) -> [&[f32]; 2] {
        [&self.cosine, &self.sine]
    }

    /// Half of a head's width.
    pub fn half(&self) -> usize {
        self.half
    }

    /// Rotates the heads of each row of `[rows, heads · head_dim]`.
    pub fn rotate(&self, numbers: &mut [f32], direction: Direction) {
        let half = self.half;
        let rows = self.cosine.len() / half;
        let width = numbers.len() / rows;
        let sign = match direction {
            Direction::Forward => 1.0,
            Direction::Back => -1.0,
        };
        let at_once = (CHUNK / width).max(1);
        numbers
            .par_chunks_mut(at_once * width)
            .zip(self.cosine.par_chunks(at_once * half))
            .zip(self.sine.par_chunks(at_once * half))
            .for_each(|((numbers, cosine), sine)| {
                let tables = cosine.chunks_exact(half).zip(sine.chunks_exact(half));
                for (row, (cosine, sine)) in numbers.chunks_exact_mut(width).zip(tables) {
                    for head in row.chunks_exact_mut(2 * half) {
                        let (first, second) = head.split_at_mut(half);
                        let pairs = first.iter_mut().zip(second).zip(cosine.iter().zip(sine));
                        for ((first, second), (cosine, sine)) in pairs {
                            let sine = sine * sign;
                            (*first, *second) =
                                (*first * cosine - *second * sine, *second * cosine + *first * sine);
                        }
                    }
                }
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::waves;

    #[test]
    fn pairs_are_rotated_as_complex_numbers_and_back() {
        let (positions, frequencies) = ([0, 3, 40], [1.0, 0.1]);
        let table = RotaryTable::new(&frequencies, &positions);
        let before = waves(3 * 8, 0.3);
        let mut after = before.clone();
        table.rotate(&mut after, Direction::Forward);
        for (place, found) in after.iter().enumerate() {
            let (row, head, number) = (place / 8, place / 4 % 2, place % 4);
            let angle = positions[row] as f32 * frequencies[number % 2];
            let pair = [0, 2].map(|half| before[row * 8 + head * 4 + half + number % 2]);
            let expected = if number < 2 {
                pair[0] * angle.cos() - pair[1] * angle.sin()
            } else {
                pair[1] * angle.cos() + pair[0] * angle.sin()
            };
            assert!((found - expected).abs() < 1e-6);
        }
        table.rotate(&mut after, Direction::Back);
        assert!(after.iter().zip(&before).all(|(found, expected)| (found - expected).abs() < 1e-6));
    }
}
