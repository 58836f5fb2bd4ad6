//! What the tasks whose answers are generated have in common: how an answer is asked for.

use lancer_backend::{GenerateRequest, Prompt, Sampling, Seed};

/// How an answer is written, from the section of a task file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WrittenAnswer<'a> {
    pub(crate) max_tokens: usize,
    pub(crate) stop: &'a [String],
    pub(crate) sampling: Sampling,
}

impl WrittenAnswer<'_> {
    /// Checks the ranges; the error is the setting, one of the three names given, and the reason.
    pub(crate) fn validate(
        self,
        [max_tokens, stop, sampling]: [&'static str; 3],
    ) -> Result<(), (&'static str, String)> {
        if !(1..=65_536).contains(&self.max_tokens) {
            return Err((max_tokens, format!("{} is not within 1 to 65536", self.max_tokens)));
        }
        if self.stop.iter().any(String::is_empty) {
            return Err((stop, "a stop string is empty".into()));
        }
        let request = GenerateRequest::new(Prompt::text("a")).sampling(self.sampling);
        request.validate(0, usize::MAX).map_err(|_| {
            (sampling, "the temperature must be above 0, and top_p above 0 and at most 1".to_owned())
        })
    }

    pub(crate) fn request(self, prompt: Prompt, seed: Seed) -> GenerateRequest {
        let mut request = GenerateRequest::new(prompt).sampling(self.sampling).max_tokens(self.max_tokens);
        request.seeds = vec![seed];
        request.stop = self.stop.to_vec();
        request
    }
}

/// How an answer is sampled unless a task file says otherwise.
pub(crate) fn greedy() -> Sampling {
    Sampling::Greedy
}
