//! The engine on the tiny models: the conformance suite, and what transformers says.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{fs, num::NonZeroU32, ops::ControlFlow, path::Path};

use lancer_backend::{
    Backend, BackendError, Collect, Completion, CompletionSink, Continuation, GenerateRequest, Prompt,
    Sampling, ScoreRequest, Seed, TokenId,
    conformance::{self, Reference, TINY_MODELS},
};
use lancer_llama_cpp::{Attention, LlamaCpp, LlamaCppSettings};
use lancer_model::{ConvertFormat, Model, convert};
use tempfile::TempDir;

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(name)
}

/// Its activation, GELU, ggml takes from a table of 16-bit floats: log-probabilities differ more, and greedy texts do where
/// two tokens are about as likely.
const GEMMA: &str = "tiny-gemma3";

/// How far log-probabilities may be from transformers'.
fn tolerance(name: &str) -> f32 {
    if name == GEMMA { 1e-2 } else { 1e-3 }
}

/// The tiny model as GGUF, loaded with these settings.
fn engine(name: &str, settings: LlamaCppSettings) -> (LlamaCpp, TempDir) {
    engine_of(&fixture(name), ConvertFormat::F32, settings)
}

/// A Hugging Face folder's model as GGUF.
fn engine_of(model: &Path, format: ConvertFormat, settings: LlamaCppSettings) -> (LlamaCpp, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    convert(&Model::open(model).unwrap(), &path, format).unwrap();
    (LlamaCpp::load(&path, &settings).unwrap(), folder)
}

fn few(parallel: u32, cache_tokens: u32, step_tokens: u32) -> LlamaCppSettings {
    let number = |n| NonZeroU32::new(n).unwrap();
    LlamaCppSettings {
        parallel: Some(number(parallel)),
        cache_tokens: number(cache_tokens),
        step_tokens: number(step_tokens),
        ..one_thread()
    }
}

/// The default settings. llama.cpp's threads wait for each other hundreds of times a step, actively: on a busy machine
/// a tiny model is a hundred times slower with two of them.
fn one_thread() -> LlamaCppSettings {
    LlamaCppSettings { threads: NonZeroU32::new(1), ..LlamaCppSettings::default() }
}

#[test]
fn conforms() {
    for name in TINY_MODELS {
        let (mut engine, _folder) = engine(name, one_thread());
        for case in conformance::BACKEND {
            println!("{name}: {}", case.name);
            (case.run)(&mut engine);
        }
    }
}

/// On processors with AMX quantised weights have kernels of their own. These leave a matrix of 32 inputs, a single block,
/// added to what stood where its product is written, so only models of more are tried: no real one has so few.
#[test]
fn quantised_weights_are_near_what_transformers_says() {
    for name in ["tiny-llama", "tiny-qwen2"] {
        let (mut engine, _folder) = engine_of(&fixture(name), ConvertFormat::Q8_0, one_thread());
        let references = Reference::read(&fixture(name).join("expected.json"));
        let largest = conformance::difference_of_scores(&mut engine, &references);
        // Not exact, or it would be other weights.
        assert!(largest > 1e-5 && largest < 0.2, "{name}: off by {largest}");
    }
}

#[test]
fn flash_attention_is_near_what_transformers_says() {
    for name in TINY_MODELS {
        let settings = LlamaCppSettings { attention: Some(Attention::Flash), ..one_thread() };
        let (mut engine, _folder) = engine(name, settings);
        let references = Reference::read(&fixture(name).join("expected.json"));
        let largest = conformance::difference_of_scores(&mut engine, &references);
        // Not exact, or it would be the other attention.
        assert!(largest > 1e-6 && largest < 0.02, "{name}: off by {largest}");
    }
}

#[test]
fn conforms_in_little_memory() {
    // Fewer branches than samples, steps shorter than prompts, a cache that holds little more than one sequence.
    let (mut engine, _folder) = engine("tiny-llama", few(2, 600, 7));
    for case in conformance::BACKEND {
        println!("{}", case.name);
        (case.run)(&mut engine);
    }
}

#[test]
fn tokens_and_log_probabilities_are_those_of_transformers() {
    for name in TINY_MODELS {
        let references = Reference::read(&fixture(name).join("expected.json"));
        let (mut engine, _folder) = engine(name, one_thread());
        let difference = conformance::difference_of_scores(&mut engine, &references);
        assert!(difference < tolerance(name), "{name}: {difference}");
        if name != GEMMA {
            conformance::greedy_is_the_same(&mut engine, &references);
        }
    }
}

#[test]
fn variants_are_those_of_transformers() {
    for name in TINY_MODELS {
        let scratch = tempfile::tempdir().unwrap();
        for variant in conformance::variants(&fixture(name), scratch.path()).unwrap() {
            let mut references = Reference::read(&variant.join("expected.json"));
            let scalar = Model::open(&variant).unwrap().config().query_pre_attn_scalar;
            let refused = (scalar - 16.0).abs() > 1e-9;
            if refused {
                // GGUF has no place for it, and llama.cpp would compute something else.
                let file = scratch.path().join("refused.gguf");
                let error = convert(&Model::open(&variant).unwrap(), &file, ConvertFormat::F32).unwrap_err();
                assert!(error.to_string().contains("query_pre_attn_scalar is 8"), "{error}");
                assert!(!file.exists());
                continue;
            }
            let (mut engine, _folder) = engine_of(&variant, ConvertFormat::F32, one_thread());
            if engine.info().context_length < 512 {
                // A window that llama.cpp does not know: the file's context ends where it would matter.
                let request = GenerateRequest::new(Prompt::user("Name a colour, and then another one."));
                let error = engine.generate(&[request], &mut Collect::default()).unwrap_err();
                assert!(matches!(error, BackendError::TooLong { context_length: 16, .. }), "{error}");
                continue;
            }
            let difference = conformance::difference_of_scores(&mut engine, &references);
            assert!(difference < tolerance(name), "{}: {difference}", variant.display());
            if name != GEMMA {
                // llama.cpp also ends at tokens that are named like an end of text, such as this one.
                references.retain(|reference| !reference.greedy_tokens.contains(&TokenId(0)));
                assert!(references.len() > 2);
                conformance::greedy_is_the_same(&mut engine, &references);
            }
        }
    }
}

