//! How fast a model generates and scores with given settings, as one line of JSON.
//!
//! ```text
//! cargo run --release -p lancer-llama-cpp --example throughput -- model.gguf generate requests.jsonl parallel=32
//! cargo run --release -p lancer-llama-cpp --example throughput -- model.gguf score pairs.jsonl step_tokens=256
//! ```
//!
//! A line of `requests.jsonl` has `content` (what the user says), `samples`, `max_tokens`, `temperature` and `top_p`; one
//! of `pairs.jsonl` has `prompt` and `response`, of which log p(response | prompt) is computed. Settings: `threads`,
//! `parallel`, `cache_tokens`, `step_tokens`, `attention` (`f32`, `flash`).

use std::{error::Error, fs, ops::ControlFlow, path::Path, time::Instant};

use lancer_backend::{
    Backend, Collect, Continuation, GenerateRequest, Prompt, Sampling, ScoreRequest, Seed, Usage,
};
use lancer_llama_cpp::{Attention, LlamaCpp, LlamaCppSettings};
use serde::{Deserialize, de::DeserializeOwned};

#[derive(Deserialize)]
struct Request {
    content: String,
    samples: usize,
    max_tokens: usize,
    temperature: f32,
    top_p: f32,
}

#[derive(Deserialize)]
struct Pair {
    prompt: String,
    response: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, what, file, settings @ ..] = arguments.as_slice() else {
        return Err("give a model, `generate` or `score`, and a file".into());
    };
    let start = Instant::now();
    let mut engine = LlamaCpp::load(Path::new(model), &engine_settings(settings)?)?;
    let load = start.elapsed().as_secs_f64();
    let (clock, processor) = (Instant::now(), processor_seconds()?);
    let (usage, result) = match what.as_str() {
        "generate" => generate(&mut engine, &read(file)?)?,
        "score" => score(&mut engine, &read(file)?)?,
        _ => return Err("what is to be done is `generate` or `score`".into()),
    };
    let (seconds, processor) = (clock.elapsed().as_secs_f64(), processor_seconds()? - processor);
    let report = serde_json::json!({
        "format": engine.info().format,
        "load_seconds": load,
        "seconds": seconds,
        "processor_seconds": processor,
        "read": usage.read,
        "reused": usage.reused,
        "generated": usage.generated,
        "result": result,
    });
    println!("{report}");
    Ok(())
}

fn engine_settings(changes: &[String]) -> Result<LlamaCppSettings, Box<dyn Error>> {
    let mut settings = LlamaCppSettings::default();
    for change in changes {
        let (name, value) = change.split_once('=').ok_or("a setting is name=value")?;
        match name {
            "attention" if value == "flash" => settings.attention = Some(Attention::Flash),
            "attention" => settings.attention = Some(Attention::F32),
            "threads" => settings.threads = Some(value.parse()?),
            "parallel" => settings.parallel = Some(value.parse()?),
            "cache_tokens" => settings.cache_tokens = value.parse()?,
            "step_tokens" => settings.step_tokens = value.parse()?,
            _ => return Err(format!("no setting is called {name}").into()),
        }
    }
    Ok(settings)
}

fn read<T: DeserializeOwned>(file: &str) -> Result<Vec<T>, Box<dyn Error>> {
    Ok(fs::read_to_string(file)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// Every sample of every request; the result is the number of samples.
fn generate(engine: &mut dyn Backend, requests: &[Request]) -> Result<(Usage, f64), Box<dyn Error>> {
    let requests: Vec<GenerateRequest> = requests
        .iter()
        .enumerate()
        .map(|(number, request)| {
            GenerateRequest::new(Prompt::user(&request.content))
                .sampling(Sampling::nucleus(request.temperature, request.top_p))
                .samples(Seed(number as u64), request.samples)
                .max_tokens(request.max_tokens)
        })
        .collect();
    let mut samples = Collect::default();
    let usage = engine.generate(&requests, &mut samples)?;
    Ok((usage, samples.0.len() as f64))
}

/// Every response given its prompt; the result is the mean log-probability of a token.
fn score(engine: &mut dyn Backend, pairs: &[Pair]) -> Result<(Usage, f64), Box<dyn Error>> {
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
    Ok((usage, log_prob / tokens as f64))
}

/// What this process has had of all processors (Linux: `/proc/self/stat`, in hundredths of a second).
fn processor_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name of the program, in brackets, may hold spaces; after it, fields 12 and 13 are user and system time.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}
