//! What training an adapter allocates, counted by the allocator.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]
#![allow(unsafe_code, reason = "an allocator that counts")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use lancer_backend::{Learner, StepSettings, TokenId, TrainingSequence};
use lancer_burn::{Activations, BurnLearner, LoraSettings, TrainSettings};
use lancer_model::{Config, ConvertFormat, Model, convert};

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is the system's, with what it was given.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(held, Relaxed);
        // SAFETY: as the caller has it.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller has it.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(name)
}

/// The bytes that `make` leaves allocated, and the most that it held at a time.
fn counted<T>(make: impl FnOnce() -> T) -> (T, usize, usize) {
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    let made = make();
    (made, HELD.load(Relaxed).saturating_sub(before), MOST.load(Relaxed) - before)
}

fn settings(activations: Activations) -> TrainSettings {
    TrainSettings { activations, ..TrainSettings::lora(LoraSettings { rank: 2, ..LoraSettings::default() }) }
}

const TOKENS: usize = 400;

fn batch() -> Vec<TrainingSequence> {
    let tokens = (0..TOKENS).map(|i| TokenId((37 * i % 500) as u32)).collect();
    vec![TrainingSequence::after_prompt(tokens, TOKENS / 2)]
}

fn step(learner: &mut BurnLearner) {
    let log_probs = learner.forward(&batch()).unwrap();
    learner.backward(&log_probs.iter().map(|row| vec![-1.0; row.len()]).collect::<Vec<_>>()).unwrap();
    learner.step(&StepSettings::default()).unwrap();
}

/// The formula of docs/reference/adapters.md: the input of each layer, and one layer with its gradients.
fn activations_by_layer(config: &Config) -> usize {
    let (hidden, mlp) = (config.hidden_size, config.intermediate_size);
    let heads = config.head_dim * (config.heads + config.kv_heads);
    let of_layer = 4 * hidden + 2 * heads + 2 * mlp;
    4 * TOKENS * (config.layers * hidden + 2 * of_layer)
}

/// One test, since the allocator counts what all threads of the program allocate.
#[test]
fn a_step_takes_the_adapters_and_one_layers_activations() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = fixture("burn/blocks.gguf");
    let config = Model::open(&blocks).unwrap().config().clone();
    let widened = folder.path().join("f32.gguf");
    convert(&Model::open(&blocks).unwrap(), &widened, ConvertFormat::F32).unwrap();
    // Threads and what is made once are there.
    step(&mut BurnLearner::load(&blocks, &settings(Activations::Recompute)).unwrap());

    let load = |path: &Path| counted(|| BurnLearner::load(path, &settings(Activations::Recompute)).unwrap());
    let (mut learner, held, _) = load(&blocks);
    let (other, held_in_f32, _) = load(&widened);
    let (weights, trained) = (learner.weights() as usize, learner.trained_weights() as usize);
    drop(other);
    // Of the base norms alone are held, and the one matrix that the file has in 32-bit floats; as floats it would be all.
    let gate = config.hidden_size * config.intermediate_size;
    let saved = held_in_f32 as f64 - held as f64;
    let expected = 4.0 * (weights - gate) as f64;
    assert!((saved / expected - 1.0).abs() < 0.02, "{saved} bytes are saved, of {expected}");

    let ((), kept, most) = counted(|| step(&mut learner));
    assert!(kept < 1 << 16, "a step leaves {kept} bytes");
    // The gradients, a panel of each thread's product and the logits of a part of the vocabulary.
    let panel = 4 * config.vocab_size * (config.hidden_size + 2 * TOKENS);
    let allowed = 4 * trained + activations_by_layer(&config) + panel + (1 << 20);
    assert!(most < allowed, "{most} bytes at a time, where {allowed} are expected");
    let (mut keeping, _, _) = counted(|| BurnLearner::load(&blocks, &settings(Activations::Keep)).unwrap());
    let ((), _, most_kept) = counted(|| step(&mut keeping));
    assert!(most_kept > most, "{most_kept} bytes where all is kept, {most} where it is made again");
}
