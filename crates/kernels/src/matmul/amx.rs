//! Matrix products of bf16 factors with 32-bit sums on processors with AMX (Intel's from Sapphire Rapids on), under Linux.
//!
//! Both factors are first copied into tiles that are padded with zeros; each tile is contiguous. The sums then stay in the unit
//! while it moves along the inner dimension.

pub(crate) mod unit;

use std::{
    cell::RefCell,
    mem::MaybeUninit,
    ops::{Deref, Range},
    sync::Arc,
};

use half::bf16;
use lancer_memory::{give_back_freed_memory, use_large_pages};
use rayon::prelude::*;

use self::unit::{BLOCK, DEPTH, Path, SIDE, Sums, Tile, add_up, configure, is_available, release};
use super::rounded::RoundedView;
use crate::pieces::pieces;

/// A thread takes at most so many rows at a time: their tiles stay in its cache while it reads the tiles of the columns.
const MOST_ROWS: usize = 256;
/// Pieces of a product for each thread, so that none waits long for the last.
const PIECES: usize = 4;

/// Tiles that are moved at a time: 32 MB.
const AT_ONCE: usize = 1 << 15;

thread_local! {
    /// The tiles of both factors, kept from one product for the next: new memory costs as much as filling it. Another product
    /// that this thread takes on while it waits for others finds none and has its own.
    static TILES: RefCell<[Vec<Tile>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// `one · two`, rows first; `None` where there is no AMX.
pub(crate) fn product(one: RoundedView<'_>, two: RoundedView<'_>) -> Option<Vec<f32>> {
    if !is_available() {
        return None;
    }
    assert_eq!(one.columns, two.rows, "as many columns as the other has rows");
    let [mut of_one, mut of_two] = TILES.take();
    tiles(&mut of_one, one, of_rows);
    tiles(&mut of_two, two.transposed(), of_columns);
    let second = Second { tiles: &of_two, columns: two.columns };
    let [output] = multiply(&of_one, [second], one.rows, one.columns);
    TILES.set([of_one, of_two]);
    Some(output)
}

/// A first factor in tiles, for products with several others.
pub(crate) struct Rows {
    tiles: Vec<Tile>,
    count: usize,
    inner: usize,
}

impl Rows {
    /// Copies a matrix `[rows, inner]` into tiles.
    pub(crate) fn new(matrix: RoundedView<'_>) -> Self {
        let mut of_matrix = Vec::new();
        tiles(&mut of_matrix, matrix, of_rows);
        Self { tiles: of_matrix, count: matrix.rows, inner: matrix.columns }
    }
}

/// A second factor that stays in tiles.
pub(crate) struct Columns {
    tiles: SharedTiles,
    inner: usize,
    count: usize,
}

impl Columns {
    /// Copies a matrix `[inner, columns]` into tiles; `None` where there is no AMX.
    pub(crate) fn new(matrix: RoundedView<'_>) -> Option<Self> {
        is_available().then(|| {
            let mut of_matrix = Vec::new();
            tiles(&mut of_matrix, matrix.transposed(), of_columns);
            Self { tiles: SharedTiles::from(of_matrix), inner: matrix.rows, count: matrix.columns }
        })
    }

    /// The tiles of some columns, the first a multiple of 32.
    fn part(&self, columns: Range<usize>) -> Second<'_> {
        assert!(
            columns.start.is_multiple_of(BLOCK) && columns.end <= self.count,
            "whole blocks that are there"
        );
        let block = 2 * self.inner.div_ceil(DEPTH);
        let tiles = &self.tiles[columns.start / BLOCK * block..columns.end.div_ceil(BLOCK) * block];
        Second { tiles, columns: columns.len() }
    }

    /// The numbers of a column.
    pub(crate) fn column(&self, column: usize) -> impl Iterator<Item = bf16> {
        let panel = self.inner.div_ceil(DEPTH);
        let rows = self.tiles[column / SIDE * panel..][..panel].iter().flat_map(|tile| tile.0.as_chunks().0);
        // Each row of a tile holds two numbers of each column.
        let pairs =
            rows.map(move |row: &[bf16; 2 * SIDE]| [0, 1].map(|number| row[2 * (column % SIDE) + number]));
        pairs.flatten().take(self.inner)
    }
}

/// Tiles of one second factor in memory that it may share with others.
#[derive(Default)]
struct SharedTiles {
    memory: Arc<Vec<Tile>>,
    range: Range<usize>,
}

impl From<Vec<Tile>> for SharedTiles {
    fn from(tiles: Vec<Tile>) -> Self {
        Self { range: 0..tiles.len(), memory: Arc::new(tiles) }
    }
}

impl Deref for SharedTiles {
    type Target = [Tile];

    fn deref(&self) -> &[Tile] {
        &self.memory[self.range.clone()]
    }
}

/// Moves second factors to one piece of memory in large pages, because the factors of a layer are smaller than a large page.
pub(crate) fn gather(mut factors: Vec<&mut Columns>) {
    if factors.is_empty() {
        return;
    }
    let mut memory = Vec::with_capacity(factors.iter().map(|factor| factor.tiles.len()).sum());
    use_large_pages(memory.spare_capacity_mut());
    let mut given_back = 0;
    for factor in &mut factors {
        let start = memory.len();
        memory.extend_from_slice(&std::mem::take(&mut factor.tiles));
        factor.tiles.range = start..memory.len();
        // So that not all weights are in memory twice.
        if memory.len() - given_back > AT_ONCE {
            give_back_freed_memory();
            given_back = memory.len();
        }
    }
    give_back_freed_memory();
    let memory = Arc::new(memory);
    for factor in factors {
        factor.tiles.memory = memory.clone();
    }
}

/// The products of `one` and some columns of others, rows first; the first columns are multiples of 32.
pub(crate) fn products<const N: usize>(one: &Rows, others: [(&Columns, Range<usize>); N]) -> [Vec<f32>; N] {
    for (other, _) in &others {
        assert_eq!(one.inner, other.inner, "as many columns as the other has rows");
    }
    let parts = others.map(|(other, columns)| other.part(columns));
    multiply(&one.tiles, parts, one.count, one.inner)
}

/// Tiles of a second factor.
#[derive(Clone, Copy)]
struct Second<'a> {
    tiles: &'a [Tile],
    columns: usize,
}

