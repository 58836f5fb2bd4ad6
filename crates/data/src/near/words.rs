//! The words of texts, the rarest first.

use std::collections::HashMap;

use crate::rouge::{Definition, Texts};

/// Each text's words as numbers that rise with the number of texts that have them, sorted. A word that a text repeats is
/// another word each time, where repeated words count.
pub(super) struct Words {
    numbers: Vec<u32>,
    /// Where each text begins, and the end.
    starts: Vec<usize>,
    distinct: usize,
}

impl Words {
    pub(super) fn new(definition: Definition, texts: &Texts) -> Self {
        let mut numbers: HashMap<(u32, u32), u32> = HashMap::new();
        let mut frequencies: Vec<u32> = Vec::new();
        let (mut words, mut starts) = (Vec::new(), vec![0]);
        let mut sorted = Vec::new();
        for text in 0..texts.len() {
            sorted.clear();
            sorted.extend_from_slice(texts.get(text).words);
            sorted.sort_unstable();
            if !definition.counts_repeated_words() {
                sorted.dedup();
            }
            let mut times = 0;
            for (place, &word) in sorted.iter().enumerate() {
                times = if place > 0 && sorted[place - 1] == word { times + 1 } else { 0 };
                let next = frequencies.len() as u32;
                let number = *numbers.entry((word, times)).or_insert(next);
                if number == next {
                    frequencies.push(0);
                }
                frequencies[number as usize] += 1;
                words.push(number);
            }
            starts.push(words.len());
        }
        let distinct = frequencies.len();
        let mut ascending: Vec<u32> = (0..distinct as u32).collect();
        ascending.sort_by_key(|&number| (frequencies[number as usize], number));
        let mut rank = vec![0; distinct];
        for (place, &number) in (0..).zip(&ascending) {
            rank[number as usize] = place;
        }
        for word in &mut words {
            *word = rank[*word as usize];
        }
        for text in starts.windows(2) {
            words[text[0]..text[1]].sort_unstable();
        }
        Self { numbers: words, starts, distinct }
    }

    /// How many texts there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// How many words have a number.
    pub(super) fn distinct(&self) -> usize {
        self.distinct
    }

    /// The words of a text, the rarest first.
    pub(super) fn get(&self, text: usize) -> &[u32] {
        &self.numbers[self.starts[text]..self.starts[text + 1]]
    }
}
