//! `lancer serve`, and what it answers over a real connection.

#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use serde_json::Value;

use super::program::command;

/// A page that is served until it is dropped.
pub(crate) struct Page {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) token: Option<String>,
}

impl Page {
    pub(crate) fn new(folder: &Path, more: &[&str]) -> Self {
        let folder = folder.display().to_string();
        let arguments =
            [&["--json", "serve", &folder, "--port", "0", "--threads", "1", "--person", "Ada"], more]
                .concat();
        let mut child = command(&arguments).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let address = ready["address"].as_str().unwrap().strip_prefix("http://").unwrap();
        let (address, rest) = address.split_once('/').unwrap();
        let token = rest.strip_prefix("?token=").map(str::to_owned);
        Self { child, address: address.replace("0.0.0.0", "127.0.0.1").parse().unwrap(), token }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        // For a server that does not answer: none of the answers here takes long.
        stream.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
        stream
    }

    /// Asks for the news of a run.
    pub(crate) fn watch(&self, run: &str) -> TcpStream {
        let mut stream = self.connect();
        write!(stream, "GET /api/run/events?run={run} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address).unwrap();
        stream
    }

    /// Sends a request with these headers beside `Host`, and gives status, headers and body.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let host = format!("{}", self.address);
        let has_host = headers.iter().any(|(name, _)| *name == "Host");
        let mut stream = self.connect();
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n").into_bytes();
        if !has_host {
            write!(request, "Host: {host}\r\n").unwrap();
        }
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        write!(request, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        stream.write_all(&request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        Answer::of(&String::from_utf8_lossy(&answer))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    /// What the page itself sends.
    pub(crate) fn tell(&self, path: &str, body: &Value) -> Answer {
        let origin = format!("http://{}", self.address);
        self.send(
            "POST",
            path,
            &[("Origin", &origin), ("Content-Type", "application/json")],
            &body.to_string(),
        )
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn of(text: &str) -> Self {
        let (headers, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, headers: headers.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The first event of a stream.
pub(crate) fn first_event(stream: TcpStream) -> Value {
    let mut lines = BufReader::new(stream).lines();
    let line = lines.find_map(|line| line.unwrap().strip_prefix("data: ").map(str::to_owned)).unwrap();
    serde_json::from_str(&line).unwrap()
}
