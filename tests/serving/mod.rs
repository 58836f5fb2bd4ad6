//! A server with vLLM's interface over an engine of ours, with the tiny model.

#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::mpsc::{self, Sender},
    thread,
};

use lancer_backend::{
    Backend, Collect, Completion, Constraint, Finish, GenerateRequest, Grammar, Learner, Penalties, Prompt,
    RandomSampling, Sampling, Seed, TokenId, TrainingSequence,
};
use lancer_burn::{BurnBackend, BurnLearner, BurnSettings, TrainSettings};
use serde_json::{Value, json};

/// The longest sequence that it takes.
pub(crate) const LONGEST: usize = 512;

/// A question to the engine, and where its answer goes.
type Question = (Value, Sender<(u16, Value)>);

/// A server until the process ends.
pub(crate) struct Served {
    pub(crate) address: String,
}

/// The model as it is served.
struct Model {
    backend: BurnBackend,
    learner: BurnLearner,
    folder: PathBuf,
}

impl Model {
    fn load(folder: &Path) -> Self {
        Self {
            backend: BurnBackend::load(folder, &BurnSettings::default()).unwrap(),
            learner: BurnLearner::load(folder, &TrainSettings::default()).unwrap(),
            folder: folder.to_owned(),
        }
    }
}

/// Serves the model in the folder that the file `of` names, which may change; asks for `key` where there is one.
pub(crate) fn serve(of: &Path, key: Option<&'static str>) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (questions, asked) = mpsc::channel::<Question>();
    let of = of.to_owned();
    thread::spawn(move || {
        let folder = || PathBuf::from(fs::read_to_string(&of).unwrap().trim());
        let mut model = Model::load(&folder());
        for (question, answer) in asked {
            if folder() != model.folder {
                model = Model::load(&folder());
            }
            // Who asked may be gone.
            let _ = answer.send(model.answer(&question));
        }
    });
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let questions = questions.clone();
            thread::spawn(move || drop(connection(&stream, &questions, key)));
        }
    });
    Served { address }
}

