//! Makes big inputs and times the crate on them, for `cargo xtask bench data`. Each command prints one JSON object.
//!
//! `scale prompts COUNT OUT` writes prompts of real-world length, `scale near IN` finds the near copies among them.

#![allow(clippy::unwrap_used, reason = "a measurement that fails ends with what failed")]

mod corpus;

use std::{
    env,
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    time::Instant,
};

use lancer_data::{Measure, Nearness, near_counts};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["prompts", texts, count, out] => prompts(Path::new(texts), count.parse().unwrap(), Path::new(out)),
        ["near", definition, measure, threshold, path] => {
            let named = |name: &str| serde_json::Value::from(name);
            let nearness = Nearness {
                definition: serde_json::from_value(named(definition)).unwrap(),
                measure: serde_json::from_value::<Measure>(named(measure)).unwrap(),
                threshold: threshold.parse().unwrap(),
            };
            near(&nearness, Path::new(path));
        }
        _ => panic!("scale prompts TEXTS COUNT OUT | scale near DEFINITION MEASURE THRESHOLD IN"),
    }
}

/// Writes prompts, one JSON text a line.
fn prompts(texts: &Path, count: usize, out: &Path) {
    let source = corpus::Source::read(texts);
    let mut file = BufWriter::new(File::create(out).unwrap());
    let mut words = 0;
    for prompt in corpus::prompts(&source, count) {
        words += prompt.split_whitespace().count();
        writeln!(file, "{}", serde_json::to_string(&prompt).unwrap()).unwrap();
    }
    file.flush().unwrap();
    println!("{}", serde_json::json!({ "texts": count, "words": words }));
}

fn near(nearness: &Nearness, path: &Path) {
    let texts = texts(path);
    let start = Instant::now();
    let pairs: usize = near_counts(&[], &texts, nearness).into_iter().sum();
    let seconds = start.elapsed().as_secs_f64();
    println!("{}", serde_json::json!({ "texts": texts.len(), "pairs": pairs, "seconds": seconds }));
}

fn texts(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
