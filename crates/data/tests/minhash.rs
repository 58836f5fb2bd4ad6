//! Near-duplicates against an exact join by Jaccard similarity.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{collections::HashSet, num::NonZeroUsize, path::Path};

use lancer_data::{MinHash, MinHashJoin, MinHashSettings};
use rand::{Rng, seq::IndexedRandom};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// Texts of 60 to 200 words, many of them another one with up to a third of the words changed.
fn texts(count: usize) -> Vec<String> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut texts: Vec<Vec<u32>> = Vec::new();
    for _ in 0..count {
        let text = match texts.choose(&mut random).cloned() {
            Some(mut text) if random.random_bool(0.6) => {
                let part = random.random_range(0.0..0.1);
                for word in &mut text {
                    if random.random_bool(part) {
                        *word = random.random_range(0..5000);
                    }
                }
                text
            }
            _ => (0..random.random_range(60..200)).map(|_| random.random_range(0..5000)).collect(),
        };
        texts.push(text);
    }
    let words = |text: Vec<u32>| text.iter().map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ");
    texts.into_iter().map(words).collect()
}

fn shingles(text: &str, words: usize) -> HashSet<Vec<&str>> {
    let all: Vec<&str> = text.split_whitespace().collect();
    all.windows(words).map(<[&str]>::to_vec).collect()
}

fn jaccard(one: &HashSet<Vec<&str>>, two: &HashSet<Vec<&str>>) -> f64 {
    let common = one.intersection(two).count() as f64;
    common / (one.len() + two.len()) as f64 / (1.0 - common / (one.len() + two.len()) as f64)
}

#[test]
fn signatures_estimate_the_similarity() {
    let texts = texts(200);
    let settings = MinHashSettings { permutations: 256, ..MinHashSettings::default() };
    let hash = MinHash::new(settings).unwrap();
    let signatures: Vec<Vec<u32>> = texts.iter().map(|text| hash.signature(text)).collect();
    let sets: Vec<_> = texts.iter().map(|text| shingles(text, 5)).collect();
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
    for one in 0..texts.len() {
        for two in 0..one {
            let exact = jaccard(&sets[one], &sets[two]);
            let equal = signatures[one].iter().zip(&signatures[two]).filter(|(one, two)| one == two).count();
            let error = equal as f64 / 256.0 - exact;
            // Six standard errors.
            assert!(error.abs() <= 6.0 * (exact * (1.0 - exact) / 256.0).sqrt() + 1e-9, "{exact} {error}");
            if exact > 0.05 && exact < 0.999 {
                (sum, squares, count) =
                    (sum + error, squares + error * error / (exact * (1.0 - exact) / 256.0), count + 1.0);
            }
        }
    }
    // No bias, and the variance of independent hash functions.
    assert!(count > 400.0, "{count}");
    assert!((sum / count).abs() < 0.01, "{}", sum / count);
    assert!((0.7..1.4).contains(&(squares / count)), "{}", squares / count);
}

#[test]
fn pairs_share_a_bucket_as_often_as_the_probability_says() {
    let texts = texts(400);
    let sets: Vec<_> = texts.iter().map(|text| shingles(text, 5)).collect();
    let (mut expected, mut variance, mut found) = (0.0, 0.0, 0.0);
    for seed in 0..5 {
        let settings = MinHashSettings { seed, ..MinHashSettings::default() };
        let bands = settings.bands();
        // Pairs alone: a cluster of more says nothing of its pairs.
        for one in (1..texts.len()).step_by(7) {
            for two in 0..one {
                let exact = jaccard(&sets[one], &sets[two]);
                if exact < 0.3 {
                    continue;
                }
                let mut join = MinHashJoin::new(settings, &std::env::temp_dir()).unwrap();
                join.add(&[&texts[one], &texts[two]]).unwrap();
                found += f64::from(join.clusters().unwrap().firsts() == [0, 0]);
                let probability = bands.probability(exact);
                expected += probability;
                variance += probability * (1.0 - probability);
            }
        }
    }
    // Pairs with one text in common, and of one seed, are not independent: the limit is wide.
    assert!(expected > 50.0 && variance > 10.0, "{expected} {variance}");
    assert!(
        (found - expected).abs() < 8.0 * variance.sqrt(),
        "found {found}, expected {expected} +- {variance}"
    );
}

