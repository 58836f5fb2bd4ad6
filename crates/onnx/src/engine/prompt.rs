//! The sequence that was read last: the next prompt is read from where it differs.

use lancer_backend::{BackendError, TokenId, Usage, common_beginning};

use super::{
    cache::Cache,
    decoder::{Decoder, Logits},
    engine_error,
};

/// The sequence that was read last, and its cache.
pub(super) struct ReadPrompt {
    tokens: Vec<TokenId>,
    cache: Cache,
}

/// What a pass over a part of a sequence gives.
pub(super) struct Part<'a> {
    /// How many tokens it read.
    pub(super) read: usize,
    /// The tokens whose logits are wanted and were computed, as indices of the sequence.
    pub(super) kept: std::ops::Range<usize>,
    pub(super) logits: &'a Logits,
}

impl ReadPrompt {
    pub(super) fn new(decoder: &mut Decoder) -> ort::Result<Self> {
        Ok(Self { tokens: Vec::new(), cache: Cache::one(decoder.cache_memory())? })
    }

    /// Forgets the sequence: the next one is read from its beginning.
    pub(super) fn forget(&mut self) {
        self.tokens.clear();
    }

    /// Its cache, with one row.
    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Reads `tokens` in parts of at most `step` tokens, and hands each part to `each`. Logits are wanted after the last
    /// `keep` tokens, at least one. What the last sequence began with too is not computed again.
    pub(super) fn read(
        &mut self,
        decoder: &mut Decoder,
        tokens: &[TokenId],
        keep: usize,
        step: usize,
        usage: &mut Usage,
        each: &mut dyn FnMut(Part<'_>) -> Result<(), BackendError>,
    ) -> Result<(), BackendError> {
        let wanted = tokens.len() - keep;
        let common = common_beginning(&self.tokens, tokens).min(wanted);
        self.tokens.truncate(common);
        self.cache.truncate(decoder.cache_memory(), common).map_err(engine_error("cutting the KV cache"))?;
        usage.reused += common as u64;
        for part in tokens[common..].chunks(step) {
            let end = self.tokens.len() + part.len();
            let kept = wanted.clamp(self.tokens.len(), end)..end;
            // 0 would ask for all.
            let logits = decoder.read(part, &mut self.cache, kept.len().max(1))?;
            self.tokens.extend(part);
            usage.read += part.len() as u64;
            each(Part { read: part.len(), kept, logits: &logits })?;
        }
        Ok(())
    }
}
