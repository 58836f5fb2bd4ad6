//! Data on the Hugging Face hub, read through a small server that answers as the hub does.

#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod program;

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
};

use program::{TINY, command, text};
use serde_json::{Value, json};

const COMMIT: &str = "0123456789012345678901234567890123456789";
const DATA: &str = concat!(
    r#"{"prompt": "Name three kinds of bread.", "response": "Rye bread, pita bread and naan are three kinds of bread that many people eat."}"#,
    "\n",
);

/// What the hub has at a path.
type Content = dyn Fn(&str) -> Option<Vec<u8>> + Send;

/// Serves what `content` gives until the test ends; gives the address.
fn hub(content: Box<Content>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer(&mut stream.unwrap(), &*content);
        }
    });
    address
}

/// Serves one file of one dataset.
fn dataset(path: &'static str) -> String {
    hub(Box::new(move |asked| (asked == path).then(|| DATA.into())))
}

fn answer(stream: &mut TcpStream, content: &Content) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(|line| line.unwrap());
    let Some(request) = lines.next() else { return };
    let headers: HashMap<String, String> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())))
        .collect();
    let Some(content) = request.split(' ').nth(1).and_then(content) else {
        stream
            .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .unwrap();
        return;
    };
    // `bytes=FIRST-LAST`, LAST included, or to the end.
    let range = headers.get("range").map_or("0-", |range| range.trim_start_matches("bytes="));
    let (first, last) = range.split_once('-').unwrap();
    let first: usize = first.parse().unwrap();
    let last = last.parse().unwrap_or(content.len() - 1);
    let part = &content[first..=last];
    // A file is known by its own tag.
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\netag: \"{}-{}\"\r\nx-repo-commit: {COMMIT}\r\nconnection: close\r\n\
         content-length: {}\r\ncontent-range: bytes {first}-{last}/{}\r\n\r\n",
        content.len(),
        content.iter().map(|&byte| usize::from(byte)).sum::<usize>(),
        part.len(),
        content.len(),
    )
    .unwrap();
    stream.write_all(part).unwrap();
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
    let endpoint = dataset("/datasets/bakers/breads/resolve/v2/data/train.jsonl");

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

#[cfg(feature = "burn-cpu")]
#[test]
fn a_model_on_the_hub_is_fetched_once_and_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];
    let files = [&files[..], &["model.safetensors", "generation_config.json"]].concat();
    let endpoint = hub(Box::new(move |asked| {
        if asked == "/api/models/bakers/tiny/revision/main" {
            let names: Vec<Value> = files
                .iter()
                .chain(&["pytorch_model.bin", "onnx/model.onnx"])
                .map(|name| json!({ "rfilename": name }))
                .collect();
            return Some(json!({ "sha": COMMIT, "siblings": names }).to_string().into());
        }
        let name = asked.strip_prefix(&format!("/bakers/tiny/resolve/{COMMIT}/"))?;
        files.contains(&name).then(|| fs::read(Path::new(TINY).join(name)).unwrap())
    }));
    let task = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/tasks/everyday.toml");
    let run = |endpoint: &str, model: &str, is_offline: bool| {
        let mut command = command(&["eval", task, "--backend", "burn", "--threads", "1", "--model", model]);
        command.env("HF_ENDPOINT", endpoint).env("HF_HOME", folder.path());
        command.env("HF_HUB_OFFLINE", if is_offline { "1" } else { "0" });
        command.output().unwrap()
    };
    let first = run(&endpoint, "bakers/tiny", false);
    assert!(first.status.success(), "{}", text(&first.stderr));
    let snapshot = folder.path().join("hub/models--bakers--tiny/snapshots").join(COMMIT);
    assert!(snapshot.join("model.safetensors").exists() && !snapshot.join("onnx").exists());

    // Once fetched, no hub is needed; where it was forbidden, none is asked.
    for (endpoint, is_offline) in [("http://127.0.0.1:9", false), (endpoint.as_str(), true)] {
        let again = run(endpoint, "bakers/tiny", is_offline);
        assert!(again.status.success(), "{}", text(&again.stderr));
        assert_eq!(again.stdout, first.stdout);
    }

    for (model, is_offline, said) in
        [("bakers/absent", false, "404"), ("bakers/absent", true, "HF_HUB_OFFLINE forbids the network")]
    {
        let output = run(&endpoint, model, is_offline);
        assert!(!output.status.success());
        let stderr = text(&output.stderr);
        assert!(stderr.contains(said) && stderr.contains("bakers/absent"), "{stderr}");
    }
}
