//! A model is the same in every engine: the tiny ones, and what Burn makes of them by training.

#![cfg(all(feature = "llama-cpp", feature = "burn-cpu", feature = "onnx"))]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{
    fs,
    num::NonZeroU32,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use lancer_backend::{
    Backend, Collect, Continuation, Conversation, GenerateRequest, Learner, Prompt, ScoreRequest,
    ScoredContinuation, StepSettings, TokenId, TrainedTurns, WeightFormat,
    conformance::{self, TINY_MODELS},
};
use lancer_burn::{BurnBackend, BurnLearner, BurnSettings, LoraSettings, TrainSettings};
use lancer_llama_cpp::{LlamaCpp, LlamaCppSettings};
use lancer_model::{ConvertFormat, Model, SpecialTokens, convert};
use lancer_onnx::{ExportSettings, OnnxRuntime, OnnxSettings, Operators, export};

fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(name)
}

const PROMPTS: [&str; 10] = [
    "Name a colour.",
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "What is 2 + 2?",
    "Why is the sky blue?",
    "Give me a word that rhymes with cat.",
    "Is the moon a planet?",
    "Translate \"good morning\" into French.",
    "Say \"naïve\" in capitals.",
    "List three animals.",
];

/// How far llama.cpp's log-probabilities may be from the others': ggml takes Gemma's activation from a table of 16-bit
/// floats.
fn tolerance(name: &str) -> f32 {
    if name == "tiny-gemma3" { 1e-2 } else { 1e-3 }
}

