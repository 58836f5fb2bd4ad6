//! Two engines with the same weights.

use std::ops::ControlFlow;

use super::assert_close;
use crate::{
    Backend, Collect, Completion, Continuation, Conversation, GenerateRequest, Learner, Prompt, ScoreRequest,
    ScoredContinuation, TrainedTurns, common_beginning,
};

const CHATS: [(&str, &str); 5] = [
    ("What is the capital of France?", "The capital of France is Paris."),
    ("Name a colour.", "Blue."),
    ("Write one sentence about the sea.", "The sea is deep and cold, and it is never still."),
    ("What is 2 + 2?", "4"),
    ("Say \"naïve\" in capitals.", "NAÏVE"),
];

fn requests() -> Vec<ScoreRequest> {
    CHATS
        .iter()
        .map(|&(prompt, response)| ScoreRequest {
            prompt: Prompt::user(prompt),
            continuations: vec![Continuation::closed(response)],
        })
        .collect()
}

fn scores(engine: &mut dyn Backend) -> Vec<ScoredContinuation> {
    let mut scored = Vec::new();
    engine
        .score(&requests(), &mut |request, mut continuations| {
            scored.push((request, continuations.remove(0)));
            ControlFlow::Continue(())
        })
        .expect("valid requests are scored");
    scored.sort_by_key(|(request, _)| *request);
    scored.into_iter().map(|(_, scored)| scored).collect()
}

fn greedy(engine: &mut dyn Backend, prompts: &[&str]) -> Vec<Completion> {
    let requests: Vec<_> =
        prompts.iter().map(|&prompt| GenerateRequest::new(Prompt::user(prompt)).max_tokens(24)).collect();
    let mut collected = Collect::default();
    engine.generate(&requests, &mut collected).expect("valid requests are generated");
    collected.0.sort_by_key(|completion| completion.request);
    collected.0
}

/// Both engines, with the same weights, read the same tokens, write the same greedy tokens, and give log-probabilities
/// that differ by at most `tolerance`.
///
/// # Panics
/// Where they do not.
pub fn backends_agree(one: &mut dyn Backend, two: &mut dyn Backend, tolerance: f32) {
    for (one, two) in scores(one).iter().zip(&scores(two)) {
        assert_eq!(one.tokens, two.tokens, "other tokens for the same text");
        assert_close("scored by two engines", &one.log_probs, &two.log_probs, tolerance);
    }
    let prompts = CHATS.map(|(prompt, _)| prompt);
    greedy_agrees(one, two, &prompts, tolerance);
}

/// Both engines answer the prompts with the same greedy tokens. Where they part, each must have taken its most likely token,
/// with log-probabilities that differ by at most `tolerance`: two tokens were about as likely, and what comes after is not
/// compared. At least half of the answers must be the same to their ends.
///
/// # Panics
/// Where they do not.
pub fn greedy_agrees(one: &mut dyn Backend, two: &mut dyn Backend, prompts: &[&str], tolerance: f32) {
    let mut same = 0;
    for (one, two) in greedy(one, prompts).iter().zip(&greedy(two, prompts)) {
        let what = format!("greedy answers of two engines, {:?} and {:?}", one.text, two.text);
        if one.tokens == two.tokens {
            assert_eq!((&one.text, one.finish), (&two.text, two.finish));
            assert_close(&what, &one.log_probs, &two.log_probs, tolerance);
            same += 1;
            continue;
        }
        let common = common_beginning(&one.tokens, &two.tokens);
        // Where one ends, the token that ends it is not among its tokens.
        let compared = (common + 1).min(one.log_probs.len()).min(two.log_probs.len());
        assert!(compared >= common, "{what}: too few log-probabilities");
        assert_close(&what, &one.log_probs[..compared], &two.log_probs[..compared], tolerance);
    }
    assert!(2 * same >= prompts.len(), "only {same} of {} greedy answers are the same", prompts.len());
}

/// The learner encodes a chat into the tokens that the backend reads, and gives log-probabilities that differ from the
/// backend's by at most `tolerance`.
///
/// # Panics
/// Where they do not.
pub fn learner_agrees(learner: &mut dyn Learner, backend: &mut dyn Backend, tolerance: f32) {
    let batch: Vec<_> = CHATS
        .iter()
        .map(|&(prompt, response)| {
            let chat = Conversation::of_pair(prompt, response);
            learner.encode(&chat, TrainedTurns::Last).expect("a chat is encoded")
        })
        .collect();
    let log_probs = learner.log_probs(&batch).expect("log_probs");
    for (((sequence, log_probs), scored), &(prompt, _)) in
        batch.iter().zip(&log_probs).zip(&scores(backend)).zip(&CHATS)
    {
        let read = backend.tokenize(&Prompt::user(prompt)).expect("a chat is tokenised");
        assert_eq!(sequence.tokens[..sequence.prompt_length()], read, "other tokens for the same prompt");
        assert!(sequence.targets().eq(scored.tokens.iter().copied()), "other tokens for the same response");
        assert_close("learner and backend", log_probs, &scored.log_probs, tolerance);
    }
}
