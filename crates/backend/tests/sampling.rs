//! The sampler against transformers' logits processors (`fixtures/make_sampling.py`).

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::num::NonZeroU32;

use lancer_backend::{Penalties, RandomSampling, Sampler, Sampling, Seed, TokenId};
use serde::Deserialize;

const DRAWS: u32 = 20_000;

#[derive(Deserialize)]
struct Case {
    temperature: f32,
    top_k: u32,
    top_p: f32,
    min_p: f32,
    repetition: f32,
    prompt: Vec<u32>,
    logits: Vec<f32>,
    probabilities: Vec<f64>,
}

#[test]
fn tokens_are_drawn_with_the_probabilities_that_transformers_leaves() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/sampling.json");
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(cases.len() > 10);
    for (number, case) in cases.iter().enumerate() {
        let sampling = Sampling::Random(RandomSampling {
            temperature: case.temperature,
            top_k: NonZeroU32::new(case.top_k),
            top_p: case.top_p,
            min_p: case.min_p,
        });
        let penalties = Penalties { repetition: case.repetition, ..Penalties::default() };
        let prompt: Vec<TokenId> = case.prompt.iter().copied().map(TokenId).collect();
        let mut sampler = Sampler::new(sampling, Seed(number as u64)).with_penalties(&penalties, &prompt);
        let mut counts = vec![0_u32; case.logits.len()];
        for _ in 0..DRAWS {
            counts[sampler.choose(&case.logits).token.0 as usize] += 1;
        }
        for (token, (&count, &p)) in counts.iter().zip(&case.probabilities).enumerate() {
            // Six standard deviations of a binomial count, and no token that is cut off.
            let deviation = (f64::from(DRAWS) * p * (1.0 - p)).sqrt();
            assert!(
                (f64::from(count) - f64::from(DRAWS) * p).abs() <= 6.0 * deviation,
                "case {number}, token {token}: drawn {count} times of {DRAWS}, its probability is {p}"
            );
        }
    }
}