/// A copy of the tiny Llama that may be changed.
fn tiny_llama(scratch: &Path) -> PathBuf {
    let folder = scratch.join("model");
    fs::create_dir(&folder).unwrap();
    for file in fs::read_dir(fixture("tiny-llama")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    folder
}

fn greedy(engine: &mut dyn Backend) -> Vec<String> {
    let requests: Vec<_> =
        PROMPTS.iter().map(|&prompt| GenerateRequest::new(Prompt::user(prompt)).max_tokens(24)).collect();
    let mut collected = Collect::default();
    engine.generate(&requests, &mut collected).unwrap();
    collected.0.sort_by_key(|completion| completion.request);
    collected.0.into_iter().map(|completion| completion.text).collect()
}

fn trained(name: &str, settings: &TrainSettings) -> BurnLearner {
    let mut learner = BurnLearner::load(&fixture(name), settings).unwrap();
    let batch = [
        learner.encode(&Conversation::of_pair(PROMPTS[0], "Blue is a colour."), TrainedTurns::Last).unwrap(),
        learner
            .encode(&Conversation::of_pair(PROMPTS[4], "Air scatters blue light."), TrainedTurns::Last)
            .unwrap(),
    ];
    for _ in 0..4 {
        let log_probs = learner.forward(&batch).unwrap();
        let weights: Vec<Vec<f32>> = log_probs.iter().map(|targets| vec![-0.1; targets.len()]).collect();
        learner.backward(&weights).unwrap();
        learner.step(&StepSettings { learning_rate: 2e-3, ..StepSettings::default() }).unwrap();
    }
    learner
}

/// Tests run side by side, one on each core.
fn llama_cpp(file: &Path) -> LlamaCpp {
    let settings = LlamaCppSettings { threads: NonZeroU32::new(1), ..LlamaCppSettings::default() };
    LlamaCpp::load(file, &settings).unwrap()
}

/// The model in ONNX Runtime, written beside it.
fn onnx(model: &Path, operators: Operators) -> OnnxRuntime {
    let to = model.with_extension(format!("onnx-{operators:?}"));
    let opened = Model::open(model).unwrap();
    export(&opened, &opened, &to, &ExportSettings { operators, ..ExportSettings::default() }).unwrap();
    let settings = OnnxSettings { threads: NonZeroU32::new(1), ..OnnxSettings::default() };
    OnnxRuntime::load(&to, &settings).unwrap()
}

#[test]
fn three_engines_agree() {
    for name in TINY_MODELS {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("tiny.gguf");
        convert(&Model::open(&fixture(name)).unwrap(), &file, ConvertFormat::F32).unwrap();
        let mut burn = BurnBackend::load(&fixture(name), &BurnSettings::default()).unwrap();
        let mut llama_cpp = llama_cpp(&file);
        for operators in [Operators::Fused, Operators::Plain] {
            // From the GGUF file, so that its tokenizer and the order of its rows are held against the folder's too.
            let mut onnx = onnx(&file, operators);
            conformance::backends_agree(&mut onnx, &mut burn, 1e-3);
            conformance::backends_agree(&mut onnx, &mut llama_cpp, tolerance(name));
            assert_eq!(greedy(&mut onnx), greedy(&mut burn), "{name}, {operators:?}");
        }
        conformance::backends_agree(&mut llama_cpp, &mut burn, tolerance(name));
    }
}

#[test]
fn a_trained_model_is_the_same_in_every_engine() {
    for name in TINY_MODELS {
        for settings in [TrainSettings::default(), TrainSettings::lora(LoraSettings::default())] {
            let mut learner = trained(name, &settings);
            let scratch = tempfile::tempdir().unwrap();
            let (file, folder) = (scratch.path().join("trained.gguf"), scratch.path().join("trained"));
            learner.export(&file, WeightFormat::F32).unwrap();
            learner.export(&folder, WeightFormat::F32).unwrap();

            let mut llama_cpp = llama_cpp(&file);
            let mut onnx = onnx(&folder, Operators::Fused);
            let mut burn = BurnBackend::load(&folder, &BurnSettings::default()).unwrap();
            conformance::backends_agree(&mut llama_cpp, &mut burn, tolerance(name));
            conformance::learner_agrees(&mut learner, &mut llama_cpp, tolerance(name));
            conformance::backends_agree(&mut onnx, &mut burn, 1e-3);
            conformance::learner_agrees(&mut learner, &mut onnx, 1e-3);
            conformance::greedy_agrees(&mut llama_cpp, &mut burn, &PROMPTS, tolerance(name));
            conformance::greedy_agrees(&mut onnx, &mut burn, &PROMPTS, 1e-3);

            let mut before = BurnBackend::load(&fixture(name), &BurnSettings::default()).unwrap();
            assert_ne!(greedy(&mut before), greedy(&mut burn), "{name}: training changed nothing");
        }
    }
}

/// Gemma ends its turn with another token than a text: what the chat template sets after a response says with which.
#[test]
fn the_template_says_what_ends_a_turn() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = tiny_llama(scratch.path());
    let template = folder.join("chat_template.jinja");
    let text = fs::read_to_string(&template).unwrap();
    fs::write(&template, text.replace("<|im_end|>", "<|endoftext|>")).unwrap();
    let model = Model::open(&folder).unwrap();
    let [turn, text] = ["<|endoftext|>", "<|im_end|>"]
        .map(|token| TokenId(model.tokenizer().encode(token, SpecialTokens::Recognised)[0]));
    let file = scratch.path().join("model.gguf");
    convert(&model, &file, ConvertFormat::F32).unwrap();
    let back = scratch.path().join("back");
    convert(&Model::open(&file).unwrap(), &back, ConvertFormat::F32).unwrap();
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(back.join("config.json")).unwrap()).unwrap();
    let mut ends = [text.0, turn.0];
    ends.sort_unstable();
    assert_eq!(config["eos_token_id"], serde_json::json!(ends));

    let mut burn = BurnBackend::load(&folder, &BurnSettings::default()).unwrap();
    let mut llama_cpp = llama_cpp(&file);
    let mut onnx = onnx(&back, Operators::Fused);
    let engines: [&mut dyn Backend; 3] = [&mut burn, &mut llama_cpp, &mut onnx];
    for engine in engines {
        let request = ScoreRequest {
            prompt: Prompt::user(PROMPTS[0]),
            continuations: vec![Continuation::closed("Blue.")],
        };
        let mut last = None;
        let keep = &mut |_, scored: Vec<ScoredContinuation>| {
            last = scored[0].tokens.last().copied();
            ControlFlow::Continue(())
        };
        engine.score(&[request], keep).unwrap();
        assert_eq!(last, Some(turn), "{}", engine.info().engine);
    }
}

/// Llama 3 and others list several tokens that end a turn in `generation_config.json` alone, and not all are marked as special.
#[test]
fn every_engine_ends_where_generation_config_says() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = tiny_llama(scratch.path());
    let mut before = BurnBackend::load(&folder, &BurnSettings::default()).unwrap();
    let whole = greedy(&mut before);
    // A token that the model writes within its answers becomes one that ends them.
    let model = Model::open(&folder).unwrap();
    let longest = whole.iter().max_by_key(|text| text.len()).unwrap();
    let tokens = model.tokenizer().encode(longest, SpecialTokens::AsText);
    let list = serde_json::json!({ "eos_token_id": [tokens[tokens.len() / 2], 1_000_000] });
    fs::write(folder.join("generation_config.json"), list.to_string()).unwrap();

    let file = scratch.path().join("model.gguf");
    convert(&Model::open(&folder).unwrap(), &file, ConvertFormat::F32).unwrap();
    let mut burn = BurnBackend::load(&folder, &BurnSettings::default()).unwrap();
    let mut llama_cpp = llama_cpp(&file);
    let mut onnx = onnx(&folder, Operators::Fused);
    let expected = greedy(&mut burn);
    assert_ne!(expected, whole, "nothing ended earlier");
    for (before, after) in whole.iter().zip(&expected) {
        assert!(before.starts_with(after.as_str()), "{before:?} became {after:?}");
    }
    let engines: [&mut dyn Backend; 2] = [&mut llama_cpp, &mut onnx];
    for engine in engines {
        assert_eq!(greedy(engine), expected, "{}", engine.info().engine);
    }
}

