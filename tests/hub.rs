//! Data on the Hugging Face hub, read through a small server that answers as the hub does.

#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod program;

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use program::{command, text};

const DATA: &str = concat!(
    r#"{"prompt": "Name three kinds of bread.", "response": "Rye bread, pita bread and naan are three kinds of bread that many people eat."}"#,
    "\n",
);

/// Serves one file of one dataset until the test ends; gives the address.
fn hub(path: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer(&mut stream.unwrap(), path);
        }
    });
    address
}

fn answer(stream: &mut TcpStream, path: &str) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(|line| line.unwrap());
    let Some(request) = lines.next() else { return };
    let headers: HashMap<String, String> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())))
        .collect();
    if request.split(' ').nth(1) != Some(path) {
        stream
            .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .unwrap();
        return;
    }
    // `bytes=FIRST-LAST`, LAST included, or to the end.
    let range = headers["range"].trim_start_matches("bytes=").to_owned();
    let (first, last) = range.split_once('-').unwrap();
    let first: usize = first.parse().unwrap();
    let last = last.parse().unwrap_or(DATA.len() - 1);
    let part = &DATA[first..=last];
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\netag: \"abc\"\r\nx-repo-commit: 0123\r\nconnection: close\r\n\
         content-length: {}\r\ncontent-range: bytes {first}-{last}/{}\r\n\r\n{part}",
        part.len(),
        DATA.len(),
    )
    .unwrap();
}

#[test]
fn a_dataset_on_the_hub_is_read_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("cleaned.jsonl");
    let run = |endpoint: &str, from: &str| {
        command(&["clean", from, to.to_str().unwrap(), "--overwrite"])
            .env("HF_ENDPOINT", endpoint)
            .env("HF_HOME", folder.path())
            .output()
            .unwrap()
    };
    let endpoint = hub("/datasets/bakers/breads/resolve/v2/data/train.jsonl");

    let output = run(&endpoint, "hf://datasets/bakers/breads@v2/data/train.jsonl");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(fs::read_to_string(&to).unwrap().contains("Rye bread"));

    // Once fetched, no hub is needed.
    let output = run("http://127.0.0.1:9", "hf://datasets/bakers/breads@v2/data/train.jsonl");
    assert!(output.status.success(), "{}", text(&output.stderr));

    let output = run(&endpoint, "hf://datasets/bakers/breads@v2/data/absent.jsonl");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("hf://datasets/bakers/breads@v2/data/absent.jsonl") && said.contains("404"),
        "{said}"
    );
}
