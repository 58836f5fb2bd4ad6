//! Measures training steps: tokens a second of `log_probs` and of whole steps, and the largest memory use.
//!
//! `cargo run --release -p lancer-burn --example train_speed -- MODEL [full|lora|full-recompute|lora-recompute] [SEQUENCES] [TOKENS]`

use std::{env, error::Error, fs, path::Path, time::Instant};

use lancer_backend::{Learner, StepSettings, TokenId, TrainingSequence};
use lancer_burn::{Activations, BurnLearner, LoraSettings, TrainSettings};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let argument =
        |place: usize, default: &str| arguments.get(place).cloned().unwrap_or_else(|| default.to_owned());
    let model = argument(0, "");
    let method = argument(1, "full");
    let (sequences, tokens): (usize, usize) = (argument(2, "8").parse()?, argument(3, "120").parse()?);
    let mut settings = match method.as_str() {
        "lora" | "lora-recompute" => TrainSettings::lora(LoraSettings::default()),
        _ => TrainSettings::default(),
    };
    if method.ends_with("recompute") {
        settings.activations = Activations::Recompute;
    }

    let start = Instant::now();
    let mut learner = BurnLearner::load(Path::new(&model), &settings)?;
    println!("loaded in {:.1} s", start.elapsed().as_secs_f64());
    // A third of each sequence is prompt.
    let batch: Vec<TrainingSequence> = (0..sequences)
        .map(|sequence| TrainingSequence {
            tokens: (0..tokens).map(|i| TokenId((1000 + 37 * i + 101 * sequence) as u32 % 40_000)).collect(),
            prompt_length: tokens / 3,
        })
        .collect();
    let all = (sequences * tokens) as f64;

    for _ in 0..3 {
        let start = Instant::now();
        learner.log_probs(&batch)?;
        let log_probs = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let forward = learner.forward(&batch)?;
        let forward_time = start.elapsed().as_secs_f64();
        let weights: Vec<Vec<f32>> =
            forward.iter().map(|row| vec![-1.0 / row.len() as f32; row.len()]).collect();
        learner.backward(&weights)?;
        let backward_time = start.elapsed().as_secs_f64() - forward_time;
        learner.step(&StepSettings { learning_rate: 1e-6, ..StepSettings::default() })?;
        let step = start.elapsed().as_secs_f64();
        println!(
            "{method}: log_probs {:.0} tokens/s; step {:.0} tokens/s (forward {forward_time:.2} s, backward \
             {backward_time:.2} s, optimizer {:.2} s)",
            all / log_probs,
            all / step,
            step - forward_time - backward_time,
        );
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status")
        && let Some(peak) = status.lines().find(|line| line.starts_with("VmHWM"))
    {
        println!("{peak}");
    }
    Ok(())
}
