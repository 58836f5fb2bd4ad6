//! A server that answers as vLLM does, from a script, and fails as servers do.

#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use lancer_model::Tokenizer;
use serde_json::{Value, json};

/// The model whose tokenizer the server has.
pub(crate) fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tiny-llama")
}

/// Ordinary tokens of the tiny model: no special ones.
const ORDINARY: std::ops::Range<u64> = 260..500;

/// A server until the process ends.
pub(crate) struct Fake {
    pub(crate) address: String,
    pub(crate) state: Arc<State>,
}

/// What it does, and what it has seen.
pub(crate) struct State {
    tokenizer: Tokenizer,
    /// Whether it fails now and then.
    pub(crate) is_faulty: AtomicBool,
    /// Requests beyond so many at a time are refused.
    pub(crate) room: AtomicUsize,
    pub(crate) in_flight: AtomicUsize,
    /// The most that were in flight.
    pub(crate) most: AtomicUsize,
    pub(crate) requests: AtomicU64,
    /// Completions that were sent whole.
    pub(crate) answered: AtomicU64,
    /// What each request gets instead of an answer, the next one last.
    pub(crate) script: Mutex<Vec<Instead>>,
    /// When each request for completions came.
    pub(crate) times: Mutex<Vec<Instant>>,
    /// The key that it asks for.
    pub(crate) key: Option<String>,
    /// Whether it can score.
    pub(crate) scores: bool,
}

/// What a request gets instead of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Instead {
    /// A status, a header and a text.
    Status(u16, &'static str, String),
    /// The connection is closed.
    Nothing,
    /// Half of the answer.
    Half,
}

impl Fake {
    pub(crate) fn start() -> Self {
        Self::with(None, true)
    }

