//! How fast an engine is: the same work for every engine, so that they can be put side by side.
//!
//! An example of each engine's crate calls [`measure`] and prints what it gives, for `cargo xtask bench engines`.

use std::{
    fmt,
    num::ParseIntError,
    ops::ControlFlow,
    str::FromStr,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    Backend, BackendError, Completion, CompletionSink, GenerateRequest, Prompt, Sampling, Seed, TokenId,
};

/// Tokens of each prompt that is read.
const PROMPT: usize = 512;
/// Prompts that are read at once.
const PROMPTS: usize = 4;
/// Prompts are read for so long before they are measured again: what is set up at the first call, and memory that is moved into
/// large pages, do not count then.
const WARM_UP: Duration = Duration::from_secs(12);
/// Tokens that samples go on from.
const BEGINNING: usize = 16;
/// The first of the beginnings, apart from the numbers of the prompts, and how many there are to choose from.
const FIRST_BEGINNING: usize = 1_000_000;
const BEGINNINGS: usize = 20;
/// Tokens of each sample.
const SAMPLE: usize = 64;
/// Samples that are written side by side, and how often.
const BATCHES: [(usize, usize); 3] = [(1, 3), (8, 2), (32, 1)];

/// How fast an engine is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Speed {
    /// Seconds from nothing to an engine that can be asked.
    pub load_seconds: f64,
    /// Tokens a second of prompts of 512 tokens that have nothing in common, the first that the engine reads.
    pub first_prompt_tokens_per_second: f64,
    /// The same some seconds later.
    pub prompt_tokens_per_second: f64,
    /// Tokens a second of samples that are written side by side.
    pub decode: Vec<DecodeSpeed>,
    /// The most memory that the process has held, in bytes, its files in memory included; on Linux only.
    pub peak_memory: Option<u64>,
}

/// How fast samples are written, step by step: what is set up for them is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DecodeSpeed {
    /// Samples side by side.
    pub samples: usize,
    /// Tokens a second of all of them together.
    pub tokens_per_second: f64,
}

impl fmt::Display for Speed {
    /// One line of JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&line)
    }
}

/// Loads an engine and measures it. Its context must hold 512 tokens.
///
/// # Errors
/// Where the engine cannot be loaded or fails.
pub fn measure<E: Backend>(load: impl FnOnce() -> Result<E, BackendError>) -> Result<Speed, BackendError> {
    measure_after(WARM_UP, load)
}

fn measure_after<E: Backend>(
    warm_up: Duration,
    load: impl FnOnce() -> Result<E, BackendError>,
) -> Result<Speed, BackendError> {
    let clock = Instant::now();
    let mut engine = load()?;
    let load_seconds = clock.elapsed().as_secs_f64();
    let mut first = 0;
    let mut next_prompts = |engine: &mut E| {
        first += PROMPTS;
        prompts(engine, first)
    };
    let clock = Instant::now();
    let first_prompt_tokens_per_second = next_prompts(&mut engine)?;
    while clock.elapsed() < warm_up {
        next_prompts(&mut engine)?;
    }
    let prompt_tokens_per_second = next_prompts(&mut engine)?;
    let decode = BATCHES
        .into_iter()
        .map(|(samples, times)| {
            Ok(DecodeSpeed { samples, tokens_per_second: decode(&mut engine, samples, times)? })
        })
        .collect::<Result<_, BackendError>>()?;
    Ok(Speed {
        load_seconds,
        first_prompt_tokens_per_second,
        prompt_tokens_per_second,
        decode,
        peak_memory: peak_memory(),
    })
}

/// Tokens that do not repeat within a prompt and do not begin alike in two.
fn tokens(vocabulary: usize, prompt: usize, length: usize) -> Prompt {
    // Far enough from the lowest numbers, where special tokens are.
    let first = vocabulary / 8;
    let place = |token: usize| first + (prompt * 7919 + token * 31) % (vocabulary - first);
    Prompt::Tokens((0..length).map(|token| TokenId(place(token) as u32)).collect())
}

/// Tokens a second of [`PROMPTS`], from the one with this number on.
fn prompts(engine: &mut dyn Backend, first: usize) -> Result<f64, BackendError> {
    let vocabulary = engine.info().vocabulary;
    let requests: Vec<GenerateRequest> = (first..first + PROMPTS)
        .map(|prompt| GenerateRequest::new(tokens(vocabulary, prompt, PROMPT)).max_tokens(1))
        .collect();
    let clock = Instant::now();
    let usage = engine.generate(&requests, &mut Steps::default())?;
    Ok(usage.read as f64 / clock.elapsed().as_secs_f64())
}

fn decode(engine: &mut dyn Backend, samples: usize, times: usize) -> Result<f64, BackendError> {
    let vocabulary = engine.info().vocabulary;
    let (mut generated, mut seconds) = (0, 0.0);
    let mut prompts = FIRST_BEGINNING..FIRST_BEGINNING + BEGINNINGS;
    for _ in 0..times {
        let (mut written, mut took) = (0, 0.0);
        // Until samples do not end before their limit, where there is a prompt left: what is set up for short ones would
        // count for more. Those of a batch need not be what one alone is, where numbers are rounded.
        for prompt in prompts.by_ref() {
            let mut watch = Steps::default();
            let usage = engine.generate(&[batch(vocabulary, prompt, samples)], &mut watch)?;
            // Each sample's first token comes with the prompt, and its second after room was made for its keys and values.
            written = usage.generated.saturating_sub(2 * samples as u64);
            took = watch.since_first.map_or(0.0, |clock| clock.elapsed().as_secs_f64());
            if usage.generated as usize == samples * SAMPLE {
                break;
            }
        }
        generated += written;
        seconds += took;
    }
    Ok(generated as f64 / seconds)
}