/// The products of factors that are in tiles, `[rows, columns]` of `inner` terms. Threads are started once for all.
#[allow(
    unsafe_code,
    reason = "outputs are not filled with zeros before they are written, by one thread for all"
)]
fn multiply<const N: usize>(
    one: &[Tile],
    others: [Second<'_>; N],
    rows: usize,
    inner: usize,
) -> [Vec<f32>; N] {
    if rows == 0 || inner == 0 {
        return others.map(|other| vec![0.0; rows * other.columns]);
    }
    let mut outputs = others.map(|other| Vec::with_capacity(rows * other.columns));
    let steps = inner.div_ceil(DEPTH);
    // The tiles of a block of rows or columns.
    let block = 2 * steps;
    let path = Path::straight(steps);
    let of_band = rows.next_multiple_of(BLOCK).min(MOST_ROWS);
    let across = (PIECES * rayon::current_num_threads()).div_ceil(rows.div_ceil(of_band));
    let all: Vec<_> = outputs
        .iter_mut()
        .zip(others)
        .flat_map(|(output, other)| {
            let of_piece = other.columns.div_ceil(across).next_multiple_of(BLOCK);
            let output = &mut output.spare_capacity_mut()[..rows * other.columns];
            let pieces = pieces(output, other.columns, [of_band, of_piece]);
            pieces.into_iter().map(move |piece| (other.tiles, piece))
        })
        .collect();
    all.into_par_iter().for_each(|(two, mut piece)| {
        let one = &one[piece.first_row / BLOCK * block..];
        let two = &two[piece.first_column / BLOCK * block..];
        configure();
        let mut sums = Sums::ZERO;
        for (first, two) in (0..piece.columns()).step_by(BLOCK).zip(two.chunks_exact(block)) {
            for (rows, one) in piece.rows.chunks_mut(BLOCK).zip(one.chunks_exact(block)) {
                add_up(one, &path, two, &mut sums);
                for (row, sums) in rows.iter_mut().zip(&sums.0) {
                    let row = &mut row[first..];
                    // A copy of a size that is known here is some instructions and no call.
                    match row.first_chunk_mut() {
                        Some(whole) => *whole = sums.map(MaybeUninit::new),
                        None => _ = row.write_copy_of_slice(&sums[..row.len()]),
                    }
                }
            }
        }
        release();
    });
    for (output, other) in outputs.iter_mut().zip(others) {
        // SAFETY: the pieces cover the whole output, and each piece's columns were written in each of its rows.
        unsafe { output.set_len(rows * other.columns) };
    }
    outputs
}

/// Cuts a matrix into tiles, the tiles of 16 rows one after another; `fill` writes one from 16 rows and 32 columns at most.
fn tiles(tiles: &mut Vec<Tile>, matrix: RoundedView<'_>, fill: fn(&mut [bf16], RoundedView<'_>)) {
    let steps = matrix.columns.div_ceil(DEPTH);
    tiles.resize(matrix.rows.div_ceil(BLOCK) * 2 * steps, Tile::ZERO);
    if steps == 0 {
        return;
    }
    tiles.par_chunks_mut(steps).enumerate().for_each(|(panel, tiles)| {
        let row = panel * SIDE;
        let rows = SIDE.min(matrix.rows.saturating_sub(row));
        if rows == 0 {
            return tiles.fill(Tile::ZERO);
        }
        for (step, Tile(tile)) in tiles.iter_mut().enumerate() {
            let column = step * DEPTH;
            let columns = DEPTH.min(matrix.columns - column);
            if rows < SIDE || columns < DEPTH {
                tile.fill(bf16::ZERO);
            }
            let numbers = &matrix.numbers[row * matrix.strides[0] + column * matrix.strides[1]..];
            fill(tile, RoundedView { numbers, rows, columns, ..matrix });
        }
    });
}