    pub(crate) fn with(key: Option<&str>, scores: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            tokenizer: Tokenizer::from_folder(&tiny()).unwrap(),
            is_faulty: AtomicBool::new(false),
            room: AtomicUsize::new(usize::MAX),
            in_flight: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            script: Mutex::new(Vec::new()),
            times: Mutex::new(Vec::new()),
            key: key.map(str::to_owned),
            scores,
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                let connection = move || drop(state.connection(&stream));
                // Without a thread the connection is closed: one more fault.
                drop(thread::Builder::new().stack_size(512 << 10).spawn(connection));
            }
        });
        Self { address, state }
    }

    /// The tokens of the sample of a prompt under the number that a server gets for a seed.
    pub(crate) fn sample(prompt: &[u64], seed: u64, max_tokens: u64) -> Vec<u64> {
        let length = max_tokens.min(3 + hash(&(prompt, seed)) % 9);
        let mut tokens = prompt.to_vec();
        for _ in 0..length {
            let spread = ORDINARY.end - ORDINARY.start;
            tokens.push(ORDINARY.start + hash(&(&tokens, seed)) % spread);
        }
        tokens.split_off(prompt.len())
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The log-probability of a token after others, and its place among all.
fn log_prob(before: &[u64], token: u64) -> (f64, u64) {
    let greedy = Fake::sample(before, 0, 1)[0];
    if token == greedy { (-0.5, 1) } else { (-1.0 - (hash(&(before, token)) % 80) as f64 / 10.0, 2) }
}

impl State {
    fn connection(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let (mut length, mut key) = (0, String::new());
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(": ") else { break };
            match name.to_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap_or(0),
                "authorization" => value.clone_into(&mut key),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        if let Some(expected) = &self.key
            && key != format!("Bearer {expected}")
        {
            let said = json!({ "error": { "message": format!("Incorrect API key provided: {key}") } });
            return respond(&mut stream, 401, "", &said.to_string());
        }
        match path.as_str() {
            "/v1/models" => {
                let models = json!({ "data": [{ "id": "tiny", "owned_by": "vllm", "max_model_len": 512, "parent": null }] });
                respond(&mut stream, 200, "", &models.to_string())
            }
            "/version" => respond(&mut stream, 200, "", r#"{"version":"0.0.0"}"#),
            "/v1/completions" => {
                let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
                self.most.fetch_max(now, Ordering::SeqCst);
                self.times.lock().unwrap().push(Instant::now());
                let result = self.completions(&mut stream, &body, now);
                self.in_flight.fetch_sub(1, Ordering::SeqCst);
                result
            }
            _ => respond(&mut stream, 404, "", r#"{"detail":"Not Found"}"#),
        }
    }

    fn completions(&self, stream: &mut &TcpStream, body: &[u8], now: usize) -> std::io::Result<()> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer(&serde_json::from_slice(body).unwrap_or_default());
        let whole = answer.to_string();
        let instead = self.script.lock().unwrap().pop();
        match instead {
            Some(Instead::Status(status, header, text)) => {
                return respond(stream, status, header, &json!({ "error": { "message": text } }).to_string());
            }
            Some(Instead::Nothing) => return Ok(()),
            Some(Instead::Half) => return half(stream, &whole),
            None => {}
        }
        if now > self.room.load(Ordering::SeqCst) {
            return respond(
                stream,
                429,
                "Retry-After: 0.02\r\n",
                r#"{"error":{"message":"too many requests"}}"#,
            );
        }
        if self.is_faulty.load(Ordering::SeqCst) {
            match hash(&("fault", number)) % 100 {
                0..4 => thread::sleep(Duration::from_millis(number % 50)),
                4..7 => return half(stream, &whole),
                7..10 => return Ok(()),
                10..13 => return respond(stream, 429, "Retry-After: 0.01\r\n", "slow down"),
                13..16 => return respond(stream, 500, "", r#"{"error":"out of luck"}"#),
                16..18 => return respond(stream, 503, "", "<html>starting</html>"),
                18..21 => return respond(stream, 200, "", "<html>all is well</html>"),
                21..23 => return respond(stream, 200, "", r#"{"choices":[]}"#),
                23..25 => {
                    let mut wrong = answer;
                    wrong["choices"][0]["token_ids"] = json!([9_999_999]);
                    return respond(stream, 200, "", &wrong.to_string());
                }
                25..27 => {
                    let mut wrong = answer;
                    wrong["choices"][0]["finish_reason"] = json!("abort");
                    return respond(stream, 200, "", &wrong.to_string());
                }
                // Another's answer comes after its own.
                27..31 => {
                    respond(stream, 200, "", &whole)?;
                    let mut other = answer;
                    other["choices"][0]["token_ids"] = json!([300, 301]);
                    other["choices"][0]["logprobs"] = Value::Null;
                    self.answered.fetch_add(1, Ordering::SeqCst);
                    return respond(stream, 200, "", &other.to_string());
                }
                // It lies about what it took.
                31..40 => {
                    let mut lying = answer;
                    lying["usage"] = json!({ "prompt_tokens": 0, "completion_tokens": 1_u64 << 50 });
                    self.answered.fetch_add(1, Ordering::SeqCst);
                    return respond(stream, 200, "", &lying.to_string());
                }
                _ => {}
            }
        }
        respond(stream, 200, "", &whole)?;
        self.answered.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn answer(&self, body: &Value) -> Value {
        let numbers = |value: &Value| -> Vec<u64> {
            value.as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
        };
        let prompt = numbers(&body["prompt"]);
        let seed = if body["temperature"] == 0.0 { 0 } else { body["seed"].as_u64().unwrap_or(7) };
        let most = body["max_tokens"].as_u64().unwrap_or(16);
        let tokens = Fake::sample(&prompt, seed, most);
        let ids: Vec<u32> = tokens.iter().map(|&token| token as u32).collect();
        let mut text = self.tokenizer.decode(&ids);
        for stop in body["stop"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if let Some(at) = text.find(stop) {
                text.truncate(at);
            }
        }
        let before = |place: usize| [&prompt[..], &tokens[..place]].concat();
        let log_probs: Vec<f64> =
            tokens.iter().enumerate().map(|(place, &token)| log_prob(&before(place), token).0).collect();
        let names: Vec<String> = tokens.iter().map(|token| format!("token_id:{token}")).collect();
        let of_prompt = (self.scores && !body["prompt_logprobs"].is_null()).then(|| {
            let one = |place: usize| {
                let (log_prob, rank) = log_prob(&prompt[..place], prompt[place]);
                json!({ prompt[place].to_string(): { "logprob": log_prob, "rank": rank } })
            };
            (0..prompt.len())
                .map(|place| if place == 0 { Value::Null } else { one(place) })
                .collect::<Vec<_>>()
        });
        let finish = if tokens.len() as u64 == most { "length" } else { "stop" };
        let choice = |index: u64| {
            json!({
                "index": index, "text": text, "finish_reason": finish, "token_ids": tokens,
                "logprobs": { "tokens": names, "token_logprobs": log_probs },
                "prompt_logprobs": of_prompt,
            })
        };
        let choices: Vec<Value> = (0..body["n"].as_u64().unwrap_or(1)).map(choice).collect();
        json!({
            "choices": choices,
            "usage": { "prompt_tokens": prompt.len(), "completion_tokens": tokens.len() },
        })
    }
}

fn respond(stream: &mut &TcpStream, status: u16, header: &str, body: &str) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\n{header}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// An answer that is longer, by what it says of itself.
fn half(stream: &mut &TcpStream, body: &str) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 200 -\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body.as_bytes()[..body.len() / 2])
}
