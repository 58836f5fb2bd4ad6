//! Causal attention with grouped queries over keys and values that stay in tiles of bf16, page by page of a KV cache.
//!
//! Products are transposed: keys are the rows of `Sᵀ = K Qᵀ` and values, which are stored transposed, of `Oᵀ = Vᵀ Pᵀ`, so that both are
//! first factors as they are stored, and the softmax goes over all queries of a block at once with nothing to sum across a vector
//! (after `FlashAttention`, Dao et al. 2022, arXiv 2205.14135, and `PagedAttention`, Kwon et al. 2023, arXiv 2309.06180).

use std::{cell::RefCell, ops::Range};

use lancer_memory::use_large_pages;
use rayon::prelude::*;

use super::{
    AttentionShape,
    paged::{PAGE, PageBlock, Seen},
};
use crate::{
    bf16::{bf16, round},
    exp::exp,
    matmul::amx::unit::{
        BLOCK, DEPTH, Path, SIDE, Sums, Tile, add_up, configure, is_available, prefetch, release,
    },
    pieces::{Piece, pieces},
};

// The tokens of a page are the rows of one block's scores, and the inner dimension of one tile of values.
const _: () = assert!(PAGE == BLOCK && PAGE == DEPTH, "a page fills tiles");

/// Keys and values of one layer, in tiles of bf16.
pub struct TiledKeysValues {
    /// For each page and each head in it: the tiles of the keys, first of 16 tokens and then of the other 16, and as many tiles of
    /// the values, each with 16 numbers of all tokens.
    tiles: Vec<Tile>,
    kv_heads: usize,
    head_dim: usize,
}

