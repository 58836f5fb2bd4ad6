//! Choosing the next token from logits: one implementation for every engine.

use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::{
    Allowed, Penalties, RandomSampling, Sampling, Seed, TokenId,
    penalties::Penalised,
    softmax::{self, Summary},
};

/// Chooses the tokens of one sample.
///
/// Its randomness comes from the sample's seed alone and one draw is made for each token, so the same logits give the
/// same tokens whatever else the engine computes beside them.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    random: ChaCha8Rng,
    penalised: Option<Penalised>,
}

/// A chosen token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The token.
    pub token: TokenId,
    /// Its natural log-probability under the model, before penalties, temperature, cuts and constraint.
    pub log_prob: f32,
}

/// What a model says of a given token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredToken {
    /// Its natural log-probability.
    pub log_prob: f32,
    /// Whether greedy decoding would have chosen it.
    pub is_greedy: bool,
}

/// Scores a given token. `logits` is `[vocabulary]` and holds `token`.
pub fn score_token(logits: &[f32], token: TokenId) -> ScoredToken {
    let place = token.0 as usize;
    let summary = softmax::summary(logits);
    ScoredToken { log_prob: logits[place] - summary.log_sum_exp, is_greedy: place == summary.place }
}

impl Sampler {
    /// A sampler at the start of a sample.
    pub fn new(sampling: Sampling, seed: Seed) -> Self {
        Self { sampling, random: ChaCha8Rng::seed_from_u64(seed.0), penalised: None }
    }

    /// The same with logits changed by `penalties`, over a text that begins after `prompt`.
    #[must_use]
    pub fn with_penalties(mut self, penalties: &Penalties, prompt: &[TokenId]) -> Self {
        self.penalised = Penalised::new(penalties, prompt);
        self
    }

    /// A chosen token was added to the text; penalties count it.
    pub fn wrote(&mut self, token: TokenId) {
        if let Some(penalised) = &mut self.penalised {
            penalised.wrote(token);
        }
    }

    /// Chooses among all tokens. `logits` is `[vocabulary]`, not empty.
    pub fn choose(&mut self, logits: &[f32]) -> Choice {
        let summary = softmax::summary(logits);
        let token = match &self.penalised {
            None => self.place(logits, summary),
            Some(penalised) => {
                let changed = penalised.apply(logits);
                self.place(&changed, softmax::summary(&changed))
            }
        };
        Choice { token: TokenId(token as u32), log_prob: logits[token] - summary.log_sum_exp }
    }

    /// Chooses among the tokens of `allowed` only, which is not empty and within `logits`.
    pub fn choose_among(&mut self, logits: &[f32], allowed: &[TokenId]) -> Choice {
        let kept =
            |logits: &[f32]| -> Vec<f32> { allowed.iter().map(|token| logits[token.0 as usize]).collect() };
        let kept = self.penalised.as_ref().map_or_else(|| kept(logits), |one| kept(&one.apply(logits)));
        let token = allowed[self.place(&kept, softmax::summary(&kept))];
        Choice { token, log_prob: logits[token.0 as usize] - softmax::log_sum_exp(logits) }
    }

    /// Chooses what a constraint allows; anything where there is none, or where it is fulfilled. `end_of_turn` is chosen
    /// where the text may end.
    pub fn choose_allowed(
        &mut self,
        logits: &[f32],
        allowed: Option<Allowed>,
        end_of_turn: TokenId,
    ) -> Choice {
        match allowed {
            None | Some(Allowed::Complete) => self.choose(logits),
            Some(Allowed::Tokens(tokens)) => self.choose_among(logits, &tokens),
            Some(Allowed::EndOrTokens(mut tokens)) => {
                tokens.push(end_of_turn);
                self.choose_among(logits, &tokens)
            }
        }
    }

    /// The place of the token chosen among logits of this summary.
    fn place(&mut self, logits: &[f32], Summary { max, place, .. }: Summary) -> usize {
        match self.sampling {
            Sampling::Greedy => place,
            Sampling::Random(sampling) => {
                let draw: f64 = self.random.random();
                drawn(logits, max, sampling, draw)
            }
        }
    }
}

/// A token that may be drawn, and its probability in proportion to the most probable one's.
type Candidate = (usize, f64);

/// The place that `draw`, from 0 to below 1, falls on among the tokens that `sampling` keeps.
fn drawn(logits: &[f32], max: f32, sampling: RandomSampling, draw: f64) -> usize {
    let candidates = candidates(logits, max, sampling);
    let mut left = draw * candidates.iter().map(|&(_, weight)| weight).sum::<f64>();
    for &(token, weight) in &candidates {
        left -= weight;
        if left < 0.0 {
            return token;
        }
    }
    // Rounding can leave a last crumb; the largest logit is always a candidate, unless every logit is no number.
    candidates.last().map_or(0, |&(token, _)| token)
}

