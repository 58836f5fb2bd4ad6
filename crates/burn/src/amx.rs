//! Matrix products of bf16 factors with 32-bit sums on processors with AMX (Intel's from Sapphire Rapids on), under Linux.
//!
//! The unit multiplies two tiles of 1 KB, 16 × 32 numbers by 32 × 16, and adds what comes out to a third: several times
//! what AVX-512 does in the same time. Both factors are first copied into tiles, padded with zeros, each tile in one piece;
//! then four sums of 16 × 16 stay in the unit while it goes along the inner dimension (Intel 64 and IA-32 Architectures
//! Optimization Reference Manual, chapter on AMX).

use std::{arch::asm, cell::RefCell, ops::Range, sync::OnceLock};

use gemmkit::bf16;
use rayon::prelude::*;

use crate::{fused::View, pieces::pieces};

/// Rows of a tile, and columns of a sum.
const SIDE: usize = 16;
/// Inner numbers of a tile.
const DEPTH: usize = 32;
/// Numbers of a tile.
const TILE: usize = SIDE * DEPTH;
/// Rows and columns of the sums that are in the unit at once: two tiles by two.
const BLOCK: usize = 2 * SIDE;
/// Rows that a thread takes at a time at most: their tiles stay in its cache while those of the columns come by.
const MOST_ROWS: usize = 256;
/// Pieces of a product for each thread, so that none waits long for the last.
const PIECES: usize = 4;

thread_local! {
    /// The tiles of both factors, kept from one product for the next: new memory costs as much as filling it. Another product
    /// that this thread takes on while it waits for others finds none and has its own.
    static TILES: RefCell<[Vec<bf16>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// Whether this process may use the unit. Linux is asked once, since it keeps more state for each thread that does.
fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| cfg!(target_os = "linux") && is_built_in() && is_permitted())
}

/// `one · two`, rows first; `None` where there is no AMX.
pub(crate) fn product(one: View<'_>, two: View<'_>) -> Option<Vec<f32>> {
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
    tiles: Vec<bf16>,
    count: usize,
    inner: usize,
}

impl Rows {
    /// Takes over a matrix `[rows, inner]`.
    pub(crate) fn new(matrix: View<'_>) -> Self {
        let mut of_matrix = Vec::new();
        tiles(&mut of_matrix, matrix, of_rows);
        Self { tiles: of_matrix, count: matrix.rows, inner: matrix.columns }
    }
}

/// A second factor that stays in tiles.
pub(crate) struct Columns {
    tiles: Vec<bf16>,
    inner: usize,
    count: usize,
}

impl Columns {
    /// Takes over a matrix `[inner, columns]`; `None` where there is no AMX.
    pub(crate) fn new(matrix: View<'_>) -> Option<Self> {
        is_available().then(|| {
            let mut of_matrix = Vec::new();
            tiles(&mut of_matrix, matrix.transposed(), of_columns);
            Self { tiles: of_matrix, inner: matrix.rows, count: matrix.columns }
        })
    }

    /// The tiles of some columns, the first a multiple of 32.
    fn part(&self, columns: Range<usize>) -> Second<'_> {
        assert!(
            columns.start.is_multiple_of(BLOCK) && columns.end <= self.count,
            "whole blocks that are there"
        );
        let block = 2 * self.inner.div_ceil(DEPTH) * TILE;
        let tiles = &self.tiles[columns.start / BLOCK * block..columns.end.div_ceil(BLOCK) * block];
        Second { tiles, columns: columns.len() }
    }

    /// The numbers of a column.
    pub(crate) fn column(&self, column: usize) -> impl Iterator<Item = bf16> {
        let panel = self.inner.div_ceil(DEPTH) * TILE;
        let tiles = &self.tiles[column / SIDE * panel..][..panel];
        // Of each row of a tile, which has two numbers of each column.
        let pairs = tiles
            .chunks_exact(2 * SIDE)
            .map(move |row| [0, 1].map(|number| row[2 * (column % SIDE) + number]));
        pairs.flatten().take(self.inner)
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
    tiles: &'a [bf16],
    columns: usize,
}