thread_local! {
    /// A thread reuses them for the next block: new memory costs as much as filling it.
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// The memory that a thread needs for a block.
#[derive(Default)]
struct Buffers {
    queries: Vec<Tile>,
    /// For each page the scores of its tokens by the block's columns.
    scores: Vec<Sums>,
    probabilities: Vec<Tile>,
}

impl TiledKeysValues {
    /// Without tokens; `None` where there is no AMX.
    pub fn new(kv_heads: usize, head_dim: usize) -> Option<Self> {
        is_available().then(|| Self { tiles: Vec::new(), kv_heads, head_dim })
    }

    /// Makes room for so many pages, if there is not.
    pub fn reserve(&mut self, pages: usize) {
        let size = pages * self.kv_heads * self.of_head();
        if size > self.tiles.len() {
            let mut tiles = Vec::with_capacity(size);
            use_large_pages(tiles.spare_capacity_mut());
            tiles.extend_from_slice(&self.tiles);
            tiles.resize(size, Tile::ZERO);
            self.tiles = tiles;
        }
    }

    /// Writes rows of `keys` and `values: [rows, kv_heads · head_dim]`: each of `tokens` is a place in the cache, for which there is
    /// room, and the row that is written there.
    pub fn write(&mut self, keys: &[f32], values: &[f32], mut tokens: Vec<(usize, usize)>) {
        let (width, head_dim, steps, of_head) =
            (self.kv_heads * self.head_dim, self.head_dim, self.steps(), self.of_head());
        tokens.sort_unstable();
        let of_page = self.kv_heads * of_head;
        let (mut pages, mut left, mut first) = (Vec::new(), self.tiles.as_mut_slice(), 0);
        for tokens in tokens.chunk_by(|one, two| one.0 / PAGE == two.0 / PAGE) {
            let page = tokens[0].0 / PAGE;
            let (_, at_page) = std::mem::take(&mut left).split_at_mut((page - first) * of_page);
            let (tiles, after) = at_page.split_at_mut(of_page);
            pages.push((tiles, tokens));
            (left, first) = (after, page + 1);
        }
        pages.into_par_iter().for_each(|(tiles, tokens)| {
            for &(token, row) in tokens {
                let [keys, values] =
                    [keys, values].map(|all| all[row * width..][..width].chunks_exact(head_dim));
                for (tiles, (key, value)) in tiles.chunks_exact_mut(of_head).zip(keys.zip(values)) {
                    let (of_keys, of_values) = tiles.split_at_mut(2 * steps);
                    put_key(of_keys, steps, token % PAGE, key);
                    put_value(of_values, token % PAGE, value);
                }
            }
        });
    }

    /// The output `[rows, heads · head_dim]` for `queries` of that shape, whose spans' keys are tokens of this. `blocks` cuts the
    /// spans into [`PageBlock`]s of at most so many queries.
    pub fn attend<'a>(
        &self,
        queries: &[f32],
        shape: AttentionShape,
        blocks: impl FnOnce(usize) -> &'a [PageBlock],
    ) -> Vec<f32> {
        let width = shape.heads * shape.head_dim;
        let mut output = vec![0.0; queries.len()];
        // Query heads that are columns of one block, and rows, in blocks of about one size.
        let heads = heads_at_once(shape.heads / shape.kv_heads);
        let rows = queries.len() / width;
        let at_once = rows.div_ceil(rows.div_ceil(BLOCK / heads).max(1)).max(1);
        let blocks = blocks(at_once);
        let all = pieces(&mut output, width, [at_once, heads * shape.head_dim]);
        all.into_par_iter().for_each(|piece| {
            let mut buffers = BUFFERS.take();
            configure();
            self.attend_to(&blocks[piece.first_row / at_once], queries, shape, piece, &mut buffers);
            release();
            BUFFERS.set(buffers);
        });
        output
    }

    /// The output of a block for some query heads of one key-value head, each query of a head as a column.
    fn attend_to(
        &self,
        block: &PageBlock,
        queries: &[f32],
        shape: AttentionShape,
        piece: Piece<'_>,
        buffers: &mut Buffers,
    ) {
        let AttentionShape { head_dim, scale, .. } = shape;
        let (first, width) = (piece.first_column, piece.columns());
        let heads = width / head_dim;
        let kv_head = first / head_dim / (shape.heads / shape.kv_heads);
        let starts: Vec<usize> = block.pages.iter().map(|page| self.start(page.page, kv_head)).collect();

        let rows = queries.chunks_exact(shape.heads * head_dim).skip(piece.first_row).take(piece.rows.len());
        let queries = rows.flat_map(|row| row[first..first + width].chunks_exact(head_dim));
        put_columns(&mut buffers.queries, self.steps(), queries);
        self.score(block, &starts, heads, buffers);
        let columns: Vec<&mut [f32]> =
            piece.rows.into_iter().flat_map(|row| row.chunks_exact_mut(head_dim)).collect();
        let sums = buffers.softmax(block, columns.len(), heads, scale);
        self.put_out(&starts, &buffers.probabilities[..2 * starts.len()], &sums, columns);
    }

    /// Products of queries and the keys of each page, whose tiles begin there.
    fn score(&self, block: &PageBlock, starts: &[usize], heads: usize, buffers: &mut Buffers) {
        let Buffers { queries, scores, .. } = buffers;
        scores.resize(starts.len().max(scores.len()), Sums::ZERO);
        let along_keys = Path::straight(self.steps());
        let tiles_of = |start: &usize| &self.tiles[*start..][..self.of_head()];
        starts.first().map(tiles_of).map(prefetch);
        for (place, ((page, start), scores)) in block.pages.iter().zip(starts).zip(scores).enumerate() {
            // Pages may be anywhere in memory, so that the processor cannot guess the next.
            starts.get(place + 1).map(tiles_of).map(prefetch);
            add_up(tiles_of(start), &along_keys, queries, scores);
            if let Seen::Parts(seen) = &page.seen {
                hide(scores, seen, heads);
            }
        }
    }

    /// Writes the columns of the output: the products of values and probabilities by the sums of these.
    fn put_out(
        &self,
        starts: &[usize],
        probabilities: &[Tile],
        sums: &[f32; BLOCK],
        mut columns: Vec<&mut [f32]>,
    ) {
        let mut attended = Sums::ZERO;
        for first in (0..self.head_dim).step_by(BLOCK) {
            let of_values = 2 * self.steps() + first / SIDE;
            let along_pages = Path::new(starts.iter().map(|start| start + of_values).collect(), 1);
            add_up(&self.tiles, &along_pages, probabilities, &mut attended);
            for (place, column) in columns.iter_mut().enumerate() {
                let numbers = attended.0.iter().map(|row| row[place] / sums[place]);
                column[first..].iter_mut().zip(numbers).for_each(|(kept, number)| *kept = number);
            }
        }
    }

    /// Tiles along a key.
    fn steps(&self) -> usize {
        self.head_dim.div_ceil(DEPTH)
    }

    /// A head's tiles in a page.
    fn of_head(&self) -> usize {
        4 * self.steps()
    }

    /// Where the tiles of a head in a page begin.
    fn start(&self, page: usize, kv_head: usize) -> usize {
        (page * self.kv_heads + kv_head) * self.of_head()
    }
}

