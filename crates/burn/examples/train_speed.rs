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
        let start = Clock::now();
        learner.log_probs(&batch)?;
        let log_probs = start.elapsed();
        let start = Clock::now();
        let forward = learner.forward(&batch)?;
        let forward_time = start.elapsed();
        let weights: Vec<Vec<f32>> =
            forward.iter().map(|row| vec![-1.0 / row.len() as f32; row.len()]).collect();
        learner.backward(&weights)?;
        let backward_time = start.elapsed();
        learner.step(&StepSettings { learning_rate: 1e-6, ..StepSettings::default() })?;
        let step = start.elapsed();
        println!(
            "{method}, in time (in processor time of all threads, which other programs do not lengthen):"
        );
        println!("  log_probs {:.0} tokens/s ({:.0})", all / log_probs.0, all / log_probs.1);
        println!("  step {:.0} tokens/s ({:.0})", all / step.0, all / step.1);
        println!(
            "  forward {:.2} s ({:.2}), backward {:.2} s ({:.2}), optimizer {:.2} s ({:.2})",
            forward_time.0,
            forward_time.1,
            backward_time.0 - forward_time.0,
            backward_time.1 - forward_time.1,
            step.0 - backward_time.0,
            step.1 - backward_time.1,
        );
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status")
        && let Some(peak) = status.lines().find(|line| line.starts_with("VmHWM"))
    {
        println!("{peak}");
    }
    Ok(())
}

/// Time and processor time since a moment.
struct Clock {
    start: Instant,
    processor: f64,
}

impl Clock {
    fn now() -> Self {
        Self { start: Instant::now(), processor: processor_time() }
    }

    /// Both in seconds.
    fn elapsed(&self) -> (f64, f64) {
        (self.start.elapsed().as_secs_f64(), processor_time() - self.processor)
    }
}

/// Processor time of this process in seconds, where the system tells it in Linux's way; otherwise 0.
fn processor_time() -> f64 {
    let Ok(text) = fs::read_to_string("/proc/self/stat") else { return 0.0 };
    // After the name in parentheses: user and system time are the 12th and 13th fields, in hundredths of a second.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}
