//! What another program says of the same model, kept in a file.

use std::{fs, ops::ControlFlow, path::Path};

use serde::Deserialize;

use crate::{Backend, Collect, Continuation, GenerateRequest, Prompt, ScoreRequest, TokenId};

/// What another program says of one chat, as `fixtures/make_tiny_models.py` writes it of transformers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Reference {
    prompt: String,
    response: String,
    prompt_tokens: Vec<TokenId>,
    /// The response's, the end of the turn last.
    response_tokens: Vec<TokenId>,
    /// Of the response's tokens.
    log_probs: Vec<f32>,
    /// What the other program writes greedily: at most 24, without the end of the turn.
    pub greedy_tokens: Vec<TokenId>,
    greedy_text: String,
}

impl Reference {
    /// The chats of a file, an array in JSON.
    ///
    /// # Panics
    /// Where the file cannot be read.
    pub fn read(path: &Path) -> Vec<Self> {
        let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

/// The largest difference between the engine's log-probabilities and those of `references`.
///
/// # Panics
/// Where the engine reads a response as other tokens.
pub fn difference_of_scores(engine: &mut dyn Backend, references: &[Reference]) -> f32 {
    let requests: Vec<_> = references
        .iter()
        .map(|reference| ScoreRequest {
            prompt: Prompt::user(&reference.prompt),
            continuations: vec![Continuation::closed(&reference.response)],
        })
        .collect();
    let (mut given, mut largest) = (0, 0.0_f32);
    engine
        .score(&requests, &mut |request, scored| {
            given += 1;
            let reference = &references[request];
            assert_eq!(scored[0].tokens, reference.response_tokens, "{}", reference.response);
            for (found, expected) in scored[0].log_probs.iter().zip(&reference.log_probs) {
                largest = largest.max((found - expected).abs());
            }
            ControlFlow::Continue(())
        })
        .expect("valid requests are scored");
    assert_eq!(given, references.len(), "each request is scored");
    largest
}

/// The engine reads the same tokens and writes the same greedy ones.
///
/// # Panics
/// Where it does not.
pub fn greedy_is_the_same(engine: &mut dyn Backend, references: &[Reference]) {
    let requests: Vec<_> = references
        .iter()
        .map(|reference| GenerateRequest::new(Prompt::user(&reference.prompt)).max_tokens(24))
        .collect();
    let mut collected = Collect::default();
    engine.generate(&requests, &mut collected).expect("valid requests are generated");
    assert_eq!(collected.0.len(), references.len(), "each request is answered");
    for completion in collected.0 {
        let reference = &references[completion.request];
        let read = engine.tokenize(&requests[completion.request].prompt).expect("a chat is tokenised");
        assert_eq!(read, reference.prompt_tokens, "{}", reference.prompt);
        assert_eq!(completion.tokens, reference.greedy_tokens, "{}", reference.prompt);
        assert_eq!(completion.text, reference.greedy_text);
    }
}