impl Buffers {
    /// Turns the scores of so many columns into probabilities that are not yet divided by their sums, and returns the sums.
    fn softmax(&mut self, block: &PageBlock, columns: usize, heads: usize, scale: f32) -> [f32; BLOCK] {
        let pages = block.pages.len();
        self.probabilities.resize((2 * pages).max(self.probabilities.len()), Tile::ZERO);
        let (left, right) = self.probabilities[..2 * pages].split_at_mut(pages);
        let mut sums = [0.0; BLOCK];
        for (first, tiles) in [(0, left), (SIDE, right)] {
            if first < columns {
                let queries = first / heads..(first + SIDE).div_ceil(heads);
                let seen: Vec<bool> =
                    block.pages.iter().map(|page| page.is_seen_by(queries.clone())).collect();
                let sums = &mut sums[first..first + SIDE];
                sums.copy_from_slice(&softmax(&self.scores[..pages], &seen, first, scale, tiles));
            }
        }
        sums
    }
}

/// How many of the query heads that share a key-value head are columns of one block: as many as divide them evenly and fit.
fn heads_at_once(groups: usize) -> usize {
    (1..=groups.min(BLOCK)).rev().find(|heads| groups.is_multiple_of(*heads)).unwrap_or(1)
}

/// Writes the key of a token of the page: a row of its tiles.
fn put_key(tiles: &mut [Tile], steps: usize, token: usize, key: &[f32]) {
    for (Tile(tile), key) in tiles[token / SIDE * steps..].iter_mut().zip(key.chunks(DEPTH)) {
        let kept = &mut tile[token % SIDE * DEPTH..];
        kept.iter_mut().zip(key).for_each(|(kept, &number)| *kept = round(number));
    }
}

/// Writes the value of a token of the page: a column of its tiles.
fn put_value(tiles: &mut [Tile], token: usize, value: &[f32]) {
    for (Tile(tile), value) in tiles.iter_mut().zip(value.chunks(SIDE)) {
        let kept = tile[token..].iter_mut().step_by(PAGE);
        kept.zip(value).for_each(|(kept, &number)| *kept = round(number));
    }
}

/// Writes queries as the columns of a second factor with so many tiles along them; two numbers of each column stay together.
fn put_columns<'a>(tiles: &mut Vec<Tile>, steps: usize, queries: impl Iterator<Item = &'a [f32]>) {
    tiles.clear();
    tiles.resize(2 * steps, Tile::ZERO);
    for (column, query) in queries.enumerate() {
        let tiles = tiles[column / SIDE * steps..][..steps].iter_mut();
        let rows = tiles.flat_map(|tile| tile.0.as_chunks_mut::<{ 2 * SIDE }>().0);
        for (row, numbers) in rows.zip(query.chunks(2)) {
            let kept = row[2 * (column % SIDE)..].iter_mut();
            kept.zip(numbers).for_each(|(kept, &number)| *kept = round(number));
        }
    }
}

/// Sets the scores of keys that a query does not see to -∞.
fn hide(Sums(scores): &mut Sums, seen: &[Range<usize>], heads: usize) {
    // Columns without a query see all, so that their sums are not 0.
    let (mut from, mut to) = ([0_i32; BLOCK], [PAGE as i32; BLOCK]);
    let columns = from.chunks_exact_mut(heads).zip(to.chunks_exact_mut(heads));
    for ((from, to), seen) in columns.zip(seen) {
        from.fill(seen.start as i32);
        to.fill(seen.end as i32);
    }
    for (token, scores) in (0..).zip(scores) {
        for ((score, from), to) in scores.iter_mut().zip(&from).zip(&to) {
            *score = if *from <= token && token < *to { *score } else { f32::NEG_INFINITY };
        }
    }
}

