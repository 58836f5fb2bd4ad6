//! The backend on the tiny models: the conformance suite, and what transformers says.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{
    fs,
    num::NonZeroU32,
    ops::{ControlFlow, Range},
    path::{Path, PathBuf},
};

use lancer_backend::{
    Backend, BackendError, Collect, Completion, CompletionSink, Continuation, Finish, GenerateRequest,
    Prompt, Sampling, ScoreRequest, ScoredContinuation, Seed, TokenId,
    conformance::{self, Reference, TINY_MODELS},
};
use lancer_burn::{BurnBackend, BurnDevice, BurnSettings, Weights};
use lancer_model::{ConvertFormat, Model, convert};

/// Few samples at a time, a cache that holds little more than one sequence, and prompts and continuations cut into several passes.
const NARROW: BurnSettings = BurnSettings {
    parallel: NonZeroU32::new(2).unwrap(),
    cache_tokens: NonZeroU32::new(600),
    step_tokens: NonZeroU32::new(7),
    weights: Weights::F32,
    device: BurnDevice::Cpu,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(name)
}

fn conforms_with(name: &str, settings: &BurnSettings) {
    let mut engine = BurnBackend::load(&fixture(name), settings).unwrap();
    for case in conformance::BACKEND {
        println!("{name}, {settings:?}: {}", case.name);
        (case.run)(&mut engine);
    }
}

#[test]
fn conforms() {
    for name in TINY_MODELS {
        conforms_with(name, &BurnSettings::default());
        conforms_with(name, &NARROW);
    }
}

/// The suite asks for nothing that needs 32 bits.
#[test]
fn conforms_with_weights_in_bf16() {
    for name in TINY_MODELS {
        conforms_with(name, &BurnSettings { weights: Weights::Bf16, ..BurnSettings::default() });
        conforms_with(name, &BurnSettings { weights: Weights::Bf16, ..NARROW });
    }
}

#[test]
fn weights_in_bf16_give_nearly_the_same() {
    for name in TINY_MODELS {
        let settings = BurnSettings { weights: Weights::Bf16, ..BurnSettings::default() };
        let mut engine = BurnBackend::load(&fixture(name), &settings).unwrap();
        assert_eq!(engine.info().format, "BF16");
        let full = BurnBackend::load(&fixture(name), &BurnSettings::default()).unwrap();
        assert_eq!(engine.info().parameters, full.info().parameters, "{name}");
        let references = Reference::read(&fixture(name).join("expected.json"));
        let difference = conformance::difference_of_scores(&mut engine, &references);
        println!("{name}: {difference:.1e}");
        assert!(difference < 0.2, "{name}: {difference}");
    }
}

#[test]
fn weights_in_bf16_are_refused_on_other_devices() {
    for &device in BurnDevice::BUILT_IN.iter().filter(|&&device| device != BurnDevice::Cpu) {
        let settings = BurnSettings { device, weights: Weights::Bf16, ..BurnSettings::default() };
        let Err(error) = BurnBackend::load(&fixture("tiny-llama"), &settings) else {
            panic!("it was loaded")
        };
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("weights in f32"), "{source}");
    }
}

/// With all models and the usual settings in tests/conformance.rs.
#[test]
fn conforms_on_other_devices() {
    for &device in BurnDevice::BUILT_IN {
        conforms_with("tiny-llama", &BurnSettings { device, ..NARROW });
    }
}

#[test]
fn prompts_are_shared_and_places_filled() {
    let settings = BurnSettings { parallel: NonZeroU32::new(3).unwrap(), ..BurnSettings::default() };
    let mut engine = BurnBackend::load(&fixture("tiny-llama"), &settings).unwrap();
    conformance::common_beginnings_are_read_once(&mut engine);
    conformance::samples_are_replaced_at_once(&mut engine);
}

/// Tokens that are written in each step.
#[derive(Default)]
struct Steps(Vec<usize>);

impl CompletionSink for Steps {
    fn completed(&mut self, _: Completion) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        self.0.push(tokens);
        ControlFlow::Continue(())
    }
}

