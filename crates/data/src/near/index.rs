//! Which texts can be near copies at all: prefix filtering (Chaudhuri et al. 2006, "A Primitive Operator for Similarity
//! Joins in Data Cleaning").
//!
//! If at least `c` of a text's `n` words must be common, one of them is among any `n - c + 1` of its words; the rarest are
//! taken, since few texts have them. What they lead to is looked at by [`Signature`], and what is left is compared.

use std::collections::HashMap;

use super::{Measure, Nearness, bound::Bound, postings::Postings, signature::Signature};
use crate::rouge::{Comparison, Definition, RougeL, Text, Vocabulary};

/// Texts by their words.
pub(crate) struct NearIndex {
    nearness: Nearness,
    bound: Bound,
    vocabulary: usize,
    texts: Vec<Text>,
    /// Each text's words as numbers, the rarest first. A word that a text repeats is another word each time, where repeated
    /// words count.
    words: Vec<Box<[u32]>>,
    signatures: Vec<Signature>,
    /// The texts by the rarest of their words.
    by_rarest: Postings,
    /// The texts by all of their words; empty where these are not looked for.
    by_any: Postings,
}

impl NearIndex {
    /// An index over texts.
    pub(crate) fn new(nearness: Nearness, texts: &[&str]) -> Self {
        let mut vocabulary = Vocabulary::default();
        let texts: Vec<Text> = texts.iter().map(|text| vocabulary.text(nearness.definition, text)).collect();
        let (words, distinct) = by_frequency(nearness.definition, &texts);
        let bound = Bound::new(nearness.measure, nearness.threshold);
        let signatures = words.iter().map(|words| Signature::new(words, distinct)).collect();
        let by_rarest =
            Postings::new(words.iter().map(|words| &words[..bound.needed(words.len())]), distinct);
        let by_any = match nearness.measure {
            Measure::Any | Measure::Precision => {
                Postings::new(words.iter().map(|words| &words[..]), distinct)
            }
            Measure::Recall | Measure::F1 => Postings::new(std::iter::empty(), distinct),
        };
        Self { nearness, bound, vocabulary: vocabulary.len(), texts, words, signatures, by_rarest, by_any }
    }

    /// A searcher; one for each thread.
    pub(crate) fn search(&self) -> NearSearch<'_> {
        NearSearch { index: self, comparison: Comparison::new(self.nearness.definition, self.vocabulary) }
    }

    /// The texts among the first `end` that may be near copies of `text`, ascending.
    fn candidates(&self, text: usize, end: usize) -> Vec<usize> {
        let all = &self.words[text][..];
        let rarest = &all[..self.bound.needed(all.len())];
        let mine = &self.signatures[text];
        let mut found = Vec::new();
        let mut look = |words: &[u32], postings: &Postings, wanted: fn(usize, usize) -> bool| {
            for &word in words {
                for &other in postings.before(word, end) {
                    let theirs = &self.signatures[other as usize];
                    if wanted(mine.length(), theirs.length()) && self.may_be_near(mine, theirs) {
                        found.push(other as usize);
                    }
                }
            }
        };
        match self.nearness.measure {
            Measure::Any => {
                look(rarest, &self.by_any, |mine, theirs| mine <= theirs);
                look(all, &self.by_rarest, |mine, theirs| mine > theirs);
            }
            Measure::Recall => look(all, &self.by_rarest, |_, _| true),
            Measure::Precision => look(rarest, &self.by_any, |_, _| true),
            Measure::F1 => look(rarest, &self.by_rarest, |_, _| true),
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn may_be_near(&self, new: &Signature, earlier: &Signature) -> bool {
        let (shorter, longer) =
            if new.length() <= earlier.length() { (new, earlier) } else { (earlier, new) };
        shorter.most_common(longer) >= self.bound.least(new.length(), earlier.length())
    }
}

/// Looks for near copies of one text after another.
pub(crate) struct NearSearch<'i> {
    index: &'i NearIndex,
    comparison: Comparison,
}

impl NearSearch<'_> {
    /// The texts among the first `end` that `text` is a near copy of, ascending, each with the score of `text` as the
    /// hypothesis.
    pub(crate) fn before(&mut self, text: usize, end: usize) -> Vec<(usize, RougeL)> {
        self.near(text, self.index.candidates(text, end))
    }

    /// Those of the given texts that `text` is a near copy of, in their order.
    pub(crate) fn among(&mut self, text: usize, others: impl Iterator<Item = usize>) -> Vec<(usize, RougeL)> {
        let index = self.index;
        let mine = &index.signatures[text];
        self.near(text, others.filter(|&other| index.may_be_near(mine, &index.signatures[other])))
    }

    fn near(&mut self, text: usize, others: impl IntoIterator<Item = usize>) -> Vec<(usize, RougeL)> {
        let index = self.index;
        let mut others = others.into_iter().peekable();
        if others.peek().is_some() {
            self.comparison.load(&index.texts[text]);
        }
        others
            .filter_map(|other| {
                let least = index.bound.least(index.texts[text].length(), index.texts[other].length());
                let score = self.comparison.score(&index.texts[other], least);
                index.nearness.holds(score).then_some((other, score))
            })
            .collect()
    }
}

/// Each text's words as numbers that rise with the number of texts that have them, sorted; and how many there are.
fn by_frequency(definition: Definition, texts: &[Text]) -> (Vec<Box<[u32]>>, usize) {
    let mut numbers: HashMap<(u32, u32), u32> = HashMap::new();
    let mut frequencies: Vec<u32> = Vec::new();
    let mut all: Vec<Box<[u32]>> = Vec::with_capacity(texts.len());
    let mut sorted = Vec::new();
    for text in texts {
        sorted.clear();
        sorted.extend_from_slice(text.words());
        sorted.sort_unstable();
        if definition == Definition::Rouge {
            sorted.dedup();
        }
        let mut times = 0;
        let words = sorted.iter().enumerate().map(|(place, &word)| {
            times = if place > 0 && sorted[place - 1] == word { times + 1 } else { 0 };
            let next = frequencies.len() as u32;
            let number = *numbers.entry((word, times)).or_insert(next);
            if number == next {
                frequencies.push(0);
            }
            frequencies[number as usize] += 1;
            number
        });
        all.push(words.collect());
    }
    let mut ascending: Vec<u32> = (0..frequencies.len() as u32).collect();
    ascending.sort_by_key(|&number| (frequencies[number as usize], number));
    let mut rank = vec![0; frequencies.len()];
    for (place, &number) in (0..).zip(&ascending) {
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