/// Samples of a prompt with this number, side by side.
fn batch(vocabulary: usize, prompt: usize, samples: usize) -> GenerateRequest {
    GenerateRequest::new(tokens(vocabulary, prompt, BEGINNING))
        // All samples are alike and end together, so the batch is full throughout.
        .sampling(Sampling::Greedy)
        .samples(Seed(prompt as u64), samples)
        .max_tokens(SAMPLE)
}

/// Work that is done over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Reading prompts of 512 tokens that have nothing in common, one by one.
    Prompts,
    /// Writing so many samples of 64 tokens side by side.
    Samples(usize),
}

impl FromStr for Work {
    type Err = ParseIntError;

    /// `prompts`, or a number of samples.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "prompts" { Ok(Self::Prompts) } else { text.parse().map(Self::Samples) }
    }
}

/// Does this work until `told`, which gets the tokens and the time of each prompt, or of each step of a token a sample, breaks.
///
/// So engines can take turns, seconds each, on a machine whose speed changes. The engine must tell its steps
/// ([`CompletionSink::advanced`]), as those that compute do.
///
/// # Errors
/// Where the engine fails.
pub fn repeat(
    engine: &mut dyn Backend,
    work: Work,
    told: &mut dyn FnMut(usize, Duration) -> ControlFlow<()>,
) -> Result<(), BackendError> {
    let vocabulary = engine.info().vocabulary;
    let mut steps = EachStep { samples: 0, began: 0, last: Instant::now(), told };
    for number in FIRST_BEGINNING.. {
        let done = match work {
            Work::Prompts => {
                let request = GenerateRequest::new(tokens(vocabulary, number, PROMPT)).max_tokens(1);
                let clock = Instant::now();
                engine.generate(&[request], &mut Steps::default())?;
                (steps.told)(PROMPT, clock.elapsed())
            }
            Work::Samples(samples) => {
                (steps.samples, steps.began) = (samples, 0);
                match engine.generate(&[batch(vocabulary, number, samples)], &mut steps) {
                    Err(BackendError::Cancelled) => ControlFlow::Break(()),
                    other => other.map(|_| ControlFlow::Continue(()))?,
                }
            }
        };
        if done.is_break() {
            break;
        }
    }
    Ok(())
}

/// Tells the time of each step of a full batch, but not of the first, for which room is made.
struct EachStep<'a> {
    samples: usize,
    /// The prompt and the steps of this batch that are over.
    began: usize,
    last: Instant,
    told: &'a mut dyn FnMut(usize, Duration) -> ControlFlow<()>,
}

impl CompletionSink for EachStep<'_> {
    fn completed(&mut self, _: Completion) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        let took = self.last.elapsed();
        self.last = Instant::now();
        self.began += 1;
        if self.began > 2 && tokens == self.samples {
            (self.told)(tokens, took)
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// When the first step had been made after the prompt was read.
#[derive(Default)]
struct Steps {
    is_prompt_read: bool,
    since_first: Option<Instant>,
}

impl CompletionSink for Steps {
    fn completed(&mut self, _: Completion) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn advanced(&mut self, _: usize) -> ControlFlow<()> {
        if self.is_prompt_read {
            self.since_first.get_or_insert_with(Instant::now);
        }
        self.is_prompt_read = true;
        ControlFlow::Continue(())
    }
}

/// `VmHWM` of `/proc/self/status`.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::ScriptedBackend;

    #[test]
    fn an_engine_is_measured() {
        let load = || Ok(ScriptedBackend::new(|_, seed| "word ".repeat(seed.0 as usize % 7 + 60)));
        let speed = measure_after(Duration::ZERO, load);
        let speed = speed.unwrap();
        assert_eq!(speed.decode.iter().map(|decode| decode.samples).collect::<Vec<_>>(), [1, 8, 32]);
        assert!(speed.first_prompt_tokens_per_second > 0.0 && speed.prompt_tokens_per_second > 0.0);
        assert!(speed.decode.iter().all(|decode| decode.tokens_per_second > 0.0), "{speed:?}");
        let printed: serde_json::Value = serde_json::from_str(&speed.to_string()).unwrap();
        assert_eq!(printed["decode"][1]["samples"], 8, "{speed}");
    }

    #[test]
    fn prompts_are_repeated_until_it_is_enough() {
        let mut engine = ScriptedBackend::new(|_, _| "word ".repeat(60));
        let mut told = Vec::new();
        repeat(&mut engine, Work::Prompts, &mut |tokens, _| {
            told.push(tokens);
            if told.len() < 200 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap();
        assert_eq!(told, [PROMPT; 200]);
    }

    #[test]
    fn steps_of_a_full_batch_are_told_but_the_first() {
        let mut told = Vec::new();
        let mut tell = |tokens, _| {
            told.push(tokens);
            if told.len() < 2 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let mut steps = EachStep { samples: 3, began: 0, last: Instant::now(), told: &mut tell };
        // A prompt of as many tokens as samples, four steps, the second of which is not full.
        let advanced = [3, 3, 3, 2, 3].map(|tokens| steps.advanced(tokens).is_break());
        assert_eq!(advanced, [false, false, false, false, true]);
        assert_eq!(told, [3, 3]);
    }

    #[test]
    fn work_is_named() {
        assert_eq!("prompts".parse(), Ok(Work::Prompts));
        assert_eq!("8".parse(), Ok(Work::Samples(8)));
        assert!("some".parse::<Work>().is_err());
    }
}