#[test]
fn no_more_samples_are_written_than_the_cache_holds() {
    let prompts =
        [100..120, 200..220].map(|tokens: Range<u32>| Prompt::Tokens(tokens.map(TokenId).collect()));
    let requests = prompts.map(|prompt| GenerateRequest::new(prompt).samples(Seed(1), 4).max_tokens(30));
    let most_at_once = |cache_tokens| {
        let settings =
            BurnSettings { cache_tokens: NonZeroU32::new(cache_tokens), ..BurnSettings::default() };
        let mut engine = BurnBackend::load(&fixture("tiny-llama"), &settings).unwrap();
        let mut steps = Steps::default();
        engine.generate(&requests, &mut steps).unwrap();
        steps.0[1..].iter().copied().filter(|&tokens| tokens < 20).max()
    };
    // A prompt and two samples; two prompts and four samples of them; no limit.
    for (cache_tokens, most) in [(80, 2), (160, 4), (0, 8)] {
        assert_eq!(most_at_once(cache_tokens), Some(most), "a cache of {cache_tokens} tokens");
    }
}

/// One of so many samples at least does not end by itself, and those have as many tokens as are `left`.
fn a_sample_fills_its_context(
    engine: &mut BurnBackend,
    prompt: &Prompt,
    temperature: f32,
    samples: usize,
    left: usize,
) {
    let request = GenerateRequest::new(prompt.clone())
        .sampling(Sampling::nucleus(temperature, 1.0))
        .samples(Seed(1), samples);
    let mut collected = Collect::default();
    engine.generate(&[request], &mut collected).unwrap();
    let full: Vec<_> = collected.0.iter().filter(|one| one.finish == Finish::ContextFull).collect();
    assert!(!full.is_empty(), "{samples} samples at temperature {temperature} all ended by themselves");
    assert!(full.iter().all(|one| one.tokens.len() == left));
}

#[test]
fn a_cache_is_the_longest_text_there_can_be() {
    let settings = BurnSettings { cache_tokens: NonZeroU32::new(64), ..BurnSettings::default() };
    let mut engine = BurnBackend::load(&fixture("tiny-llama"), &settings).unwrap();
    assert_eq!(engine.info().context_length, 64);
    let prompt = Prompt::Tokens((100..130).map(TokenId).collect());
    a_sample_fills_its_context(&mut engine, &prompt, 3.0, 8, 34);
    let long = ScoreRequest { prompt, continuations: vec![Continuation::open("word ".repeat(40))] };
    let error = engine.score(&[long], &mut |_, _| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, BackendError::TooLong { context_length: 64, .. }), "{error}");
}

#[test]
fn settings_change_no_sample_and_no_score() {
    let requests: Vec<_> = (0..3)
        .map(|number| {
            let text = format!("{}Sentence {number}.", "Judge the sentence that follows. ".repeat(4));
            GenerateRequest::new(Prompt::text(text))
                .sampling(Sampling::nucleus(1.0, 0.9))
                .samples(Seed(number), 3)
                .max_tokens(40)
        })
        .collect();
    let scored: Vec<_> = requests
        .iter()
        .map(|request| ScoreRequest {
            prompt: request.prompt.clone(),
            continuations: ["", " It is right.", " Wrong, and longer than the other one is."]
                .map(Continuation::closed)
                .to_vec(),
        })
        .collect();
    let run = |settings: &BurnSettings| {
        let mut engine = BurnBackend::load(&fixture("tiny-llama"), settings).unwrap();
        let mut samples = Collect::default();
        engine.generate(&requests, &mut samples).unwrap();
        samples.0.sort_by_key(|one| (one.request, one.sample));
        let samples: Vec<Vec<TokenId>> = samples.0.into_iter().map(|one| one.tokens).collect();
        let mut scores = vec![Vec::new(); scored.len()];
        let give = &mut |request: usize, found: Vec<ScoredContinuation>| {
            scores[request] = found.into_iter().flat_map(|one| one.log_probs).collect();
            ControlFlow::Continue(())
        };
        engine.score(&scored, give).unwrap();
        (samples, scores)
    };
    let ((wide, wide_scores), (narrow, narrow_scores)) = (run(&BurnSettings::default()), run(&NARROW));
    assert_eq!(wide, narrow);
    for (wide, narrow) in wide_scores.concat().iter().zip(narrow_scores.concat()) {
        assert!((wide - narrow).abs() < 1e-4, "{wide} and {narrow}");
    }
}