/// The products of factors that are in tiles, `[rows, columns]` of `inner` terms. Threads are started once for all.
fn multiply<const N: usize>(
    one: &[bf16],
    others: [Second<'_>; N],
    rows: usize,
    inner: usize,
) -> [Vec<f32>; N] {
    let mut outputs = others.map(|other| vec![0.0; rows * other.columns]);
    if rows == 0 || inner == 0 {
        return outputs;
    }
    // The tiles of a block of rows or columns.
    let block = 2 * inner.div_ceil(DEPTH) * TILE;
    let of_band = rows.next_multiple_of(BLOCK).min(MOST_ROWS);
    let across = (PIECES * rayon::current_num_threads()).div_ceil(rows.div_ceil(of_band));
    let cut = |output, other: Second<'_>| {
        let of_piece = other.columns.div_ceil(across).next_multiple_of(BLOCK);
        pieces(output, other.columns, [of_band, of_piece])
    };
    let all: Vec<_> = outputs
        .iter_mut()
        .zip(others)
        .flat_map(|(output, other)| cut(output, other).into_iter().map(move |piece| (other.tiles, piece)))
        .collect();
    all.into_par_iter().for_each(|(two, mut piece)| {
        let one = &one[piece.first_row / BLOCK * block..];
        let two = &two[piece.first_column / BLOCK * block..];
        configure();
        let mut sums = [0.0; BLOCK * BLOCK];
        for (first, two) in (0..piece.columns()).step_by(BLOCK).zip(two.chunks_exact(block)) {
            for (rows, one) in piece.rows.chunks_mut(BLOCK).zip(one.chunks_exact(block)) {
                add_up(one, two, &mut sums);
                for (row, sums) in rows.iter_mut().zip(sums.chunks_exact(BLOCK)) {
                    let width = BLOCK.min(row.len() - first);
                    row[first..first + width].copy_from_slice(&sums[..width]);
                }
            }
        }
        release();
    });
    outputs
}

/// Cuts a matrix into tiles, those of 16 rows one after another; `fill` writes one from 16 rows and 32 columns at most.
fn tiles(tiles: &mut Vec<bf16>, matrix: View<'_>, fill: fn(&mut [bf16], View<'_>)) {
    let steps = matrix.columns.div_ceil(DEPTH);
    tiles.resize(matrix.rows.div_ceil(BLOCK) * 2 * steps * TILE, bf16::ZERO);
    if steps == 0 {
        return;
    }
    tiles.par_chunks_mut(steps * TILE).enumerate().for_each(|(panel, tiles)| {
        let row = panel * SIDE;
        let rows = SIDE.min(matrix.rows.saturating_sub(row));
        if rows == 0 {
            return tiles.fill(bf16::ZERO);
        }
        for (step, tile) in tiles.chunks_exact_mut(TILE).enumerate() {
            let column = step * DEPTH;
            let columns = DEPTH.min(matrix.columns - column);
            if rows < SIDE || columns < DEPTH {
                tile.fill(bf16::ZERO);
            }
            let numbers = &matrix.numbers[row * matrix.strides[0] + column * matrix.strides[1]..];
            fill(tile, View { numbers, rows, columns, ..matrix });
        }
    });
}

