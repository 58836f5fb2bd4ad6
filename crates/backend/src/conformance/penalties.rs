//! Penalties and biases change what is chosen, and no log-probability.

use std::collections::BTreeMap;

use crate::{Backend, Collect, Completion, GenerateRequest, Penalties, Prompt, Sampling, Seed, TokenId};

/// Tests that an engine obeys [`Penalties`].
///
/// # Panics
/// Where the engine does not obey them, or fails.
pub fn penalties_are_obeyed(engine: &mut dyn Backend) {
    let mut complete = |penalties: Penalties| -> Completion {
        let request = GenerateRequest::new(Prompt::user("Name a colour."))
            .max_tokens(12)
            .penalties(penalties)
            .sampling(Sampling::Greedy)
            .samples(Seed(1), 1);
        let mut collected = Collect::default();
        engine.generate(&[request], &mut collected).expect("the engine generates");
        collected.0.remove(0)
    };
    let plain = complete(Penalties::default());
    let first = plain.tokens[0];
    let bias = |token: TokenId, bias: f32| Penalties {
        bias: BTreeMap::from([(token, bias)]),
        ..Penalties::default()
    };
    let without = complete(bias(first, -100.0));
    assert!(!without.tokens.contains(&first), "a token with a bias of -100 was chosen: {:?}", without.tokens);
    let other = *without.tokens.first().expect("a sample of some tokens");
    let with = complete(bias(other, 100.0));
    assert_eq!(with.tokens, vec![other; 12], "a token with a bias of 100 was not chosen");
    assert!(
        (with.log_probs[0] - without.log_probs[0]).abs() < super::TOLERANCE,
        "a log-probability is the model's own, whatever the bias: {} and {}",
        with.log_probs[0],
        without.log_probs[0]
    );
    // Each time that it is written takes 2 from a token's lead, until the other one is chosen.
    let mut frequent = bias(other, 100.0);
    frequent.bias.insert(first, 100.0);
    frequent.frequency = 2.0;
    let turns = complete(frequent);
    assert!(
        turns.tokens.contains(&first) && turns.tokens.contains(&other),
        "a frequency penalty changed nothing: {:?}",
        turns.tokens
    );
}
