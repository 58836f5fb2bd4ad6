//! How fast a model generates and scores with given settings.
//!
//! ```text
//! cargo run --release -p lancer-llama-cpp --example throughput -- model.gguf pairs.jsonl generate parallel=32
//! cargo run --release -p lancer-llama-cpp --example throughput -- model.gguf pairs.jsonl score step_tokens=256
//! ```
//!
//! `pairs.jsonl` has a `prompt` and a `response` a line. `generate` draws 4 samples of at most 128 tokens for each of the
//! first 40 prompts, `score` gives log p(response | prompt) of every pair. Settings: `threads`, `parallel`,
//! `cache_tokens`, `step_tokens`, `attention` (`f32`, `flash`); `requests` takes only so many pairs.

use std::{error::Error, fs, num::NonZeroU32, ops::ControlFlow, path::Path, time::Instant};

use lancer_backend::{
    Backend, Collect, Continuation, GenerateRequest, Prompt, Sampling, ScoreRequest, Seed, Usage,
};
use lancer_llama_cpp::{Attention, LlamaCpp, LlamaCppSettings};
use serde::Deserialize;

#[derive(Deserialize)]
struct Pair {
    prompt: String,
    response: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, pairs, what, settings @ ..] = arguments.as_slice() else {
        return Err("give a model, a file of pairs, and `generate` or `score`".into());
    };
    let mut pairs = fs::read_to_string(pairs)?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Pair>, serde_json::Error>>()?;
    let mut loaded = LlamaCppSettings::default();
    for setting in settings {
        let (name, value) = setting.split_once('=').ok_or("a setting is name=value")?;
        if name == "attention" {
            loaded.attention = if value == "flash" { Attention::Flash } else { Attention::F32 };
            continue;
        }
        let value: NonZeroU32 = value.parse()?;
        match name {
            "threads" => loaded.threads = Some(value),
            "parallel" => loaded.parallel = value,
            "cache_tokens" => loaded.cache_tokens = value,
            "step_tokens" => loaded.step_tokens = value,
            "requests" => pairs.truncate(value.get() as usize),
            _ => return Err(format!("no setting is called {name}").into()),
        }
    }
    let mut engine = LlamaCpp::load(Path::new(model), &loaded)?;
    let (clock, processor) = (Instant::now(), processor_seconds()?);
    let (usage, result) = match what.as_str() {
        "generate" => generate(&mut engine, &pairs)?,
        "score" => score(&mut engine, &pairs)?,
        _ => return Err("what is to be done is `generate` or `score`".into()),
    };
    let (wall, processor) = (clock.elapsed().as_secs_f64(), processor_seconds()? - processor);
    let tokens = (usage.read + usage.generated) as f64;
    println!(
        "{what} {} {}: {:.0} tokens/s, {:.0} a processor second; {wall:.1} s; read {}, reused {}, generated {}; {result}",
        engine.info().format,
        settings.join(" "),
        tokens / wall,
        tokens / processor,
        usage.read,
        usage.reused,
        usage.generated
    );
    Ok(())
}

fn generate(engine: &mut dyn Backend, pairs: &[Pair]) -> Result<(Usage, String), Box<dyn Error>> {
    let requests: Vec<GenerateRequest> = pairs
        .iter()
        .take(40)
        .enumerate()
        .map(|(number, pair)| {
            GenerateRequest::new(Prompt::user(&pair.prompt))
                .sampling(Sampling::Nucleus { temperature: 0.7, top_p: 0.9 })
                .samples(Seed(number as u64), 4)
                .max_tokens(128)
        })
        .collect();
    let mut samples = Collect::default();
    let usage = engine.generate(&requests, &mut samples)?;
    Ok((usage, format!("{} samples", samples.0.len())))
}

fn score(engine: &mut dyn Backend, pairs: &[Pair]) -> Result<(Usage, String), Box<dyn Error>> {
    let requests: Vec<ScoreRequest> = pairs
        .iter()
        .map(|pair| ScoreRequest {
            prompt: Prompt::user(&pair.prompt),
            continuations: vec![Continuation::closed(&pair.response)],
        })
        .collect();
    let (mut log_prob, mut tokens) = (0.0, 0);
    let usage = engine.score(&requests, &mut |_, scored| {
        log_prob += scored[0].sum();
        tokens += scored[0].tokens.len();
        ControlFlow::Continue(())
    })?;
    Ok((usage, format!("mean log p of {tokens} tokens {:.4}", log_prob / tokens as f64)))
}

/// What this process has had of all processors (Linux: `/proc/self/stat`, in hundredths of a second).
fn processor_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name of the program, in brackets, may hold spaces; after it, fields 12 and 13 are user and system time.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}