#[test]
fn what_prompts_have_in_common_is_read_once() {
    let (mut engine, _folder) = engine("tiny-llama", few(4, 2048, 64));
    conformance::common_beginnings_are_read_once(&mut engine);
}

#[test]
fn continuations_share_their_prompt() {
    let (mut engine, _folder) = engine("tiny-llama", few(4, 2048, 64));
    let prompt = Prompt::user("Which of these words is the name of a colour?");
    let continuations: Vec<_> = ["red and green", "table", "seven", "quickly", "blue", "a long way home"]
        .map(Continuation::open)
        .into();
    let prompt_tokens = engine.tokenize(&prompt).unwrap().len();
    let mut fed = 0;
    let request = ScoreRequest { prompt, continuations };
    let usage = engine
        .score(std::slice::from_ref(&request), &mut |_, scored| {
            fed = scored.iter().map(|one| one.tokens.len() - 1).sum();
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(usage.read as usize, prompt_tokens + fed, "{usage:?}");
    assert_eq!(usage.reused as usize, 5 * prompt_tokens, "{usage:?}");
}

/// The tokens that had been computed when each request's sample ended.
#[derive(Default)]
struct Watch {
    tokens: usize,
    ended: Vec<(usize, usize)>,
}

impl CompletionSink for Watch {
    fn completed(&mut self, completion: Completion) -> ControlFlow<()> {
        self.ended.push((completion.request, self.tokens));
        ControlFlow::Continue(())
    }

    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        self.tokens += tokens;
        ControlFlow::Continue(())
    }
}

#[test]
fn penalties_are_obeyed() {
    let (mut engine, _folder) = engine("tiny-llama", one_thread());
    conformance::penalties_are_obeyed(&mut engine);
}

#[test]
fn a_long_prompt_does_not_hold_up_samples() {
    let (mut engine, _folder) = engine("tiny-llama", few(4, 1024, 16));
    let request = |tokens: Vec<u32>| {
        GenerateRequest::new(Prompt::Tokens(tokens.into_iter().map(TokenId).collect())).max_tokens(6)
    };
    // In the order in which prompts are read, the short one comes first.
    let long: Vec<u32> = [9].into_iter().chain((0..299).map(|i| 20 + i % 50)).collect();
    let mut watch = Watch::default();
    engine.generate(&[request(long), request(vec![8, 30, 40])], &mut watch).unwrap();
    let (request, computed) = watch.ended[0];
    assert_eq!(request, 1, "{:?}", watch.ended);
    assert!(computed < 200, "the short request's sample ended after {computed} tokens");
    assert!(watch.tokens > 300);
}

#[test]
fn a_sample_that_ends_is_replaced_at_once() {
    let (mut engine, _folder) = engine("tiny-llama", few(3, 1024, 64));
    conformance::samples_are_replaced_at_once(&mut engine);
}

#[test]
fn a_token_outside_the_vocabulary_is_named() {
    let (engine, _folder) = engine("tiny-llama", one_thread());
    let error = engine.detokenize(&[TokenId(3), TokenId(4_000_000)]).unwrap_err();
    assert!(error.to_string().contains("4000000"), "{error}");
}

#[test]
fn settings_out_of_range_are_named() {
    let (_engine, folder) = engine("tiny-llama", one_thread());
    let path = folder.path().join("model.gguf");
    for (settings, name) in [(few(256, 1024, 512), "parallel is 256"), (few(8, 1024, 8), "step_tokens is 8")]
    {
        let error = LlamaCpp::load(&path, &settings).err().unwrap();
        let BackendError::Load { source, .. } = error else { panic!("{error}") };
        assert!(source.to_string().contains(name), "{source}");
    }
}

#[test]
fn a_full_context_ends_a_sample() {
    let (mut engine, _folder) = engine("tiny-llama", few(2, 64, 16));
    assert_eq!(engine.info().context_length, 64);
    let prompt = Prompt::Tokens((100..130).map(TokenId).collect());
    let request = GenerateRequest::new(prompt).sampling(Sampling::nucleus(3.0, 1.0)).samples(Seed(1), 8);
    let mut collected = Collect::default();
    engine.generate(&[request], &mut collected).unwrap();
    let full: Vec<_> =
        collected.0.iter().filter(|one| one.finish == lancer_backend::Finish::ContextFull).collect();
    assert!(!full.is_empty(), "eight samples at temperature 3 all ended by themselves");
    assert!(full.iter().all(|one| one.tokens.len() == 34));
}

#[test]
fn a_file_that_is_no_model_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no-model.gguf");
    fs::write(&path, "no model, whatever its name says").unwrap();
    let Err(error) = LlamaCpp::load(&path, &LlamaCppSettings::default()) else { panic!("it was loaded") };
    assert!(matches!(error, BackendError::Load { .. }), "{error}");
    assert!(error.to_string().contains("no-model.gguf"), "{error}");
}
