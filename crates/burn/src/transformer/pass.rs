//! What a pass through the layers needs beside the states: where each sequence is, what came before it, and dropout.

use std::{ops::Range, sync::Arc};

use lancer_backend::Seed;
use lancer_model::Config;

use super::{Cache, dropout::Dropout};
use crate::{
    fused::{AttentionShape, Reach, Turns},
    settings::Products,
};

/// Some tokens of one sequence that a pass reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Number of its tokens before them.
    pub(crate) past: usize,
    /// Number of tokens read.
    pub(crate) rows: usize,
    /// Where the tokens before are.
    pub(crate) before: Before,
}

/// Where a span's past is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// In the cache of the span, if there is a past.
    Cache,
    /// In the same pass, as the span of this index, which has no past itself.
    Span(usize),
}

/// The rows of a pass: spans packed one after another.
pub(crate) struct Layout {
    /// The rows of each span.
    pub(crate) rows: Vec<Range<usize>>,
    /// What each span's queries see, where nothing is in a cache.
    pub(crate) reaches: Arc<[Reach]>,
    turns: Arc<Turns>,
    /// Of layers with a sliding window, where there are some.
    windowed_turns: Option<Arc<Turns>>,
}

impl Layout {
    pub(crate) fn new(config: &Config, spans: &[Span]) -> Self {
        let mut rows: Vec<Range<usize>> = Vec::with_capacity(spans.len());
        let mut reaches = Vec::with_capacity(spans.len());
        let mut positions = Vec::new();
        for span in spans {
            let start = positions.len();
            let own = start..start + span.rows;
            let prefix = match span.before {
                Before::Cache => 0..0,
                Before::Span(index) => rows[index].clone(),
            };
            reaches.push(Reach { queries: own.clone(), prefix, keys: own.clone() });
            rows.push(own);
            positions.extend(span.past..span.past + span.rows);
        }
        let turns = |rotary| Arc::new(Turns::new(rotary, config.head_dim, &positions));
        Self {
            rows,
            reaches: reaches.into(),
            turns: turns(&config.rotary),
            windowed_turns: config.sliding_window.as_ref().map(|window| turns(&window.rotary)),
        }
    }

    /// The turns of a layer with such an attention.
    pub(crate) fn turns(&self, shape: AttentionShape) -> Arc<Turns> {
        let windowed = self.windowed_turns.as_ref().filter(|_| shape.window.is_some());
        windowed.unwrap_or(&self.turns).clone()
    }
}

/// Whether a pass drops out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropping {
    Never,
    /// With the randomness of this seed; the same seed drops the same.
    Under(Seed),
}

impl Dropping {
    pub(crate) fn in_layer(self, layer: usize) -> Option<Dropout> {
        match self {
            Self::Never => None,
            Self::Under(seed) => Some(Dropout::new(seed.derive(&layer.to_string()))),
        }
    }
}

/// One pass.
pub(crate) struct Pass<'a> {
    pub(crate) layout: &'a Layout,
    /// One for each span; `None` where nothing is read on later.
    pub(crate) caches: Option<&'a mut [Cache]>,
    pub(crate) products: Products,
    pub(crate) dropping: Dropping,
}
