//! Which texts can be near copies at all: prefix filtering (Chaudhuri et al. 2006, "A Primitive Operator for Similarity
//! Joins in Data Cleaning").
//!
//! Neither recall nor precision can be over the threshold `t` unless more than `t n` words are common, where `n` is the
//! length of the shorter text, and F1 never exceeds the larger of them. If so many of its words are common, one of them
//! is among any `n - floor(t n)` of its words; the rarest are taken, since few texts have them.

use std::collections::HashMap;

use crate::rouge::{Definition, RougeL};

/// Far above what rounding does to a score times a length, far below one word.
const ROUNDING: f64 = 1e-6;

/// Texts by their words.
pub(crate) struct NearIndex<'t> {
    definition: Definition,
    threshold: f64,
    texts: &'t [&'t str],
    /// Each text's words as numbers, the rarest first. A word that a text repeats is another word each time.
    words: Vec<Vec<u32>>,
    /// By word: the texts that have it among their rarest, ascending.
    among_rarest: Vec<Vec<u32>>,
    /// By word: the texts that have it, ascending.
    anywhere: Vec<Vec<u32>>,
}

impl<'t> NearIndex<'t> {
    /// An index over `texts` for one threshold between 0 and 1.
    pub(crate) fn new(definition: Definition, threshold: f64, texts: &'t [&'t str]) -> Self {
        let (words, distinct) = numbered(definition, texts);
        let (mut among_rarest, mut anywhere) = (vec![Vec::new(); distinct], vec![Vec::new(); distinct]);
        for (text, words) in (0..).zip(&words) {
            for &word in words {
                anywhere[word as usize].push(text);
            }
            for &word in rarest(words, threshold) {
                among_rarest[word as usize].push(text);
            }
        }
        Self { definition, threshold, texts, words, among_rarest, anywhere }
    }

    /// The texts among the first `end` that `text` is a near copy of and that are wanted, ascending, each with the score
    /// of `text` as the hypothesis.
    pub(crate) fn before(
        &self,
        text: usize,
        end: usize,
        wanted: impl Fn(usize) -> bool,
    ) -> Vec<(usize, RougeL)> {
        let words = &self.words[text];
        let shorter = words.iter().flat_map(|&word| &self.among_rarest[word as usize]);
        let longer = rarest(words, self.threshold).iter().flat_map(|&word| &self.anywhere[word as usize]);
        let mut others: Vec<usize> =
            shorter.chain(longer).map(|&other| other as usize).filter(|&other| other < end).collect();
        others.sort_unstable();
        others.dedup();
        let score = |other: usize| {
            let least = least_common(words.len().min(self.words[other].len()), self.threshold);
            if common(words, &self.words[other]) < least {
                return None;
            }
            score_over(self.definition, self.threshold, self.texts[text], self.texts[other])
        };
        others
            .into_iter()
            .filter(|&other| wanted(other))
            .filter_map(|other| Some((other, score(other)?)))
            .collect()
    }
}

/// The score of a hypothesis against a reference, where a part of it is over the threshold.
pub(crate) fn score_over(
    definition: Definition,
    threshold: f64,
    hypothesis: &str,
    reference: &str,
) -> Option<RougeL> {
    let score = definition.score(hypothesis, reference);
    (score.recall > threshold || score.precision > threshold || score.f1 > threshold).then_some(score)
}

/// The fewest common words with which a text of `length` words can be over the threshold.
fn least_common(length: usize, threshold: f64) -> usize {
    (threshold * length as f64 - ROUNDING) as usize + 1
}

/// The words of which one must be common.
fn rarest(words: &[u32], threshold: f64) -> &[u32] {
    let length = (words.len() + 1).saturating_sub(least_common(words.len(), threshold));
    &words[..length.min(words.len())]
}

/// Each text's words as numbers that rise with the number of texts that have them, sorted; and how many there are.
fn numbered(definition: Definition, texts: &[&str]) -> (Vec<Vec<u32>>, usize) {
    let mut numbers: HashMap<(String, u32), u32> = HashMap::new();
    let mut frequencies: Vec<u32> = Vec::new();
    let mut all = Vec::with_capacity(texts.len());
    for text in texts {
        let mut repeated: HashMap<String, u32> = HashMap::new();
        let mut words = Vec::new();
        for word in definition.words(text) {
            let times = repeated.entry(word.clone()).or_default();
            *times += 1;
            if *times > 1 && definition == Definition::Rouge {
                continue;
            }
            let next = frequencies.len() as u32;
            let number = *numbers.entry((word, *times)).or_insert(next);
            if number == next {
                frequencies.push(0);
            }
            frequencies[number as usize] += 1;
            words.push(number);
        }
        all.push(words);
    }
    let mut by_frequency: Vec<u32> = (0..frequencies.len() as u32).collect();
    by_frequency.sort_by_key(|&number| (frequencies[number as usize], number));
    let mut rank = vec![0; frequencies.len()];
    for (place, &number) in (0..).zip(&by_frequency) {
        rank[number as usize] = place;
    }
    for words in &mut all {
        for word in words.iter_mut() {
            *word = rank[*word as usize];
        }
        words.sort_unstable();
    }
    (all, frequencies.len())
}

/// Number of common elements of two sorted lists without repetitions.
fn common(one: &[u32], two: &[u32]) -> usize {
    let (mut i, mut j, mut count) = (0, 0, 0);
    while i < one.len() && j < two.len() {
        match one[i].cmp(&two[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                (i, j, count) = (i + 1, j + 1, count + 1);
            }
        }
    }
    count
}