/// A tile of the first factor: its rows one after another.
fn of_rows(tile: &mut [bf16], View { numbers, rows, columns, strides }: View<'_>) {
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

/// A tile of the second factor, which is transposed here: of each row two numbers, then two of the next.
fn of_columns(tile: &mut [bf16], View { numbers, rows, columns, strides }: View<'_>) {
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

/// Leaf 7 of what the processor says of itself: AMX-BF16 and AMX-TILE.
fn is_built_in() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    const WANTED: u32 = (1 << 22) | (1 << 24);
    __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & WANTED == WANTED
}

/// Asks Linux for the state of the tiles: `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`.
#[allow(unsafe_code, reason = "a system call that reads and writes no memory of ours")]
fn is_permitted() -> bool {
    let mut result = 158_i64;
    // Beside its result, a system call changes `rcx` and `r11`.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") result,
            in("rdi") 0x1023_u64,
            in("rsi") 18_u64,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// All tiles of this thread are of 16 rows of 64 bytes from here on.
#[allow(unsafe_code, reason = "an instruction that reads 64 bytes")]
fn configure() {
    #[repr(align(64))]
    struct Configuration([u8; 64]);

    let mut configuration = Configuration([0; 64]);
    configuration.0[0] = 1;
    for tile in 0..8 {
        configuration.0[16 + 2 * tile] = 64;
        configuration.0[48 + tile] = SIDE as u8;
    }
    // `product` has made sure that there is AMX.
    unsafe {
        asm!("ldtilecfg [{}]", in(reg) &raw const configuration, options(nostack, readonly));
    }
}

/// Frees the tiles, so that the system need not keep them for this thread.
#[allow(unsafe_code, reason = "an instruction that touches no memory")]
fn release() {
    // As in `configure`.
    unsafe {
        asm!("tilerelease", options(nostack, nomem));
    }
}

/// The sums of a block: 32 rows of the first factor by 32 columns of the second, whose tiles these are.
#[allow(unsafe_code, reason = "instructions that go along both factors' tiles and write the sums")]
fn add_up(one: &[bf16], two: &[bf16], sums: &mut [f32; BLOCK * BLOCK]) {
    assert!(
        one.len() == two.len() && !one.is_empty() && one.len().is_multiple_of(2 * TILE),
        "pairs of tiles"
    );
    let steps = one.len() / (2 * TILE);
    let (upper, left) = (one.as_ptr(), two.as_ptr());
    // The second panel of each begins in the middle of its slice.
    let (lower, right) = (one[steps * TILE..].as_ptr(), two[steps * TILE..].as_ptr());
    // Each pointer is moved by a tile with each step, over `steps` tiles that are there; the sums are 32 rows of 128 bytes.
    // The threads' tiles are configured by `configure`.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{upper} + {row}]",
            "tileloadd tmm6, [{left} + {row}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{right} + {row}]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{lower} + {row}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {upper}, 1024",
            "add {lower}, 1024",
            "add {left}, 1024",
            "add {right}, 1024",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{sums} + {width}], tmm0",
            "tilestored [{sums} + {width} + 64], tmm1",
            "add {sums}, 2048",
            "tilestored [{sums} + {width}], tmm2",
            "tilestored [{sums} + {width} + 64], tmm3",
            upper = inout(reg) upper => _,
            lower = inout(reg) lower => _,
            left = inout(reg) left => _,
            right = inout(reg) right => _,
            steps = inout(reg) steps => _,
            sums = inout(reg) sums.as_mut_ptr() => _,
            row = in(reg) 64_usize,
            width = in(reg) 4 * BLOCK,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, phase: f32) -> Vec<bf16> {
        (0..count).map(|i| bf16::from_f32((i as f32 * 1.7 + phase).sin())).collect()
    }

    fn at(view: View<'_>, row: usize, column: usize) -> f64 {
        f64::from(view.numbers[row * view.strides[0] + column * view.strides[1]].to_f32())
    }

    #[test]
    fn it_is_the_product() {
        for [rows, inner, columns] in [[1, 1, 1], [16, 32, 16], [33, 65, 47], [300, 97, 130], [70, 31, 513]] {
            let (one, two) = (numbers(rows * inner, 0.1), numbers(inner * columns, 0.2));
            let views = |numbers, rows, columns| {
                let plain = View { numbers, rows, columns, strides: [columns, 1] };
                [plain, View { strides: [1, rows], ..plain }]
            };
            for one in views(&one, rows, inner) {
                for two in views(&two, inner, columns) {
                    let Some(found) = product(one, two) else {
                        println!("this processor has no AMX");
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
