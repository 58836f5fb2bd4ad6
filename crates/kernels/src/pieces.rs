//! A matrix cut into rectangles that threads fill side by side.

/// A rectangle of a matrix.
pub(crate) struct Piece<'a, T = f32> {
    pub(crate) first_row: usize,
    pub(crate) first_column: usize,
    /// Its part of each of its rows, at least one.
    pub(crate) rows: Vec<&'a mut [T]>,
}

impl<T> Piece<'_, T> {
    /// How many columns it has.
    pub(crate) fn columns(&self) -> usize {
        self.rows.first().map_or(0, |row| row.len())
    }
}

/// Cuts a matrix, rows first, into rectangles of so many rows and columns at most; both are at least 1.
pub(crate) fn pieces<T>(matrix: &mut [T], columns: usize, [high, wide]: [usize; 2]) -> Vec<Piece<'_, T>> {
    let mut pieces = Vec::new();
    if columns == 0 {
        return pieces;
    }
    for (band, rows) in matrix.chunks_mut(high * columns).enumerate() {
        let first = pieces.len();
        let of_band = |piece| Piece { first_row: band * high, first_column: piece * wide, rows: Vec::new() };
        pieces.extend((0..columns.div_ceil(wide)).map(of_band));
        for row in rows.chunks_exact_mut(columns) {
            for (piece, part) in pieces[first..].iter_mut().zip(row.chunks_mut(wide)) {
                piece.rows.push(part);
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_in_one_piece_at_its_place() {
        let (rows, columns) = (7, 10);
        for cut in [[1, 1], [3, 4], [7, 10], [20, 20]] {
            let mut matrix = vec![0.0; rows * columns];
            for piece in pieces(&mut matrix, columns, cut) {
                let (first, width) = (piece.first_column, piece.columns());
                assert!(piece.rows.len() <= cut[0] && width <= cut[1]);
                for (row, numbers) in (piece.first_row..).zip(piece.rows) {
                    assert_eq!(numbers.len(), width);
                    for (column, number) in (first..).zip(numbers) {
                        *number += (row * columns + column + 1) as f32;
                    }
                }
            }
            let expected: Vec<f32> = (1..=rows * columns).map(|number| number as f32).collect();
            assert_eq!(matrix, expected);
        }
    }
}