/// A tile of the first factor: its rows one after another.
fn of_rows(tile: &mut [bf16], RoundedView { numbers, rows, columns, strides }: RoundedView<'_>) {
    if strides[1] == 1 {
        for (tile, row) in tile.chunks_exact_mut(DEPTH).zip(0..rows) {
            tile[..columns].copy_from_slice(&numbers[row * strides[0]..][..columns]);
        }
    } else {
        for column in 0..columns {
            let numbers = &numbers[column * strides[1]..][..rows];
            for (row, number) in numbers.iter().enumerate() {
                tile[row * DEPTH + column] = *number;
            }
        }
    }
}

/// A tile of the second factor, which is transposed here: two numbers of each row stay together.
fn of_columns(tile: &mut [bf16], RoundedView { numbers, rows, columns, strides }: RoundedView<'_>) {
    if strides[1] == 1 {
        for row in 0..rows {
            let numbers = &numbers[row * strides[0]..][..columns];
            for (pair, numbers) in numbers.chunks(2).enumerate() {
                let place = 2 * (pair * SIDE + row);
                tile[place..place + numbers.len()].copy_from_slice(numbers);
            }
        }
    } else {
        for column in 0..columns {
            let numbers = &numbers[column * strides[1]..][..rows];
            let tile = &mut tile[column / 2 * 2 * SIDE + column % 2..];
            for (number, place) in numbers.iter().zip(tile.iter_mut().step_by(2)) {
                *place = *number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, phase: f32) -> Vec<bf16> {
        (0..count).map(|i| bf16::from_f32((i as f32 * 1.7 + phase).sin())).collect()
    }

    fn at(view: RoundedView<'_>, row: usize, column: usize) -> f64 {
        f64::from(view.numbers[row * view.strides[0] + column * view.strides[1]].to_f32())
    }

    #[test]
    fn it_is_the_product() {
        for [rows, inner, columns] in [[1, 1, 1], [16, 32, 16], [33, 65, 47], [300, 97, 130], [70, 31, 513]] {
            let (one, two) = (numbers(rows * inner, 0.1), numbers(inner * columns, 0.2));
            let views = |numbers, rows, columns| {
                let plain = RoundedView { numbers, rows, columns, strides: [columns, 1] };
                [plain, RoundedView { strides: [1, rows], ..plain }]
            };
            for one in views(&one, rows, inner) {
                for two in views(&two, inner, columns) {
                    let Some(found) = product(one, two) else {
                        lancer_skipped::skip!("this processor has no AMX");
                        return;
                    };
                    for row in 0..rows {
                        for column in 0..columns {
                            let terms = (0..inner).map(|i| at(one, row, i) * at(two, i, column));
                            let (found, expected) = (found[row * columns + column], terms.sum::<f64>());
                            assert!(
                                (f64::from(found) - expected).abs() < 1e-4,
                                "{found}, expected {expected}"
                            );
                        }
                    }
                }
            }
        }
    }
}
