//! What an engine that shares prompts and writes samples side by side has to do, by counting what it computed.

use std::ops::ControlFlow;

use crate::{Backend, Collect, Completion, CompletionSink, GenerateRequest, Prompt, Sampling, Seed};

/// The beginning that prompts have in common is read once in a call, each prompt once for all its samples, and the last one
/// not again in the next call. Steps of fewer tokens than the prompts have may be set.
///
/// # Panics
/// Where the engine computes more, or fails.
pub fn common_beginnings_are_read_once(engine: &mut dyn Backend) {
    let rubric = "Judge the sentence that follows and say how good it is, from one to ten. ".repeat(4);
    let requests: Vec<_> = (0..6)
        .map(|number| {
            GenerateRequest::new(Prompt::text(format!("{rubric}Sentence {number}.")))
                .sampling(Sampling::nucleus(0.7, 0.9))
                .samples(Seed(number), 3)
                .max_tokens(4)
        })
        .collect();
    let length =
        |request: &GenerateRequest| engine.tokenize(&request.prompt).expect("a prompt is tokenised").len();
    let lengths: Vec<usize> = requests.iter().map(length).collect();
    let all: usize = lengths.iter().sum();
    let usage = engine.generate(&requests, &mut Collect::default()).expect("samples are drawn");
    assert!((usage.read as usize) < lengths[0] + 6 * 8, "{usage:?} of {all}");
    assert_eq!(usage.read as usize + usage.reused as usize, 3 * all, "{usage:?}");
    let again = engine.generate(&requests[5..], &mut Collect::default()).expect("samples are drawn");
    assert_eq!(again.read, 1, "what was read last stays for the next call: {again:?}");
}

/// Where an engine that is set to write three samples at a time has one that ends, another begins. It may take a step to
/// read a prompt.
///
/// # Panics
/// Where the engine takes more steps, or fails.
pub fn samples_are_replaced_at_once(engine: &mut dyn Backend) {
    // Hot enough that hardly a sample ends by itself.
    let requests: Vec<_> = (0..18)
        .map(|number| {
            GenerateRequest::new(Prompt::user("Say something."))
                .sampling(Sampling::nucleus(5.0, 1.0))
                .samples(Seed(number), 1)
                .max_tokens(if number % 3 == 0 { 30 } else { 2 })
        })
        .collect();
    let mut counts = Counts::default();
    engine.generate(&requests, &mut counts).expect("samples are drawn");
    assert_eq!(counts.ended, 18);
    assert!(counts.generated > 150, "{counts:?}");
    // Three at a time would take 6 × 29 steps if each waited for the longest; the last one may be alone.
    assert!(counts.steps < counts.generated / 3 + 30 + 2 * 18, "{counts:?}");
}

/// Counts steps, and samples as they end.
#[derive(Debug, Default)]
struct Counts {
    steps: usize,
    ended: usize,
    generated: usize,
}

impl CompletionSink for Counts {
    fn completed(&mut self, completion: Completion) -> ControlFlow<()> {
        self.ended += 1;
        self.generated += completion.tokens.len();
        ControlFlow::Continue(())
    }

    fn advanced(&mut self, _: usize) -> ControlFlow<()> {
        self.steps += 1;
        ControlFlow::Continue(())
    }
}