/// Texts on which tokenizers differ first.
const TEXTS: [&str; 6] = [
    "The capital of France is Paris, and that of Japan is Tokyo.",
    "fn main() {\n    println!(\"{}\",  x  +  1);\n}\n\n\n\tend",
    "naïve café 東京 🙂 \u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467} Ωmega",
    " begins with a space, ends with two  ",
    "1234567890 3.14 don't can't I'LL",
    "<table><tr> &amp; ▁ <0x41> <unk> [multimodal]",
];

/// Log-probabilities of a text's last tokens, after its first.
fn log_probs(engine: &mut dyn Backend, tokens: &[TokenId], text: &str) -> Vec<f32> {
    let request = ScoreRequest {
        prompt: Prompt::Tokens(tokens.to_vec()),
        continuations: vec![Continuation::open(text)],
    };
    let mut scored = Vec::new();
    engine
        .score(&[request], &mut |_, mut continuations| {
            scored = continuations.remove(0).log_probs;
            ControlFlow::Continue(())
        })
        .unwrap();
    scored
}

/// `LANCER_MODEL=model.gguf cargo test --release -p lancer --test engines_agree -- --ignored --nocapture`
#[test]
#[ignore = "needs a GGUF file of a real model, named by LANCER_MODEL"]
fn a_real_model_is_the_same_in_every_engine() {
    let path = PathBuf::from(std::env::var("LANCER_MODEL").unwrap());
    let scratch = tempfile::tempdir().unwrap();
    let model = Model::open(&path).unwrap();
    // By way of a folder, so that tokenizer and configuration go through both forms.
    let (folder, file) = (scratch.path().join("folder"), scratch.path().join("model.gguf"));
    convert(&model, &folder, ConvertFormat::F32).unwrap();
    convert(&Model::open(&folder).unwrap(), &file, ConvertFormat::F32).unwrap();
    let original = llama_cpp(&path);
    let mut burn = BurnBackend::load(&path, &BurnSettings::default()).unwrap();
    let mut others: Vec<(&str, Box<dyn Backend>)> = vec![
        ("llama.cpp, 32-bit floats", Box::new(llama_cpp(&file))),
        ("ONNX Runtime", Box::new(onnx(&file, Operators::Fused))),
        ("Burn, from the folder", Box::new(BurnBackend::load(&folder, &BurnSettings::default()).unwrap())),
    ];
    let bos = model.tokenizer().beginning_of_text().map(TokenId);
    let plain = |tokens: Vec<TokenId>| -> Vec<TokenId> {
        tokens.into_iter().skip_while(|&token| Some(token) == bos).collect()
    };
    for text in TEXTS {
        let expected = plain(original.tokenize(&Prompt::text(text)).unwrap());
        assert_eq!(plain(burn.tokenize(&Prompt::text(text)).unwrap()), expected, "{text:?}");
        for (name, engine) in &others {
            assert_eq!(plain(engine.tokenize(&Prompt::text(text)).unwrap()), expected, "{name}: {text:?}");
        }
        assert_eq!(burn.detokenize(&expected).unwrap(), original.detokenize(&expected).unwrap());
    }
    // A thousand tokens: more than Gemma's window.
    let long = include_str!("../docs/explanation/architecture.md");
    let cut = |at: usize| long.char_indices().nth(at).map_or(long.len(), |(place, _)| place);
    for (beginning, end) in [(300, 700), (4000, 4300)] {
        let mut tokens: Vec<TokenId> = bos.into_iter().collect();
        tokens.extend(plain(burn.tokenize(&Prompt::text(&long[..cut(beginning)])).unwrap()));
        let text = &long[cut(beginning)..cut(end)];
        let expected = log_probs(&mut burn, &tokens, text);
        let mean = expected.iter().sum::<f32>() / expected.len() as f32;
        println!("{} tokens, then {} of {mean:.3} on average", tokens.len(), expected.len());
        for (name, engine) in &mut others {
            let found = log_probs(engine.as_mut(), &tokens, text);
            let differences = found.iter().zip(&expected).map(|(one, two)| (one - two).abs());
            let (largest, sum) =
                differences.fold((0.0_f32, 0.0), |(largest, sum), one| (largest.max(one), sum + one));
            println!("{name}: largest difference {largest:.1e}, mean {:.1e}", sum / expected.len() as f32);
            assert!(largest < 0.1, "{name}: {largest}");
        }
    }
}
