//! Reading tokens of many sequences in one pass: the transformer, its KV cache, and the prompt that was read last.

use std::ops::Range;

use burn::tensor::Tensor;
use lancer_backend::{TokenId, Usage, common_beginning};
use lancer_kernels::threads::with_threads_awake;

use crate::{
    Weights,
    fused::AttentionSpan,
    settings::Products,
    transformer::{Cache, Dropping, Layout, Pass, Place, Sequence, Transformer},
};

/// The transformer and its cache, with the last prompt. A prompt that begins alike goes on where it differs.
pub(crate) struct Reader {
    transformer: Transformer,
    cache: Cache,
    prompt: Vec<TokenId>,
    sequence: Sequence,
    usage: Usage,
}

/// Tokens that are read in one pass. Those of one sequence may come after others of it in the same pass, or of another that
/// begins alike: a layer's keys and values are all written before it attends.
#[derive(Default)]
pub(crate) struct Plan {
    tokens: Vec<TokenId>,
    /// The place of each token in its sequence.
    positions: Vec<usize>,
    spans: Vec<AttentionSpan>,
    places: Vec<Place>,
    /// Keeps the cache's pages until they are read.
    held: Vec<Sequence>,
}

impl Plan {
    /// Number of tokens.
    pub(crate) fn rows(&self) -> usize {
        self.tokens.len()
    }
}

impl Reader {
    pub(crate) fn new(transformer: Transformer, weights: Weights) -> Self {
        let cache = Cache::new(&transformer.config, weights);
        Self {
            transformer,
            cache,
            prompt: Vec::new(),
            sequence: Sequence::default(),
            usage: Usage::default(),
        }
    }

    pub(crate) fn transformer(&self) -> &Transformer {
        &self.transformer
    }

    /// What was computed since this was last asked.
    pub(crate) fn take_usage(&mut self) -> Usage {
        std::mem::take(&mut self.usage)
    }

    pub(crate) fn count(&mut self, count: impl FnOnce(&mut Usage)) {
        count(&mut self.usage);
    }

    /// How many tokens of a prompt, of at least one, are known from the last prompt. At least one is left to read.
    pub(crate) fn known_tokens(&self, prompt: &[TokenId]) -> usize {
        // The last token is read again where all are known: its state is not kept.
        common_beginning(&self.prompt, prompt).min(prompt.len() - 1)
    }

    /// The beginning of a prompt that is known from the last prompt.
    pub(crate) fn known_beginning(&mut self, prompt: &[TokenId]) -> Sequence {
        let common = self.known_tokens(prompt);
        self.usage.reused += common as u64;
        self.sequence.beginning(common)
    }

    /// Makes this the last prompt: `sequence` holds all of it.
    pub(crate) fn keep_prompt(&mut self, prompt: &[TokenId], sequence: Sequence) {
        self.prompt = prompt.to_vec();
        self.sequence = sequence;
    }

    /// Frees what the last prompt takes.
    pub(crate) fn forget_prompt(&mut self) {
        self.keep_prompt(&[], Sequence::default());
    }

    /// Plans to read more tokens, at least one, of a sequence. Gives their rows.
    pub(crate) fn plan(
        &mut self,
        plan: &mut Plan,
        sequence: &mut Sequence,
        tokens: &[TokenId],
    ) -> Range<usize> {
        let rows = plan.rows()..plan.rows() + tokens.len();
        plan.positions.extend(sequence.length()..sequence.length() + tokens.len());
        plan.places.extend(self.cache.extend(sequence, rows.clone()));
        plan.spans.push(AttentionSpan { queries: rows.clone(), keys: sequence.rows() });
        plan.tokens.extend(tokens);
        plan.held.push(sequence.clone());
        rows
    }

    /// Reads what was planned, at least one token: the normed states, `[rows, hidden]`.
    pub(crate) fn read(&mut self, plan: Plan) -> Tensor<2> {
        let (transformer, cache) = (&self.transformer, &mut self.cache);
        let read = move || {
            let embeddings = transformer.embed(&plan.tokens);
            let layout = Layout::new(&transformer.config, &plan.positions, plan.spans, plan.places);
            let mut pass = Pass {
                layout: &layout,
                cache: Some(cache),
                products: Products::F32,
                dropping: Dropping::Never,
            };
            transformer.norm.forward(transformer.layers(embeddings, &mut pass))
        };
        if transformer.is_here() {
            // An operation of few rows takes less time than a thread needs to wake up.
            with_threads_awake(read)
        } else {
            // GPUs have threads of their own, and take their work from one of ours.
            read()
        }
    }
}
