//! Reading tokens: the transformer, and the KV cache of the last prompt.

use burn::tensor::Tensor;
use lancer_backend::{TokenId, Usage};

use crate::{
    settings::Products,
    transformer::{Before, Cache, Dropping, Layout, Pass, Span, Transformer},
};

/// The transformer with the last prompt that it read. A prompt that begins alike is read from where it differs.
pub(crate) struct Reader {
    transformer: Transformer,
    prompt: Vec<TokenId>,
    cache: Cache,
    usage: Usage,
}

/// What a prompt leaves: its cache, and the normed state of its last token, `[1, hidden]`.
#[derive(Clone)]
pub(crate) struct ReadPrompt {
    pub(crate) cache: Cache,
    pub(crate) state: Tensor<2>,
}

impl Reader {
    pub(crate) fn new(transformer: Transformer) -> Self {
        Self { transformer, prompt: Vec::new(), cache: Cache::default(), usage: Usage::default() }
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

    /// Reads a prompt of at least one token.
    pub(crate) fn prompt(&mut self, prompt: &[TokenId]) -> ReadPrompt {
        let common = prompt.iter().zip(&self.prompt).take_while(|(one, two)| one == two).count();
        // The last token is read again where all are known: its state is not kept.
        let common = common.min(prompt.len() - 1);
        let mut caches = [self.cache.beginning(common)];
        let states = self.tokens(&[&prompt[common..]], &mut caches);
        let last = states.dims()[0] - 1;
        self.usage.reused += common as u64;
        let [cache] = caches;
        self.prompt = prompt.to_vec();
        self.cache = cache.clone();
        ReadPrompt { cache, state: states.narrow(0, last, 1) }
    }

    /// Reads more tokens, at least one, of each sequence into its cache: their normed states, `[tokens, hidden]`.
    pub(crate) fn tokens(&mut self, sequences: &[&[TokenId]], caches: &mut [Cache]) -> Tensor<2> {
        let spans: Vec<Span> = sequences
            .iter()
            .zip(&*caches)
            .map(|(tokens, cache)| Span { past: cache.length(), rows: tokens.len(), before: Before::Cache })
            .collect();
        let all = sequences.concat();
        self.usage.read += all.len() as u64;
        let embeddings = self.transformer.embed(&all);
        let layout = Layout::new(&self.transformer.config, &spans);
        let mut pass = Pass {
            layout: &layout,
            caches: Some(caches),
            products: Products::F32,
            dropping: Dropping::Never,
        };
        self.transformer.norm.forward(self.transformer.layers(embeddings, &mut pass))
    }
}