#[test]
fn clusters_are_those_of_the_exact_join_where_the_probability_leaves_no_doubt() {
    let texts = texts(600);
    let sets: Vec<_> = texts.iter().map(|text| shingles(text, 5)).collect();
    let settings = MinHashSettings::default();
    let bands = settings.bands();
    let mut join = MinHashJoin::new(settings, &std::env::temp_dir()).unwrap();
    for piece in texts.chunks(37) {
        join.add(piece).unwrap();
    }
    let clusters = join.clusters().unwrap();
    let firsts = clusters.firsts();
    // Joined for certain: what the sure pairs join. Apart for certain: what even all possible pairs do not join.
    let joined_over = |least: f64| {
        let mut first: Vec<usize> = (0..texts.len()).collect();
        for one in 0..texts.len() {
            for two in 0..one {
                if bands.probability(jaccard(&sets[one], &sets[two])) > least && first[one] != first[two] {
                    let (from, to) = (first[one].max(first[two]), first[one].min(first[two]));
                    first.iter_mut().filter(|first| **first == from).for_each(|first| *first = to);
                }
            }
        }
        first
    };
    let (sure, possible) = (joined_over(1.0 - 1e-6), joined_over(1e-6));
    let mut joined = 0;
    for one in 0..texts.len() {
        for two in 0..one {
            let together = firsts[one] == firsts[two];
            assert!(together || sure[one] != sure[two], "{one} and {two} are near-duplicates");
            assert!(!together || possible[one] == possible[two], "{one} and {two} are not near-duplicates");
            joined += usize::from(together);
        }
    }
    assert!(joined > 50, "{joined}");
}

#[test]
fn what_stands_in_files_changes_nothing() {
    let texts = texts(300);
    let clusters = |held: usize, piece: usize| {
        let scratch = tempfile::tempdir().unwrap();
        let settings = MinHashSettings::default();
        let held = NonZeroUsize::new(held).unwrap();
        let mut join = MinHashJoin::holding(held, settings, scratch.path()).unwrap();
        texts.chunks(piece).for_each(|piece| join.add(piece).unwrap());
        let files = walk(scratch.path());
        let clusters = join.clusters().unwrap();
        assert_eq!(walk(scratch.path()), 0, "its files are gone");
        (files, clusters)
    };
    let (files, expected) = clusters(1000, 300);
    assert_eq!(files, 0);
    assert!(
        expected.firsts().iter().enumerate().filter(|(text, first)| **first as usize != *text).count() > 10
    );
    for (held, piece, files) in [(1, 7, 300), (64, 300, 4), (100, 1, 3), (299, 50, 1)] {
        assert_eq!(clusters(held, piece), (files, expected.clone()), "{held} held, {piece} at a time");
    }
}

/// How many files are in the folders of a folder.
fn walk(folder: &Path) -> usize {
    let folders = std::fs::read_dir(folder).unwrap();
    folders.map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
}

#[test]
fn settings_out_of_range_are_named() {
    let default = MinHashSettings::default();
    for (settings, said) in [
        (MinHashSettings { threshold: 1.0, ..default }, "threshold"),
        (MinHashSettings { threshold: f64::NAN, ..default }, "threshold"),
        (MinHashSettings { shingle_words: 0, ..default }, "shingle_words"),
        (MinHashSettings { permutations: 1, ..default }, "permutations"),
    ] {
        assert_eq!(settings.validate().unwrap_err().setting, said);
    }
    let missing = Path::new("/nowhere/at/all");
    let error = MinHashJoin::new(default, missing).err().unwrap().to_string();
    assert!(error.contains("cannot write /nowhere/at/all"), "{error}");
}
