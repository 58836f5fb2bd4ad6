//! Makes big inputs and times the crate on them, for `cargo xtask bench data`. Each command prints one JSON object.
//!
//! * `scale prompts|documents TEXTS COUNT OUT` writes texts like those of a folder, one JSON text a line.
//! * `scale near DEFINITION MEASURE THRESHOLD IN` finds the near copies among such texts.
//! * `scale minhash IN FLAGS` finds the near-duplicates among them, and writes for each text whether it has one.
//! * `scale sample TEXTS COUNT OUT` takes some of the real texts; `scale agree IN SCORES` compares the scores of every pair
//!   of them with those of other programs, and times both scoring them all and finding the near copies among them.

#![allow(clippy::unwrap_used, reason = "a measurement that fails ends with what failed")]

mod corpus;
mod join;
mod sample;

use std::{
    env,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use corpus::{Kind, Source};
use lancer_data::{Measure, Nearness};
use serde_json::{Value, json};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let printed = match arguments.as_slice() {
        [kind @ ("prompts" | "documents"), texts, count, out] => {
            let kind = if *kind == "prompts" { Kind::Prompts } else { Kind::Documents };
            write(&Source::read(Path::new(texts)), kind, count.parse().unwrap(), Path::new(out))
        }
        ["near", definition, measure, threshold, path] => {
            let nearness = Nearness {
                definition: serde_json::from_value(Value::from(*definition)).unwrap(),
                measure: serde_json::from_value::<Measure>(Value::from(*measure)).unwrap(),
                threshold: threshold.parse().unwrap(),
            };
            join::near_copies(&nearness, Path::new(path))
        }
        ["minhash", path, flags] => join::near_duplicates(Path::new(path), Path::new(flags)),
        ["sample", texts, count, out] => {
            sample::write(&Source::read(Path::new(texts)), count.parse().unwrap(), Path::new(out))
        }
        ["agree", texts, scores] => sample::agree(Path::new(texts), Path::new(scores)),
        _ => panic!("what is asked for is none of what the first lines of this program's source list"),
    };
    println!("{printed}");
}

fn write(source: &Source, kind: Kind, count: usize, out: &Path) -> Value {
    let mut file = BufWriter::new(File::create(out).unwrap());
    let (mut words, mut bytes) = (0, 0);
    for text in corpus::texts(source, kind, count) {
        words += text.split_whitespace().count();
        bytes += text.len();
        writeln!(file, "{}", Value::from(text)).unwrap();
    }
    file.flush().unwrap();
    json!({ "texts": count, "words": words, "bytes": bytes })
}