/// `exp(scale · (score − the column's largest))` for 16 columns, as tiles of a second factor, one of each page; and the sum of
/// each column. Pages that none of them sees are passed over.
fn softmax(scores: &[Sums], seen: &[bool], first: usize, scale: f32, tiles: &mut [Tile]) -> [f32; SIDE] {
    let columns =
        |scores: &[f32; BLOCK]| std::array::from_fn::<f32, SIDE, _>(|column| scores[first + column]);
    let mut max = [f32::NEG_INFINITY; SIDE];
    for (scores, _) in scores.iter().zip(seen).filter(|(_, seen)| **seen) {
        for scores in scores.0.iter().map(columns) {
            max =
                std::array::from_fn(
                    |column| if scores[column] > max[column] { scores[column] } else { max[column] },
                );
        }
    }
    let mut sums = [0.0; SIDE];
    for ((scores, seen), Tile(tile)) in scores.iter().zip(seen).zip(tiles) {
        if !seen {
            tile.fill(bf16::ZERO);
            continue;
        }
        for (tokens, row) in scores.0.as_chunks::<2>().0.iter().zip(tile.as_chunks_mut::<{ 2 * SIDE }>().0) {
            let [one, two] = tokens.each_ref().map(columns);
            for (column, pair) in row.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                let power = |score: f32| exp((score - max[column]) * scale);
                let powers = [power(one[column]), power(two[column])];
                sums[column] += powers[0] + powers[1];
                *pair = powers.map(round);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        attention::{AttentionSpan, forward},
        bf16::widen,
        vector::waves,
    };

    /// The keys of a sequence: runs of pages, of whose last ones some tokens are there.
    fn keys() -> impl Strategy<Value = Vec<Range<usize>>> {
        proptest::collection::vec((0..2_usize, 1..80_usize), 1..4).prop_map(|runs| {
            let run = |(run, (page, tokens))| {
                let start = (4 * run + page) * PAGE;
                start..start + tokens
            };
            runs.into_iter().enumerate().map(run).collect()
        })
    }

    proptest! {
        #[test]
        fn it_is_the_attention_over_rounded_numbers(
            all in proptest::collection::vec((1..40_usize, keys()), 1..5),
            (kv_heads, groups) in (1..3_usize, prop::sample::select(vec![1, 3, 5, 33])),
            head_dim in prop::sample::select(vec![8_usize, 32, 40, 64]),
            window in prop::option::of(1..100_usize),
        ) {
            let Some(mut tiled) = TiledKeysValues::new(kv_heads, head_dim) else {
                lancer_skipped::skip!("this processor has no AMX");
                return Ok(());
            };
            let mut rows = 0;
            let spans: Vec<AttentionSpan> = all
                .into_iter()
                .map(|(queries, keys)| {
                    let queries = queries.min(keys.iter().map(Range::len).sum());
                    rows += queries;
                    AttentionSpan { queries: rows - queries..rows, keys }
                })
                .collect();
            let (pages, width) = (12, kv_heads * head_dim);
            let rounded = |count, phase| -> Vec<f32> { waves(count, phase).into_iter().map(|x| widen(round(x))).collect() };
            let [keys, values] = [0.1, 0.2].map(|phase| rounded(pages * PAGE * width, phase));
            tiled.reserve(pages);
            tiled.write(&keys, &values, (0..pages * PAGE).map(|token| (token, token)).collect());
            let heads = kv_heads * groups;
            let shape = AttentionShape { heads, kv_heads, head_dim, scale: 0.3, window };
            let queries = rounded(rows * heads * head_dim, 0.3);
            let blocks = std::cell::OnceCell::new();
            let found = tiled.attend(&queries, shape, |at_once| {
                blocks.get_or_init(|| PageBlock::all(&spans, at_once, window)).as_slice()
            });
            let (expected, _) = forward([&queries, &keys, &values], shape, &spans);
            // Only the probabilities differ: they are rounded, by 1 in 256 at most.
            for (found, expected) in found.iter().zip(expected) {
                prop_assert!((found - expected).abs() < 4e-3, "{found}, expected {expected}");
            }
        }
    }
}
