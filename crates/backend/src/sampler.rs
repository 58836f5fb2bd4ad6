//! Choosing the next token from logits: one implementation for every engine.

use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::{Sampling, Seed, TokenId};

/// Chooses the tokens of one sample.
///
/// Its randomness comes from the sample's seed alone and one draw is made for each token, so the same logits give the
/// same tokens whatever else the engine computes beside them.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    random: ChaCha8Rng,
}

/// A chosen token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The token.
    pub token: TokenId,
    /// Its natural log-probability under the model, before temperature, nucleus and constraint.
    pub log_prob: f32,
}

impl Sampler {
    /// A sampler at the start of a sample.
    pub fn new(sampling: Sampling, seed: Seed) -> Self {
        Self { sampling, random: ChaCha8Rng::seed_from_u64(seed.0) }
    }

    /// Chooses among all tokens. `logits` is `[vocabulary]`, not empty.
    pub fn choose(&mut self, logits: &[f32]) -> Choice {
        let token = match self.sampling {
            Sampling::Greedy => arg_max(logits),
            Sampling::Nucleus { temperature, top_p } => self.nucleus(logits, temperature, top_p),
        };
        Choice { token: TokenId(token as u32), log_prob: logits[token] - log_sum_exp(logits) }
    }

    /// Chooses among the tokens of `allowed` only, which is not empty and within `logits`.
    pub fn choose_among(&mut self, logits: &[f32], allowed: &[TokenId]) -> Choice {
        let kept: Vec<f32> = allowed.iter().map(|token| logits[token.0 as usize]).collect();
        let place = self.choose(&kept).token;
        let token = allowed[place.0 as usize];
        Choice { token, log_prob: logits[token.0 as usize] - log_sum_exp(logits) }
    }

    fn nucleus(&mut self, logits: &[f32], temperature: f32, top_p: f32) -> usize {
        let max = logits[arg_max(logits)];
        let probability = |logit: f32| f64::from(((logit - max) / temperature).exp());
        let total: f64 = logits.iter().map(|&logit| probability(logit)).sum();
        let draw: f64 = self.random.random();

        // A candidate far below the top cannot reach the nucleus, and only candidates are sorted: all tokens outside
        // of it together hold less than a hundredth of what the nucleus leaves out.
        let floor = (1.0 - f64::from(top_p)).max(1e-9) * total * 0.01 / logits.len() as f64;
        let mut candidates: Vec<(usize, f64)> = logits
            .iter()
            .enumerate()
            .map(|(token, &logit)| (token, probability(logit)))
            .filter(|&(_, weight)| weight >= floor)
            .collect();
        candidates.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));

        let mut nucleus = 0.0;
        let mut kept = 0;
        for &(_, weight) in &candidates {
            nucleus += weight;
            kept += 1;
            if nucleus >= f64::from(top_p) * total {
                break;
            }
        }
        let mut left = draw * nucleus;
        for &(token, weight) in &candidates[..kept] {
            left -= weight;
            if left < 0.0 {
                return token;
            }
        }
        candidates[kept - 1].0
    }
}

/// The index of the largest logit, the first among equals.
pub(crate) fn arg_max(logits: &[f32]) -> usize {
    let mut best = 0;
    for (token, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = token;
        }
    }
    best
}

/// `ln Σ exp(logit)`, without overflow.
pub(crate) fn log_sum_exp(logits: &[f32]) -> f32 {
    let max = logits[arg_max(logits)];
    // Summed in f64: over 100,000 tokens f32 loses the digits that agreement with other engines is measured in.
    let sum: f64 = logits.iter().map(|&logit| f64::from((logit - max).exp())).sum();
    max + sum.ln() as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nucleus(temperature: f32, top_p: f32, seed: u64) -> Sampler {
        Sampler::new(Sampling::Nucleus { temperature, top_p }, Seed(seed))
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
