//! Measures training steps: tokens a second of `log_probs` and of whole steps. The last line is JSON: medians of the rounds,
//! and the FLOP that a step needs by the usual count, 6 a weight and token, or 4 where adapters are trained (Kaplan et al. 2020,
//! arXiv 2001.08361). With `-dpo` two sequences each have a prompt in common, and `log_probs`, which the reference takes,
//! belongs to the step, with 2 more.
//!
//! `cargo run --release -p lancer-burn --example train_speed -- MODEL [full|lora][-recompute|-auto|-dpo] [SEQUENCES] [TOKENS] [f32|bf16]
//! [ROUNDS] [cpu|wgpu|cuda]`

use std::{env, error::Error, path::Path, time::Instant};

use lancer_backend::{Learner, StepSettings, TokenId, TrainingSequence};
use lancer_burn::{Activations, BurnDevice, BurnLearner, LoraSettings, Products, TrainSettings};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let argument =
        |place: usize, default: &str| arguments.get(place).cloned().unwrap_or_else(|| default.to_owned());
    let model = argument(0, "");
    let method = argument(1, "full");
    let (sequences, tokens): (usize, usize) = (argument(2, "8").parse()?, argument(3, "120").parse()?);
    let (is_lora, is_dpo) = (method.starts_with("lora"), method.ends_with("-dpo"));
    let mut settings =
        if is_lora { TrainSettings::lora(LoraSettings::default()) } else { TrainSettings::default() };
    if method.ends_with("recompute") {
        settings.activations = Activations::Recompute;
    }
    if method.ends_with("auto") {
        settings.activations = Activations::Auto;
    }
    if argument(4, "f32") == "bf16" {
        settings.products = Products::Bf16;
    }
    let rounds: usize = argument(5, "3").parse()?;
    let named = argument(6, "cpu");
    let device = BurnDevice::BUILT_IN.iter().copied().find(|device| device.name() == named);
    settings.device = device.ok_or_else(|| format!("there is no device `{named}` in this build"))?;

    // As lancer does.
    lancer_memory::keep_freed_memory();
    lancer_memory::move_into_large_pages();
    let mut learner = BurnLearner::load(Path::new(&model), &settings)?;
    let weights = learner.weights();
    // A third of each sequence is prompt.
    let prompt_length = tokens / 3;
    let token = |sequence: usize, i: usize| {
        let prompt = if is_dpo && i < prompt_length { sequence / 2 * 2 } else { sequence };
        TokenId((1000 + 37 * i + 101 * prompt) as u32 % 40_000)
    };
    let batch: Vec<TrainingSequence> = (0..sequences)
        .map(|sequence| {
            TrainingSequence::after_prompt((0..tokens).map(|i| token(sequence, i)).collect(), prompt_length)
        })
        .collect();
    let all = (sequences * tokens) as f64;

    let (mut log_probs, mut steps) = (Vec::new(), Vec::new());
    // The first step gets its memory from the system and takes up to twice as long.
    for round in 0..=rounds {
        let start = Instant::now();
        learner.log_probs(&batch)?;
        let reference = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let forward = learner.forward(&batch)?;
        let after_forward = start.elapsed().as_secs_f64();
        let weights: Vec<Vec<f32>> =
            forward.iter().map(|row| vec![-1.0 / row.len() as f32; row.len()]).collect();
        learner.backward(&weights)?;
        let after_backward = start.elapsed().as_secs_f64();
        learner.step(&StepSettings { learning_rate: 1e-6, ..StepSettings::default() })?;
        let step = start.elapsed().as_secs_f64();
        if round > 0 {
            log_probs.push(reference);
            steps.push(if is_dpo { reference + step } else { step });
        }
        println!(
            "step {step:.2} s: forward {after_forward:.2}, backward {:.2}, optimizer {:.2}",
            after_backward - after_forward,
            step - after_backward
        );
    }
    let (step, log_probs) = (median(steps), median(log_probs));
    let of_reference = if is_dpo { 2.0 } else { 0.0 };
    let flop = (of_reference + if is_lora { 4.0 } else { 6.0 }) * weights as f64 * all;
    println!(
        "{{\"weights\": {weights}, \"tokens\": {all}, \"tokens_per_second\": {:.1}, \"gflop_per_second\": {:.1}, \
         \"log_probs_tokens_per_second\": {:.1}}}",
        all / step,
        flop / step / 1e9,
        all / log_probs
    );
    Ok(())
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
