//! What a pass through the layers needs beside the states: where each sequence is, what came before it, and dropout.

use std::{ops::Range, sync::Arc};

use lancer_backend::Seed;
use lancer_model::Config;

use super::{Cache, Place, Places, dropout::Dropout};
use crate::{
    fused::{AttentionShape, Reach, Reaches, Turns},
    settings::Products,
};

/// Tokens of one sequence in a pass that needs no cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Number of tokens.
    pub(crate) rows: usize,
    /// The span of the same pass after which they come, if any; that one begins its sequence.
    pub(crate) after: Option<usize>,
}

/// The rows of a pass.
pub(crate) struct Layout {
    /// What each part's queries see: rows of the cache, or of the pass itself where there is none.
    pub(crate) reaches: Arc<Reaches>,
    /// Where the rows stand in the cache; none where there is none.
    pub(crate) places: Places,
    turns: Arc<Turns>,
    /// Of layers with a sliding window, where there are some.
    windowed_turns: Option<Arc<Turns>>,
}

impl Layout {
    /// `positions` are those of the rows in their sequences.
    pub(crate) fn new(config: &Config, positions: &[usize], reaches: Vec<Reach>, places: Vec<Place>) -> Self {
        let turns = |rotary| Arc::new(Turns::new(rotary, config.head_dim, positions));
        Self {
            reaches: Arc::new(reaches.into()),
            places: places.into(),
            turns: turns(&config.rotary),
            windowed_turns: config.sliding_window.as_ref().map(|window| turns(&window.rotary)),
        }
    }

    /// Spans one after another, without a cache.
    pub(crate) fn packed(config: &Config, spans: &[Span]) -> Self {
        let mut rows: Vec<Range<usize>> = Vec::with_capacity(spans.len());
        let mut reaches = Vec::with_capacity(spans.len());
        let mut positions = Vec::new();
        for span in spans {
            let start = positions.len();
            let own = start..start + span.rows;
            let before = span.after.map(|index| rows[index].clone());
            let past = before.as_ref().map_or(0, Range::len);
            let keys = before.into_iter().chain([own.clone()]).collect();
            reaches.push(Reach { queries: own.clone(), keys });
            rows.push(own);
            positions.extend(past..past + span.rows);
        }
        Self::new(config, &positions, reaches, Vec::new())
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
    /// `None` where nothing is read on later.
    pub(crate) cache: Option<&'a mut Cache>,
    pub(crate) products: Products,
    pub(crate) dropping: Dropping,
}