/// Holds an engine against what `folder` has of transformers.
fn compare(engine: &mut dyn Backend, folder: &Path, device: BurnDevice) {
    let references = Reference::read(&folder.join("expected.json"));
    let difference = conformance::difference_of_scores(engine, &references);
    println!("{} on {device:?}: {difference:.1e}", folder.display());
    assert!(difference < 1e-3, "{}: {difference}", folder.display());
    conformance::greedy_is_the_same(engine, &references);
}

#[test]
fn tokens_and_log_probabilities_are_those_of_transformers() {
    for name in TINY_MODELS {
        for &device in BurnDevice::BUILT_IN {
            let settings = BurnSettings { device, ..BurnSettings::default() };
            compare(&mut BurnBackend::load(&fixture(name), &settings).unwrap(), &fixture(name), device);
        }
    }
}

#[test]
fn variants_are_those_of_transformers() {
    for name in TINY_MODELS {
        let scratch = tempfile::tempdir().unwrap();
        for variant in conformance::variants(&fixture(name), scratch.path()).unwrap() {
            let mut engine = BurnBackend::load(&variant, &BurnSettings::default()).unwrap();
            compare(&mut engine, &variant, BurnDevice::Cpu);
        }
    }
}

#[test]
fn a_gguf_file_is_read_as_the_folder_it_was_made_from() {
    for name in TINY_MODELS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        convert(&Model::open(&fixture(name)).unwrap(), &path, ConvertFormat::F32).unwrap();
        let mut engine = BurnBackend::load(&path, &BurnSettings::default()).unwrap();
        compare(&mut engine, &fixture(name), BurnDevice::Cpu);
    }
}

#[test]
fn a_full_context_ends_a_sample() {
    let mut engine = BurnBackend::load(&fixture("tiny-llama"), &BurnSettings::default()).unwrap();
    let context = engine.info().context_length;
    let prompt = Prompt::Tokens((0..context as u32 - 5).map(|i| TokenId(100 + i % 50)).collect());
    a_sample_fills_its_context(&mut engine, &prompt, 5.0, 4, 5);
}

#[test]
fn penalties_are_obeyed() {
    let mut engine = BurnBackend::load(&fixture("tiny-llama"), &BurnSettings::default()).unwrap();
    conformance::penalties_are_obeyed(&mut engine);
}

#[test]
fn what_prompts_have_in_common_is_read_once() {
    let mut engine = BurnBackend::load(&fixture("tiny-llama"), &BurnSettings::default()).unwrap();
    let requests: Vec<_> = (0..4)
        .map(|number| {
            let text = format!("{}Sentence {number}.", "Judge the sentence that follows. ".repeat(4));
            GenerateRequest::new(Prompt::text(text)).samples(Seed(number), 3).max_tokens(2)
        })
        .collect();
    let lengths: Vec<u64> =
        requests.iter().map(|one| engine.tokenize(&one.prompt).unwrap().len() as u64).collect();
    let usage = engine.generate(&requests, &mut Collect::default()).unwrap();
    assert!(usage.read < lengths[0] + 4 * 8, "{usage:?} of {lengths:?}");
    assert_eq!(usage.read + usage.reused, 3 * lengths.iter().sum::<u64>(), "{usage:?}");
}

#[test]
fn a_device_that_is_not_built_in_is_named() {
    for device in [BurnDevice::Wgpu, BurnDevice::Cuda] {
        if BurnDevice::BUILT_IN.contains(&device) {
            continue;
        }
        let settings = BurnSettings { device, ..BurnSettings::default() };
        let Err(error) = BurnBackend::load(&fixture("tiny-llama"), &settings) else {
            panic!("it was loaded")
        };
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(&format!("--features burn-{}", device.name())), "{source}");
    }
}

#[test]
fn a_file_that_is_no_model_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no-model.gguf");
    fs::write(&path, "no model, whatever its name says").unwrap();
    let Err(error) = BurnBackend::load(&path, &BurnSettings::default()) else { panic!("it was loaded") };
    assert!(matches!(error, BackendError::Load { .. }), "{error}");
    assert!(error.to_string().contains("no-model.gguf"), "{error}");
}
