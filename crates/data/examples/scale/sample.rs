//! Real texts, each compared with all before it, and with what other programs say of these pairs.

use std::{collections::BTreeMap, fs, hint::black_box, path::Path, time::Instant};

use lancer_data::{NearScope, Nearness, near, rouge::Definition};
use rand::seq::index;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use serde_json::{Value, json};

use crate::corpus::Source;

/// How often a time is taken; the least counts.
const TIMES: usize = 5;

/// Draws real texts, the same ones each time.
pub(crate) fn write(source: &Source, count: usize, out: &Path) -> Value {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let places = index::sample(&mut random, source.texts.len(), count);
    let texts: Vec<&String> = places.iter().map(|place| &source.texts[place]).collect();
    fs::write(out, json!(texts).to_string()).unwrap();
    json!({ "texts": texts.len(), "words": texts.iter().map(|text| text.split_whitespace().count()).sum::<usize>() })
}

/// `scores` holds, by definition, recall, precision and F1 of every pair: the second text, as the hypothesis, against the
/// first; then the third against the first, the third against the second, and so on.
pub(crate) fn agree(texts: &Path, scores: &Path) -> Value {
    let texts: Vec<String> = serde_json::from_slice(&fs::read(texts).unwrap()).unwrap();
    let scores: BTreeMap<String, Vec<[f64; 3]>> = serde_json::from_slice(&fs::read(scores).unwrap()).unwrap();
    let pairs = || (0..texts.len()).flat_map(|new| (0..new).map(move |earlier| (new, earlier)));
    let found = scores.into_iter().map(|(name, expected)| {
        let definition: Definition = serde_json::from_value(Value::from(name.as_str())).unwrap();
        assert_eq!(pairs().count(), expected.len());
        let score = |(new, earlier): (usize, usize)| definition.score(&texts[new], &texts[earlier]);
        let parts = pairs().zip(&expected).flat_map(|(pair, expected)| {
            let score = score(pair);
            [score.recall, score.precision, score.f1].into_iter().zip(*expected)
        });
        let difference = parts.map(|(found, expected)| (found - expected).abs()).fold(0.0, f64::max);
        let nearness = Nearness { definition, ..Nearness::default() };
        let near = || near(&[], &texts, &nearness, NearScope::Global).len();
        let over = expected.iter().filter(|parts| parts.iter().any(|&part| part > nearness.threshold));
        let found = json!({
            "pairs": expected.len(),
            "largest_difference": difference,
            "near_copies": near(),
            "near_copies_expected": over.count(),
            "scoring_seconds": seconds(|| pairs().map(|pair| score(pair).f1).sum::<f64>()),
            "joining_seconds": seconds(near),
        });
        (name, found)
    });
    found.collect()
}

fn seconds<T>(mut work: impl FnMut() -> T) -> f64 {
    let times = (0..TIMES).map(|_| {
        let start = Instant::now();
        black_box(work());
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}
