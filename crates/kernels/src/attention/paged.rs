//! Queries in blocks of a few rows, with the pages of the KV cache that each of them sees.
//!
//! A page is in a block once, however many sequences of the block have it: their common keys are attended to once for all
//! (Juravsky et al. 2024, arXiv 2402.05099).

use std::{collections::HashMap, ops::Range};

use super::AttentionSpan;

/// Tokens of a page of the KV cache.
pub const PAGE: usize = 32;

/// Some successive queries, and the pages that they see.
#[derive(Debug, PartialEq, Eq)]
pub struct PageBlock {
    /// Each page that a query sees, at least one.
    pub(crate) pages: Vec<SeenPage>,
}

/// A page, and its tokens that the queries of a block see.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SeenPage {
    /// Index in the cache.
    pub(crate) page: usize,
    pub(crate) seen: Seen,
}

/// The tokens of a page that the queries of a block see.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Every query sees all tokens.
    All,
    /// Each query sees these tokens.
    Parts(Vec<Range<usize>>),
}

impl SeenPage {
    /// Whether one of these queries sees a token of it.
    pub(crate) fn is_seen_by(&self, queries: Range<usize>) -> bool {
        match &self.seen {
            Seen::All => true,
            Seen::Parts(parts) => {
                let end = queries.end.min(parts.len());
                parts[queries.start.min(end)..end].iter().any(|part| !part.is_empty())
            }
        }
    }
}

impl PageBlock {
    /// The blocks of all queries, of so many each at most. The keys of each span are in a cache of pages, and a query sees only
    /// the last of them where there is a `window`.
    pub fn all(spans: &[AttentionSpan], at_once: usize, window: Option<usize>) -> Vec<Self> {
        let rows = spans.last().map_or(0, |span| span.queries.end);
        (0..rows)
            .step_by(at_once)
            .map(|first| Self::of(spans, first..(first + at_once).min(rows), window.unwrap_or(usize::MAX)))
            .collect()
    }

    fn of(spans: &[AttentionSpan], rows: Range<usize>, window: usize) -> Self {
        let mut pages: Vec<(usize, Vec<Range<usize>>)> = Vec::new();
        let mut known = HashMap::new();
        let first = spans.partition_point(|span| span.queries.end <= rows.start);
        for span in spans[first..].iter().take_while(|span| span.queries.start < rows.end) {
            let queries = span.queries.start.max(rows.start)..span.queries.end.min(rows.end);
            let (all, mut before) = (span.keys(), 0);
            for (page, tokens) in span.keys.iter().flat_map(|keys| in_pages(keys.clone())) {
                // The span's keys that are in the page.
                let keys = before..before + tokens.len();
                before = keys.end;
                for query in queries.clone() {
                    let last = all - (span.queries.end - query);
                    let (from, to) =
                        (keys.start.max((last + 1).saturating_sub(window)), keys.end.min(last + 1));
                    if from < to {
                        let place = *known.entry(page).or_insert_with(|| {
                            pages.push((page, vec![0..0; rows.len()]));
                            pages.len() - 1
                        });
                        let token = |key: usize| tokens.start + key - keys.start;
                        pages[place].1[query - rows.start] = token(from)..token(to);
                    }
                }
            }
        }
        let seen_page = |(page, parts): (usize, Vec<Range<usize>>)| {
            let is_all = parts.iter().all(|part| *part == (0..PAGE));
            SeenPage { page, seen: if is_all { Seen::All } else { Seen::Parts(parts) } }
        };
        Self { pages: pages.into_iter().map(seen_page).collect() }
    }
}

/// The pages in which some rows of the cache are, with their tokens in each.
fn in_pages(rows: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>)> {
    (rows.start / PAGE..rows.end.div_ceil(PAGE)).map(move |page| {
        let start = page * PAGE;
        (page, rows.start.max(start) - start..rows.end.min(start + PAGE) - start)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::single_range_in_vec_init, reason = "keys are lists of ranges, of one too")]

    use super::*;

    #[test]
    fn pages_in_common_are_there_once() {
        let all = [
            AttentionSpan { queries: 0..1, keys: vec![0..40] },
            // Goes on in a page of its own.
            AttentionSpan { queries: 1..3, keys: vec![0..39, 96..98] },
        ];
        let page = |page, seen| SeenPage { page, seen };
        let expected = PageBlock {
            pages: vec![
                page(0, Seen::All),
                page(1, Seen::Parts(vec![0..8, 0..7, 0..7])),
                page(3, Seen::Parts(vec![0..0, 0..1, 0..2])),
            ],
        };
        assert_eq!(PageBlock::all(&all, 3, None), [expected]);
        let expected =
            PageBlock { pages: vec![page(1, Seen::Parts(vec![6..7])), page(3, Seen::Parts(vec![0..2]))] };
        assert_eq!(PageBlock::all(&all, 2, Some(3))[1], expected);
    }
}