/// The tokens that `sampling` keeps, in the order of the vocabulary: where two tokens are almost equal, rounding must not swap
/// them.
fn candidates(logits: &[f32], max: f32, sampling: RandomSampling) -> Vec<Candidate> {
    let RandomSampling { temperature, top_p, min_p, .. } = sampling;
    let (scale, top_p) = (1.0 / temperature, f64::from(top_p));
    let weight = |logit: f32| f64::from(softmax::exp((logit - max) * scale));
    let most_probable_first = |a: &Candidate, b: &Candidate| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    let top_k = sampling.top_k.map(|top_k| top_k.get() as usize).filter(|&top_k| top_k < logits.len());
    let (mut candidates, total): (Vec<Candidate>, f64) = if let Some(top_k) = top_k {
        let mut all: Vec<Candidate> = logits.iter().map(|&logit| weight(logit)).enumerate().collect();
        all.select_nth_unstable_by(top_k - 1, most_probable_first);
        all.truncate(top_k);
        let total = all.iter().map(|&(_, weight)| weight).sum();
        (all, total)
    } else {
        let total = softmax::exp_sum(logits, max, scale);
        // All tokens below this weight together hold less than half of what the nucleus leaves out, so none of them is in
        // it: only the others are sorted. Where nothing is left out, tokens that a draw of 53 bits cannot reach go.
        let least = (1.0 - top_p).max(f64::EPSILON) * total * 0.5 / logits.len() as f64;
        let lowest = max + temperature * (least.ln() as f32) - 1e-3 * temperature;
        let likely = logits.iter().enumerate().filter(|&(_, &logit)| logit >= lowest);
        (likely.map(|(token, &logit)| (token, weight(logit))).collect(), total)
    };
    if top_p < 1.0 {
        candidates.sort_unstable_by(most_probable_first);
        let mut held = 0.0;
        let size = candidates
            .iter()
            .position(|&(_, weight)| {
                held += weight;
                held >= top_p * total
            })
            .map_or(candidates.len(), |last| last + 1);
        candidates.truncate(size);
    }
    if min_p > 0.0 {
        candidates.retain(|&(_, weight)| weight >= f64::from(min_p));
    }
    candidates.sort_unstable_by_key(|&(token, _)| token);
    candidates
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::softmax::log_sum_exp;

    fn nucleus(temperature: f32, top_p: f32, seed: u64) -> Sampler {
        Sampler::new(Sampling::nucleus(temperature, top_p), Seed(seed))
    }

    #[test]
    fn greedy_takes_the_first_of_the_largest() {
        let choice = Sampler::new(Sampling::Greedy, Seed(1)).choose(&[0.0, 2.0, 2.0]);
        assert_eq!(choice.token, TokenId(1));
        let expected = (2.0_f64.exp() / (1.0 + 2.0 * 2.0_f64.exp())).ln();
        assert!((f64::from(choice.log_prob) - expected).abs() < 1e-6);
    }

    #[test]
    fn frequencies_follow_the_probabilities() {
        let logits: Vec<f32> = [0.5_f32, 0.3, 0.15, 0.05].iter().map(|p| p.ln()).collect();
        let mut sampler = nucleus(1.0, 1.0, 3);
        let mut counts = [0_u32; 4];
        for _ in 0..20_000 {
            counts[sampler.choose(&logits).token.0 as usize] += 1;
        }
        // Five standard deviations of a binomial count around its mean.
        for (count, p) in counts.iter().zip([0.5, 0.3, 0.15, 0.05]) {
            let deviation = (20_000.0_f64 * p * (1.0 - p)).sqrt();
            assert!((f64::from(*count) - 20_000.0 * p).abs() < 5.0 * deviation, "{counts:?}");
        }
    }

    #[test]
    fn the_nucleus_is_the_smallest_set_that_holds_top_p() {
        let logits: Vec<f32> = [0.5_f32, 0.3, 0.15, 0.05].iter().map(|p| p.ln()).collect();
        let mut sampler = nucleus(1.0, 0.79, 5);
        let mut seen = [false; 4];
        for _ in 0..2_000 {
            seen[sampler.choose(&logits).token.0 as usize] = true;
        }
        assert_eq!(seen, [true, true, false, false]);
    }

    proptest! {
        #[test]
        fn log_probabilities_sum_to_one(logits in prop::collection::vec(-30.0_f32..30.0, 1..200)) {
            let normaliser = log_sum_exp(&logits);
            let total: f64 = logits.iter().map(|&l| f64::from(l - normaliser).exp()).sum();
            prop_assert!((total - 1.0).abs() < 1e-4, "{total}");
        }

        #[test]
        fn a_sample_repeats_under_its_seed(
            logits in prop::collection::vec(-5.0_f32..5.0, 2..100), seed: u64, top_p in 0.05_f32..=1.0,
        ) {
            let (mut one, mut two) = (nucleus(0.7, top_p, seed), nucleus(0.7, top_p, seed));
            for _ in 0..20 {
                prop_assert_eq!(one.choose(&logits), two.choose(&logits));
            }
        }

        #[test]
        fn only_allowed_tokens_are_chosen(
            logits in prop::collection::vec(-5.0_f32..5.0, 10..50), seed: u64,
        ) {
            let allowed = [TokenId(2), TokenId(7)];
            let choice = nucleus(1.0, 0.9, seed).choose_among(&logits, &allowed);
            prop_assert!(allowed.contains(&choice.token));
            prop_assert!((choice.log_prob - (logits[choice.token.0 as usize] - log_sum_exp(&logits))).abs() < 1e-5);
        }
    }
}
