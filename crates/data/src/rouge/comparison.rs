//! One text against many.

use super::{
    Definition, RougeL,
    lcs::{Sentence, Table},
    text::Text,
};

/// A loaded hypothesis, ready to be compared with references. What it needs grows with the vocabulary, so one is kept for many texts.
pub(crate) struct Comparison {
    definition: Definition,
    /// By word: 1 and its place among the distinct words of the loaded text; 0 where that lacks it.
    places: Vec<u32>,
    /// The distinct words of the loaded text.
    distinct: Vec<u32>,
    /// Its sentences.
    sentences: Vec<Sentence>,
    length: usize,
    /// By place of a distinct word: whether it is in a common subsequence.
    common: Vec<bool>,
    /// Of [`Definition::RougeScoreSum`]: the places of the words of each sentence.
    ordered: Vec<Vec<u32>>,
    /// By place of a distinct word: how often the loaded text has it.
    times: Vec<u32>,
    /// The places of the words of the reference; scratch.
    other: Vec<u32>,
    table: Table,
}

impl Comparison {
    /// For texts of one vocabulary of so many words.
    pub(crate) fn new(definition: Definition, vocabulary: usize) -> Self {
        Self {
            definition,
            places: vec![0; vocabulary],
            distinct: Vec::new(),
            sentences: Vec::new(),
            length: 0,
            common: Vec::new(),
            ordered: Vec::new(),
            times: Vec::new(),
            other: Vec::new(),
            table: Table::default(),
        }
    }

    /// Takes a text in the place of the one before.
    pub(crate) fn load(&mut self, text: Text<'_>) {
        for word in self.distinct.drain(..) {
            self.places[word as usize] = 0;
        }
        for &word in text.words {
            let place = &mut self.places[word as usize];
            if *place == 0 {
                self.distinct.push(word);
                *place = self.distinct.len() as u32;
            }
        }
        self.sentences.clear();
        if self.unites_sentences() {
            self.load_in_order(text);
            return;
        }
        for words in text.sentences() {
            let places = words.iter().map(|&word| self.places[word as usize] as usize);
            self.sentences.push(Sentence::new(places, words.len(), self.distinct.len()));
        }
        self.common = vec![false; self.distinct.len() + 1];
        self.length = text.length;
    }

    /// Whether sentences of the reference are looked up in the order of the loaded text's words, not the other way round.
    fn unites_sentences(&self) -> bool {
        matches!(self.definition, Definition::RougeScoreSum | Definition::RougeScoreSumStemmed)
    }

    fn load_in_order(&mut self, text: Text<'_>) {
        self.ordered.clear();
        self.times = vec![0; self.distinct.len() + 1];
        for words in text.sentences() {
            let places: Vec<u32> = words.iter().map(|&word| self.places[word as usize]).collect();
            for &place in &places {
                self.times[place as usize] += 1;
            }
            self.ordered.push(places);
        }
        self.length = text.length;
    }

    /// The score of the loaded text against a reference.
    ///
    /// Where fewer words than `least` are common, the score may be one with fewer still.
    pub(crate) fn score(&mut self, reference: Text<'_>, least: usize) -> RougeL {
        let common = match self.definition {
            Definition::RougeScore | Definition::RougeScoreStemmed => self.longest(reference, least),
            Definition::Rouge => self.distinct_in_longest(reference, least),
            Definition::RougeScoreSum | Definition::RougeScoreSumStemmed => {
                self.in_united_longest(reference, least)
            }
        };
        self.definition.of_counts(common, self.length, reference.length)
    }

    /// The length of the longest common subsequence of the only sentences; less where it is below `least`.
    fn longest(&mut self, reference: Text<'_>, least: usize) -> usize {
        let Some(sentence) = self.sentences.first() else { return 0 };
        self.other.clear();
        let places = reference.words.iter().map(|&word| self.places[word as usize]);
        self.other.extend(places.filter(|&place| place != 0));
        if self.other.len() < least { 0 } else { sentence.longest(&self.other, least, &mut self.table) }
    }

    /// The number of distinct words in the longest common subsequences of each two sentences; less where it is below
    /// `least`.
    fn distinct_in_longest(&mut self, reference: Text<'_>, least: usize) -> usize {
        // No word that the reference lacks can be common.
        let mut count = 0;
        self.other.clear();
        for &word in reference.words {
            let place = self.places[word as usize];
            self.other.push(place);
            let found = &mut self.common[place as usize];
            count += usize::from(place != 0 && !*found);
            *found = true;
        }
        self.common.fill(false);
        if count < least {
            return 0;
        }
        if let ([sentence], 1) = (self.sentences.as_slice(), reference.ends.len()) {
            let longest = sentence.longest(&self.other, least, &mut self.table);
            // Each of its words is another one.
            if longest < least || sentence.length() == self.distinct.len() {
                return longest;
            }
        }
        let mut count = 0;
        let mut start = 0;
        for &end in reference.ends {
            let words = &self.other[start..end as usize];
            start = end as usize;
            if words.iter().all(|&place| place == 0) {
                continue;
            }
            for sentence in &self.sentences {
                sentence.subsequence(words, &mut self.table, |_, place| {
                    let found = &mut self.common[place as usize];
                    count += usize::from(!*found);
                    *found = true;
                });
            }
        }
        self.common.fill(false);
        count
    }

    /// The number of words of the reference that are in the longest common subsequence of their sentence with one of the
    /// loaded text, each word counted as often as that text has it at most; 0 where it is below `least` for certain.
    fn in_united_longest(&mut self, reference: Text<'_>, least: usize) -> usize {
        let mut left = self.times.clone();
        let places = reference.words.iter().map(|&word| self.places[word as usize]);
        if taken(&mut left, places.filter(|&place| place != 0)) < least {
            return 0;
        }
        left.copy_from_slice(&self.times);
        let mut count = 0;
        for words in reference.sentences() {
            self.other.clear();
            self.other.extend(words.iter().map(|&word| self.places[word as usize]));
            let places = self.other.iter().map(|&place| place as usize);
            let sentence = Sentence::new(places, words.len(), self.distinct.len());
            self.common.clear();
            self.common.resize(words.len(), false);
            for ordered in &self.ordered {
                sentence.subsequence(ordered, &mut self.table, |index, _| self.common[index] = true);
            }
            let united = self.other.iter().zip(&self.common).filter(|(_, common)| **common);
            count += taken(&mut left, united.map(|(&place, _)| place));
        }
        count
    }
}

/// Takes words while there are some left; how many were.
fn taken(left: &mut [u32], places: impl Iterator<Item = u32>) -> usize {
    let mut count = 0;
    for place in places {
        let left = &mut left[place as usize];
        count += usize::from(*left > 0);
        *left = left.saturating_sub(1);
    }
    count
}
