//! Servers that were installed, started for a test and ended with it.

use std::{
    env, fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use lancer_backend::{
    Backend,
    conformance::{self, Case},
};
use lancer_model::{ConvertFormat, Model, convert};
use tempfile::TempDir;

/// How long a server may take to load a model.
const START: Duration = Duration::from_mins(5);

/// A server while a test runs.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    log: PathBuf,
    /// Models and the log.
    _folder: TempDir,
}

/// The program that a variable of the environment names; `cargo xtask test --servers` installs and names them.
pub(crate) fn program(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The default model, where `cargo xtask setup` has put it.
pub(crate) fn default_model() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let model = cache?.join("lancer/models/SmolLM2-135M-Instruct.Q4_1.gguf");
    model.exists().then_some(model)
}

impl Server {
    /// vLLM on the processor, with a model in 32-bit floats.
    pub(crate) fn vllm(python: &Path, model: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let served = folder.path().join("model");
        convert(&Model::open(model).unwrap(), &served, ConvertFormat::F32).unwrap();
        let mut command = Command::new(python);
        command
            .args(["-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--dtype", "float32"])
            .args(["--served-model-name", "served", "--max-model-len", "2048", "--max-num-seqs", "32"])
            .args([
                "--structured-outputs-config",
                r#"{"backend": "xgrammar", "disable_any_whitespace": true}"#,
            ])
            .args(["--enforce-eager", "--generation-config", "vllm", "--model"])
            .arg(&served)
            .env("VLLM_CPU_KVCACHE_SPACE", "1")
            .env("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "True")
            .env("HF_HUB_OFFLINE", "1")
            .env("VLLM_NO_USAGE_STATS", "1");
        Self::start(command, folder)
    }

    /// llama.cpp's server, with a model in the numbers of its file.
    pub(crate) fn llama_cpp(program: &Path, model: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let served = if model.is_dir() {
            let served = folder.path().join("model.gguf");
            convert(&Model::open(model).unwrap(), &served, ConvertFormat::F32).unwrap();
            served
        } else {
            model.to_owned()
        };
        let mut command = Command::new(program);
        // Its threads wait for each other actively: on a busy machine two of them are far slower than one.
        command
            .args([
                "--threads",
                "1",
                "--host",
                "127.0.0.1",
                "--ctx-size",
                "8192",
                "--parallel",
                "4",
                "--model",
            ])
            .arg(&served);
        Self::start(command, folder)
    }

    /// The server of llama-cpp-python.
    pub(crate) fn llama_cpp_python(python: &Path, model: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(python);
        command
            .args([
                "-m",
                "llama_cpp.server",
                "--host",
                "127.0.0.1",
                "--n_ctx",
                "2048",
                "--n_threads",
                "1",
                "--model",
            ])
            .arg(model);
        Self::start(command, folder)
    }

    fn start(mut command: Command, folder: TempDir) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let log = folder.path().join("log");
        let file = fs::File::create(&log).unwrap();
        command.args(["--port", &port.to_string()]);
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap();
        let mut server = Self { child, address: format!("http://127.0.0.1:{port}"), log, _folder: folder };
        let begin = Instant::now();
        while !is_there(port) {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none() && begin.elapsed() < START, "no server: {}", server.log());
            thread::sleep(Duration::from_millis(200));
        }
        server
    }

    /// The end of what it has printed.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(60).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// Whether a server at the port answers that it is well.
fn is_there(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let request = format!("GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_end(&mut answer).is_ok()
        && answer.starts_with(b"HTTP/1.1 200")
}

impl Drop for Server {
    fn drop(&mut self) {
        // vLLM ends its other processes where it is asked to.
        #[cfg(unix)]
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(20)
            && self.child.try_wait().is_ok_and(|end| end.is_none())
        {
            thread::sleep(Duration::from_millis(100));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// Runs the conformance suite but for cases of these names, which have to exist.
pub(crate) fn conforms(engine: &mut dyn Backend, but_for: &[&str]) {
    let names: Vec<&str> = conformance::BACKEND.iter().map(|case| case.name).collect();
    assert!(but_for.iter().all(|name| names.contains(name)), "{but_for:?}");
    for Case { name, run } in conformance::BACKEND {
        if !but_for.contains(name) {
            eprintln!("{name}");
            run(engine);
        }
    }
}
