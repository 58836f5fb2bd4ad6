//! The samples that are being written: rows of one cache, a token each in a step.

use lancer_backend::{BackendError, TokenId};

use super::{
    cache::{Cache, Memory},
    decoder::{Decoder, Logits},
    engine_error,
    interface::Padding,
};

/// The samples that are being written.
pub(super) struct Batch {
    cache: Cache,
    padding: Padding,
}

/// A sample's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row(usize);

impl Batch {
    pub(super) fn new(decoder: &mut Decoder) -> Result<Self, BackendError> {
        let cache = Cache::empty(decoder.cache_memory()).map_err(engine_error("making a KV cache"))?;
        Ok(Self { cache, padding: decoder.interface().padding })
    }

    /// Adds `count` rows that go on from the prompt's end. No row will become longer than `longest` tokens.
    pub(super) fn add(
        &mut self,
        decoder: &mut Decoder,
        prompt: &Cache,
        count: usize,
        longest: usize,
    ) -> Result<Vec<Row>, BackendError> {
        self.place(decoder.cache_memory(), prompt, count, longest)
            .map_err(engine_error("sharing the prompt's KV cache"))
    }

    fn place(
        &mut self,
        memory: &mut Memory,
        prompt: &Cache,
        count: usize,
        longest: usize,
    ) -> ort::Result<Vec<Row>> {
        // A cache that is written into has room to the end at once: copying it to a longer one would cost more than the
        // room, which takes no memory before it is written.
        let columns = match self.padding {
            Padding::Right => longest,
            Padding::Left => prompt.longest(),
        };
        let lengths = self.cache.lengths();
        if lengths.iter().all(Option::is_none) {
            self.cache = Cache::empty(memory)?;
            self.cache = prompt.with_rows(memory, &vec![0; count], 0, columns)?;
            return Ok((0..count).map(Row).collect());
        }
        let held = lengths.len();
        let missing = count.saturating_sub(lengths.iter().filter(|length| length.is_none()).count());
        let capacity = self.cache.capacity().max(columns);
        if missing > 0 || capacity > self.cache.capacity() {
            let rows: Vec<usize> = (0..held).collect();
            self.cache = self.cache.with_rows(memory, &rows, missing, capacity)?;
        }
        let lengths = self.cache.lengths().iter().enumerate();
        let free = lengths.filter(|(_, length)| length.is_none()).map(|(row, _)| row);
        let rows: Vec<usize> = free.take(count).collect();
        self.cache.put(memory, &rows, prompt)?;
        Ok(rows.into_iter().map(Row).collect())
    }

    /// Frees a row whose sample has ended.
    pub(super) fn free(&mut self, row: Row) {
        self.cache.release(row.0);
    }

    /// Moves the rows of `live`, which are all that hold a sample, together where many others are computed along.
    pub(super) fn compact(
        &mut self,
        decoder: &mut Decoder,
        live: &mut [&mut Row],
    ) -> Result<(), BackendError> {
        let (rows, longest) = (self.cache.lengths().len(), self.cache.longest());
        // A cache that is appended to keeps the columns of its longest sequence when that has ended.
        let hollow = self.padding == Padding::Left && longest * 4 < self.cache.capacity() * 3;
        if rows > 2 * live.len() || hollow {
            let kept: Vec<usize> = live.iter().map(|row| row.0).collect();
            let capacity = match self.padding {
                Padding::Right => self.cache.capacity(),
                Padding::Left => longest,
            };
            self.cache = self
                .cache
                .with_rows(decoder.cache_memory(), &kept, 0, capacity)
                .map_err(engine_error("moving the KV cache together"))?;
            for (place, row) in live.iter_mut().enumerate() {
                row.0 = place;
            }
        }
        Ok(())
    }

    /// Reads the next token of each row given.
    pub(super) fn step(
        &mut self,
        decoder: &mut Decoder,
        tokens: &[(Row, TokenId)],
    ) -> Result<StepLogits, BackendError> {
        let mut all = vec![TokenId(0); self.cache.lengths().len()];
        for (row, token) in tokens {
            all[row.0] = *token;
        }
        Ok(StepLogits(decoder.read(&all, &mut self.cache, 1)?))
    }
}

/// What a step gives.
pub(super) struct StepLogits(Logits);

impl StepLogits {
    /// What follows a row's token, `[vocabulary]`.
    pub(super) fn of(&self, row: Row) -> Result<std::borrow::Cow<'_, [f32]>, BackendError> {
        self.0.of(row.0, 0)
    }
}