fn connection(
    mut stream: &TcpStream,
    questions: &Sender<Question>,
    key: Option<&str>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut given) = (0, String::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "authorization" => value.clone_into(&mut given),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let is_open = key.is_none_or(|key| given == format!("Bearer {key}"));
    let (status, answer) = match path.as_str() {
        _ if !is_open => (401, json!({ "error": { "message": format!("wrong key: {given}") } })),
        "/v1/models" => (
            200,
            json!({ "data": [{ "id": "tiny", "owned_by": "vllm", "max_model_len": LONGEST + 1, "parent": null }] }),
        ),
        "/version" => (200, json!({ "version": "ours" })),
        "/v1/completions" => {
            let (sender, answer) = mpsc::channel();
            questions.send((serde_json::from_slice(&body).unwrap_or_default(), sender)).unwrap();
            answer.recv().unwrap()
        }
        _ => (404, json!({ "detail": "Not Found" })),
    };
    let body = answer.to_string();
    write!(stream, "HTTP/1.1 {status} -\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Penalties and biases as vLLM takes them.
fn penalties(body: &Value) -> Penalties {
    let number = |name: &str, neutral: f64| body[name].as_f64().unwrap_or(neutral) as f32;
    let bias = body["logit_bias"].as_object().into_iter().flatten();
    Penalties {
        repetition: number("repetition_penalty", 1.0),
        presence: number("presence_penalty", 0.0),
        frequency: number("frequency_penalty", 0.0),
        bias: bias
            .filter_map(|(token, bias)| Some((TokenId(token.parse().ok()?), bias.as_f64()? as f32)))
            .collect(),
    }
}

impl Model {
    fn answer(&mut self, body: &Value) -> (u16, Value) {
        let prompt: Vec<TokenId> = body["prompt"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_u64)
            .map(|token| TokenId(token as u32))
            .collect();
        let sampling = match body["temperature"].as_f64() {
            Some(0.0) => Sampling::Greedy,
            temperature => Sampling::Random(RandomSampling {
                temperature: temperature.unwrap_or(1.0) as f32,
                top_k: body["top_k"].as_u64().and_then(|top_k| NonZeroU32::new(top_k as u32)),
                top_p: body["top_p"].as_f64().unwrap_or(1.0) as f32,
                min_p: body["min_p"].as_f64().unwrap_or(0.0) as f32,
            }),
        };
        let seed = body["seed"].as_u64().unwrap_or(7);
        let count = body["n"].as_u64().unwrap_or(1);
        let request = GenerateRequest {
            prompt: Prompt::Tokens(prompt.clone()),
            seeds: (0..count).map(|sample| Seed(seed + sample)).collect(),
            sampling,
            penalties: penalties(body),
            max_tokens: body["max_tokens"].as_u64().unwrap_or(16) as usize,
            stop: texts(&body["stop"]),
            constraint: constraint(&body["structured_outputs"]),
        };
        // A sample may not know what was asked before it.
        self.backend.forget();
        let mut completions = Collect::default();
        if let Err(error) = self.backend.generate(&[request], &mut completions) {
            return (400, json!({ "error": { "message": error.to_string() } }));
        }
        completions.0.sort_by_key(|completion| completion.sample);
        let of_prompt = (!body["prompt_logprobs"].is_null()).then(|| self.of_prompt(&prompt));
        let choices: Vec<Value> =
            completions.0.iter().map(|completion| Self::choice(completion, of_prompt.as_ref())).collect();
        (200, json!({ "choices": choices, "usage": { "prompt_tokens": prompt.len() } }))
    }

    fn choice(completion: &Completion, of_prompt: Option<&Vec<Value>>) -> Value {
        let names: Vec<String> =
            completion.tokens.iter().map(|token| format!("token_id:{}", token.0)).collect();
        let finish = match completion.finish {
            Finish::EndOfTurn | Finish::Stop => "stop",
            Finish::MaxTokens | Finish::ContextFull => "length",
        };
        json!({
            "index": completion.sample, "text": completion.text, "finish_reason": finish,
            "token_ids": completion.tokens,
            "logprobs": { "tokens": names, "token_logprobs": completion.log_probs },
            "prompt_logprobs": of_prompt,
        })
    }

    /// vLLM's table for each token of a prompt.
    fn of_prompt(&mut self, prompt: &[TokenId]) -> Vec<Value> {
        if prompt.len() < 2 {
            return vec![Value::Null; prompt.len()];
        }
        let sequence = TrainingSequence::after_prompt(prompt.to_vec(), 1);
        let log_probs = self.learner.log_probs(&[sequence]).unwrap().remove(0);
        let requests: Vec<GenerateRequest> = (1..prompt.len())
            .map(|end| GenerateRequest::new(Prompt::Tokens(prompt[..end].to_vec())).max_tokens(1))
            .collect();
        let mut greedy = vec![None; requests.len()];
        let mut completions = Collect::default();
        self.backend.forget();
        self.backend.generate(&requests, &mut completions).unwrap();
        for completion in completions.0 {
            // None where the turn ends.
            greedy[completion.request] = completion.tokens.first().copied();
        }
        let one = |place: usize| {
            let token = prompt[place];
            let is_greedy = greedy[place - 1].map_or(token == TokenId(2), |greedy| greedy == token);
            json!({ token.0.to_string(): { "logprob": log_probs[place - 1], "rank": if is_greedy { 1 } else { 2 } } })
        };
        (0..prompt.len()).map(|place| if place == 0 { Value::Null } else { one(place) }).collect()
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn constraint(fields: &Value) -> Constraint {
    if let Some(pattern) = fields["regex"].as_str() {
        return Constraint::Grammar(Grammar::Regex(pattern.into()));
    }
    if fields["json"].is_object() {
        return Constraint::Grammar(Grammar::JsonSchema(fields["json"].to_string()));
    }
    match texts(&fields["choice"]) {
        choices if choices.is_empty() => Constraint::Free,
        choices => Constraint::Choices(choices),
    }
}
