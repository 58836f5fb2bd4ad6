//! Texts as numbered words, so that two of many can be compared without looking at a letter.

use std::collections::HashMap;

use super::Definition;

/// Numbers for words, in the order in which they come up.
#[derive(Default)]
pub(crate) struct Vocabulary {
    numbers: HashMap<String, u32>,
}

impl Vocabulary {
    /// How many words it has.
    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// A text in its words, with those that are new.
    pub(crate) fn text(&mut self, definition: Definition, text: &str) -> Text {
        let (mut words, mut ends) = (Vec::new(), Vec::new());
        for sentence in definition.sentences(text) {
            for word in sentence {
                let next = self.numbers.len() as u32;
                words.push(*self.numbers.entry(word).or_insert(next));
            }
            ends.push(words.len() as u32);
        }
        let length = match definition {
            Definition::RougeScore => words.len(),
            Definition::Rouge => {
                let mut distinct = words.clone();
                distinct.sort_unstable();
                distinct.dedup();
                distinct.len()
            }
        };
        Text { words: words.into(), ends: ends.into(), length: length as u32 }
    }
}

/// The words of a text by their numbers.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    words: Box<[u32]>,
    /// Where each sentence ends.
    ends: Box<[u32]>,
    length: u32,
}

impl Text {
    /// All words in their order.
    pub(crate) fn words(&self) -> &[u32] {
        &self.words
    }

    /// What common words are divided by: the number of words, of [`Definition::Rouge`] of distinct words.
    pub(crate) fn length(&self) -> usize {
        self.length as usize
    }

    /// The words of each sentence.
    pub(super) fn sentences(&self) -> impl Iterator<Item = &[u32]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let sentence = &self.words[start..end as usize];
            start = end as usize;
            sentence
        })
    }
}
