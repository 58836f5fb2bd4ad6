//! Texts made from real ones: a chain of word pairs over the texts of a folder.
//!
//! * Which word follows which, and how long a text is, is drawn from the real texts.
//! * A word that stands only once in them is replaced by a made-up one, drawn from a power law without an end, so that the
//!   vocabulary goes on growing with the number of texts as that of real texts does (Heaps' law, exponent 0.6). With the
//!   source's own some ten thousand words alone, every word would be frequent in a million texts.
//! * One text in ten is a near copy of an earlier one: some of its words are left out, replaced or doubled.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fs,
    path::Path,
};

use rand::{Rng, seq::IndexedRandom};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use serde_json::Value;

/// The exponent of Heaps' law: vocabulary grows with the number of words to this power.
const HEAPS: f64 = 0.6;

/// The part of texts that are near copies.
const NEAR_COPIES: f64 = 0.1;

/// Words of the shortest prompt; cleaning drops shorter ones.
const SHORTEST: usize = 5;

/// How many texts back the original of a near copy is at most.
const WINDOW: usize = 10_000;

/// Fields that hold what is asked. The `input` of BIG-Bench Hard is left out: its items are made from a few templates and
/// are near copies of one another by nature.
const PROMPTS: [&str; 3] = ["prompt", "question", "goal"];

/// Fields that hold other text.
const OTHERS: [&str; 4] = ["response", "answer", "sol1", "sol2"];

/// What is drawn from.
pub(crate) struct Source {
    /// The real texts, the prompts first of each record.
    pub(crate) texts: Vec<String>,
    /// The distinct words; the first begins and ends every text.
    words: Vec<String>,
    /// By word: the words that follow it, as often as they do.
    followers: Vec<Vec<u32>>,
    /// By word: how often it is there.
    counts: Vec<u32>,
    /// Words of each prompt.
    lengths: Vec<usize>,
}

impl Source {
    /// Reads the JSONL files of a folder.
    pub(crate) fn read(folder: &Path) -> Self {
        let mut paths: Vec<_> = fs::read_dir(folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
            .collect();
        paths.sort();
        let mut source = Self {
            texts: Vec::new(),
            words: vec![String::new()],
            followers: vec![Vec::new()],
            counts: vec![0],
            lengths: Vec::new(),
        };
        let mut numbers = HashMap::new();
        for path in paths {
            for line in fs::read_to_string(path).unwrap().lines() {
                let row: BTreeMap<String, Value> = serde_json::from_str(line).unwrap();
                let text = |name: &&str| row.get(*name).and_then(Value::as_str);
                if let Some(prompt) = PROMPTS.iter().find_map(text) {
                    source.lengths.push(prompt.split_whitespace().count().max(SHORTEST));
                }
                for text in PROMPTS.iter().chain(&OTHERS).filter_map(text) {
                    source.add(text, &mut numbers);
                }
            }
        }
        source
    }

    fn add(&mut self, text: &str, numbers: &mut HashMap<String, u32>) {
        self.texts.push(text.to_owned());
        let mut before = 0;
        for word in text.split_whitespace() {
            let number = *numbers.entry(word.to_owned()).or_insert(self.words.len() as u32);
            if number as usize == self.words.len() {
                self.words.push(word.to_owned());
                self.followers.push(Vec::new());
                self.counts.push(0);
            }
            self.counts[number as usize] += 1;
            self.followers[before].push(number);
            before = number as usize;
        }
        self.followers[before].push(0);
    }

    /// A text of so many words.
    fn text(&self, length: usize, random: &mut ChaCha8Rng) -> Vec<String> {
        let mut words = Vec::with_capacity(length);
        let mut before = 0;
        while words.len() < length {
            let next = *self.followers[before].choose(random).unwrap_or(&0) as usize;
            if next != 0 {
                words.push(if self.counts[next] == 1 { rare_word(random) } else { self.words[next].clone() });
            }
            before = next;
        }
        words
    }
}

/// A made-up word; that of rank `k` is drawn about as often as `k^(-1/HEAPS)` says.
fn rare_word(random: &mut ChaCha8Rng) -> String {
    let uniform: f64 = 1.0 - random.random::<f64>();
    let mut rank = uniform.powf(-HEAPS / (1.0 - HEAPS)) as u64;
    let mut word = String::new();
    loop {
        word.push(char::from(b"bdfghklmnprstvwz"[(rank % 16) as usize]));
        word.push(char::from(b"aeiou"[(rank / 16 % 5) as usize]));
        rank /= 80;
        if rank == 0 {
            return word;
        }
    }
}

/// What texts are like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// As long as the real prompts; up to four in ten words of a near copy are other ones.
    Prompts,
    /// About 1 KB each; up to one in twenty words of a near copy is another one.
    Documents,
}

/// So many texts, the same ones each time.
pub(crate) fn texts(source: &Source, kind: Kind, count: usize) -> impl Iterator<Item = String> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut recent: VecDeque<Vec<String>> = VecDeque::new();
    (0..count).map(move |_| {
        let earlier = if random.random_bool(NEAR_COPIES) && !recent.is_empty() {
            Some(recent[random.random_range(0..recent.len())].clone())
        } else {
            None
        };
        let (length, changed) = match kind {
            Kind::Prompts => (*source.lengths.choose(&mut random).unwrap_or(&10), 0.4),
            Kind::Documents => (random.random_range(140..220), 0.05),
        };
        let words = match earlier {
            Some(words) => near_copy(source, words, changed, &mut random),
            None => source.text(length, &mut random),
        };
        let text = words.join(" ");
        recent.push_back(words);
        if recent.len() > WINDOW {
            recent.pop_front();
        }
        text
    })
}

/// A text with some words left out, replaced or doubled.
fn near_copy(source: &Source, words: Vec<String>, most: f64, random: &mut ChaCha8Rng) -> Vec<String> {
    let part = random.random_range(0.0..most);
    let mut copy = Vec::with_capacity(words.len());
    for word in words {
        if !random.random_bool(part) {
            copy.push(word);
            continue;
        }
        match random.random_range(0..3) {
            0 => {}
            1 => copy.push(source.text(1, random).remove(0)),
            _ => copy.extend([word.clone(), word]),
        }
    }
    copy
}
