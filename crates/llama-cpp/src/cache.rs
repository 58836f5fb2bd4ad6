//! The KV cache: a trunk that holds the latest prompt, and branches that share its cells.

use lancer_backend::{BackendError, TokenId, Usage, common_beginning};
use llama_cpp_2::{context::LlamaContext, llama_batch::LlamaBatch, token::LlamaToken};

use crate::error::engine_error;

/// The trunk's sequence; branches follow it.
const TRUNK: i32 = 0;

/// What stays between calls.
pub(crate) struct Cached {
    /// The tokens whose cells the trunk has.
    trunk: Vec<TokenId>,
    branches: usize,
    step_tokens: usize,
    cells: usize,
}

impl Cached {
    pub(crate) fn new(branches: usize, step_tokens: usize, cells: usize) -> Self {
        Self { trunk: Vec::new(), branches, step_tokens, cells }
    }

    /// Cells of all sequences together.
    pub(crate) fn cells(&self) -> usize {
        self.cells
    }

    /// Empties the cache. Cells are then given out in the same order again, on which the order of sums depends.
    pub(crate) fn clear(&mut self, context: &mut LlamaContext<'_>) {
        context.clear_kv_cache();
        self.trunk.clear();
    }
}

/// A branch's sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Branch(i32);

/// The cache during a call. Tokens are added to a step, then the step is made, then its outputs are read.
pub(crate) struct Cache<'call, 'model> {
    context: &'call mut LlamaContext<'model>,
    cached: &'call mut Cached,
    batch: LlamaBatch<'static>,
    free: Vec<Branch>,
    usage: Usage,
}

/// Where an output of a step is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row(i32);

impl<'call, 'model> Cache<'call, 'model> {
    pub(crate) fn new(context: &'call mut LlamaContext<'model>, cached: &'call mut Cached) -> Self {
        let batch = LlamaBatch::new(cached.step_tokens, 1);
        let free = (1..=cached.branches as i32).rev().map(Branch).collect();
        Self { context, cached, batch, free, usage: Usage::default() }
    }

    /// Ends a call. The trunk stays for the next one, unless this one failed half way.
    pub(crate) fn finish(self, succeeded: bool) -> Usage {
        if !succeeded {
            self.cached.clear(self.context);
        }
        self.usage
    }

    /// Cells of all sequences together.
    pub(crate) fn cells(&self) -> usize {
        self.cached.cells
    }

    /// Cuts the trunk to what it has in common with the beginning of `prompt`, of which at least one token is left to
    /// compute; the number of tokens kept.
    pub(crate) fn keep_common(&mut self, prompt: &[TokenId]) -> Result<usize, BackendError> {
        let common = common_beginning(&self.cached.trunk, prompt).min(prompt.len().saturating_sub(1));
        if common < self.cached.trunk.len() {
            self.remove(TRUNK, common)?;
            self.cached.trunk.truncate(common);
        }
        self.usage.reused += common as u64;
        Ok(common)
    }

    /// Adds the next prompt tokens to the trunk, as many as the step has room for; how many that were. `last` asks for an
    /// output after the last of `tokens`; it is given if it was reached.
    pub(crate) fn grow_trunk(&mut self, tokens: &[TokenId]) -> Result<(usize, Option<Row>), BackendError> {
        let count = tokens.len().min(self.room());
        let mut row = None;
        for (place, &token) in tokens[..count].iter().enumerate() {
            let is_last = place + 1 == tokens.len();
            let added = self.add(TRUNK, self.cached.trunk.len(), token, is_last)?;
            row = is_last.then_some(added);
            self.cached.trunk.push(token);
        }
        self.usage.read += count as u64;
        Ok((count, row))
    }

    /// A branch at the trunk's end; `None` where all are in use.
    pub(crate) fn branch(&mut self) -> Result<Option<Branch>, BackendError> {
        let Some(branch) = self.free.pop() else { return Ok(None) };
        self.context
            .copy_kv_cache_seq(TRUNK, branch.0, None, None)
            .map_err(|error| engine_error("sharing the prompt's KV cache", error))?;
        Ok(Some(branch))
    }

    /// Gives a branch back.
    pub(crate) fn drop_branch(&mut self, branch: Branch) -> Result<(), BackendError> {
        self.remove(branch.0, 0)?;
        self.free.push(branch);
        Ok(())
    }

    /// Tokens that the step can still take.
    pub(crate) fn room(&self) -> usize {
        self.cached.step_tokens - self.batch.n_tokens() as usize
    }

    /// Adds a token to a branch and asks for the output after it. The step must have room.
    pub(crate) fn grow_branch(
        &mut self,
        branch: Branch,
        place: usize,
        token: TokenId,
    ) -> Result<Row, BackendError> {
        self.add(branch.0, place, token, true)
    }

    /// Makes the step; the number of tokens in it. An empty step is none.
    pub(crate) fn step(&mut self) -> Result<usize, BackendError> {
        let tokens = self.batch.n_tokens() as usize;
        if tokens > 0 {
            let made = self.context.decode(&mut self.batch);
            self.batch.clear();
            made.map_err(|error| engine_error(format!("computing {tokens} tokens"), error))?;
        }
        Ok(tokens)
    }

    /// The logits of an output of the last step.
    pub(crate) fn logits(&self, row: Row) -> &[f32] {
        self.context.get_logits_ith(row.0)
    }

    pub(crate) fn count(&mut self, add: impl FnOnce(&mut Usage)) {
        add(&mut self.usage);
    }

    fn add(
        &mut self,
        sequence: i32,
        place: usize,
        token: TokenId,
        output: bool,
    ) -> Result<Row, BackendError> {
        let row = Row(self.batch.n_tokens());
        self.batch
            .add(LlamaToken(token.0 as i32), place as i32, &[sequence], output)
            .map_err(|error| engine_error("adding a token to a step", error))?;
        Ok(row)
    }

    fn remove(&mut self, sequence: i32, from: usize) -> Result<(), BackendError> {
        let from = (from > 0).then_some(from as u32);
        match self.context.clear_kv_cache_seq(Some(sequence as u32), from, None) {
            Ok(true) => Ok(()),
            Ok(false) => {
                Err(engine_error("cutting the KV cache", "this model's cache cannot be cut".to_owned()))
            }
            Err(error) => Err(engine_error("cutting the KV cache", error)),
        }
    }
}
