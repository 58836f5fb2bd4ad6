//! What a pass through the layers needs beside the states: where each sequence is, what came before it, and dropout.

use std::{ops::Range, sync::Arc};

use lancer_backend::Seed;
use lancer_model::Config;

use super::{Cache, Place, Places, dropout::Dropout};
use crate::{
    fused::{AttentionShape, AttentionSpan, AttentionSpans, RotaryTable},
    settings::Products,
};

/// Tokens of one sequence in a pass that needs no cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Number of tokens.
    pub(crate) rows: usize,
    /// The segment of the same pass after which they come, if any; that one begins its sequence.
    pub(crate) after: Option<usize>,
}

/// The rows of a pass.
pub(crate) struct Layout {
    /// What each part's queries see: rows of the cache, or of the pass itself where there is none.
    pub(crate) spans: Arc<AttentionSpans>,
    /// Where the rows stand in the cache; none where there is none.
    pub(crate) places: Places,
    rotary_table: Arc<RotaryTable>,
    /// Of layers with a sliding window, where there are some.
    windowed_rotary_table: Option<Arc<RotaryTable>>,
}

impl Layout {
    /// `positions` are those of the rows in their sequences.
    pub(crate) fn new(
        config: &Config,
        positions: &[usize],
        spans: Vec<AttentionSpan>,
        places: Vec<Place>,
    ) -> Self {
        let rotary_table = |rotary| Arc::new(RotaryTable::new(rotary, config.head_dim, positions));
        Self {
            spans: Arc::new(spans.into()),
            places: places.into(),
            rotary_table: rotary_table(&config.rotary),
            windowed_rotary_table: config.sliding_window.as_ref().map(|window| rotary_table(&window.rotary)),
        }
    }

    /// Segments one after another, without a cache.
    pub(crate) fn packed(config: &Config, segments: &[Segment]) -> Self {
        let mut rows: Vec<Range<usize>> = Vec::with_capacity(segments.len());
        let mut spans = Vec::with_capacity(segments.len());
        let mut positions = Vec::new();
        for segment in segments {
            let start = positions.len();
            let own = start..start + segment.rows;
            let before = segment.after.map(|index| rows[index].clone());
            let past = before.as_ref().map_or(0, Range::len);
            let keys = before.into_iter().chain([own.clone()]).collect();
            spans.push(AttentionSpan { queries: own.clone(), keys });
            rows.push(own);
            positions.extend(past..past + segment.rows);
        }
        Self::new(config, &positions, spans, Vec::new())
    }

    /// The rotary table of a layer with such an attention.
    pub(crate) fn rotary_table(&self, shape: AttentionShape) -> Arc<RotaryTable> {
        let windowed = self.windowed_rotary_table.as_ref().filter(|_| shape.window.is_some());
        windowed.unwrap_or(&self.rotary_table).clone()
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
