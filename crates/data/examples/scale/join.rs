//! Finds texts that are alike in a file of JSON texts, one a line.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
    time::Instant,
};

use lancer_data::{MinHashJoin, MinHashSettings, Nearness, near_counts};
use serde_json::{Value, json};

/// Texts that are hashed at once.
const BATCH: usize = 8192;

fn lines(path: &Path) -> impl Iterator<Item = String> {
    let lines = BufReader::new(File::open(path).unwrap()).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

/// The number of pairs that are near copies, and how long it took from texts to it.
pub(crate) fn near_copies(nearness: &Nearness, path: &Path) -> Value {
    let texts: Vec<String> = lines(path).collect();
    let start = Instant::now();
    let pairs: usize = near_counts(&[], &texts, nearness).into_iter().sum();
    json!({ "texts": texts.len(), "pairs": pairs, "seconds": start.elapsed().as_secs_f64() })
}

/// How long hashing and clustering took, reading left out; `flags` gets a list of whether each text is in a cluster of
/// several.
pub(crate) fn near_duplicates(path: &Path, flags: &Path) -> Value {
    let folder = flags.parent().unwrap();
    let mut join = MinHashJoin::new(MinHashSettings::default(), folder).unwrap();
    let (mut texts, mut hashing) = (0, 0.0);
    let mut batch = Vec::with_capacity(BATCH);
    let mut add = |batch: &mut Vec<String>| {
        let start = Instant::now();
        join.add(batch).unwrap();
        hashing += start.elapsed().as_secs_f64();
        texts += batch.len();
        batch.clear();
    };
    for text in lines(path) {
        batch.push(text);
        if batch.len() == BATCH {
            add(&mut batch);
        }
    }
    add(&mut batch);
    let start = Instant::now();
    let clusters = join.clusters().unwrap();
    let clustering = start.elapsed().as_secs_f64();
    let firsts = clusters.firsts();
    let mut sizes = vec![0; firsts.len()];
    for &first in firsts {
        sizes[first as usize] += 1;
    }
    let alike: Vec<bool> = firsts.iter().map(|&first| sizes[first as usize] > 1).collect();
    fs::write(flags, Value::from(alike).to_string()).unwrap();
    json!({
        "texts": texts,
        "hashing_seconds": hashing,
        "clustering_seconds": clustering,
        "seconds": hashing + clustering,
        "clusters": sizes.iter().filter(|&&size| size > 1).count(),
    })
}
