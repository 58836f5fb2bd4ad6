//! Texts as numbered words, so that two of many can be compared without looking at a letter.

use std::collections::HashMap;

use super::Definition;

/// What a text is split into.
#[derive(Debug, Clone, Copy)]
pub(super) enum Piece<'t> {
    Word(&'t str),
    /// The end of a sentence.
    End,
}

/// Texts in one vocabulary.
pub(crate) struct Texts {
    words: Vec<u32>,
    /// Where each sentence ends, counted from the beginning of its text.
    sentences: Vec<u32>,
    /// Where each text ends.
    ends: Vec<End>,
    vocabulary: usize,
}

#[derive(Clone, Copy, Default)]
struct End {
    words: usize,
    sentences: usize,
    length: u32,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'t> {
    /// All words in their order, as numbers.
    pub(crate) words: &'t [u32],
    /// Where each sentence ends.
    pub(super) ends: &'t [u32],
    /// What common words are divided by: the number of words, of [`Definition::Rouge`] of distinct words.
    pub(crate) length: usize,
}

impl Texts {
    /// Splits and numbers them.
    pub(crate) fn new<'t>(definition: Definition, texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut numbers: HashMap<Box<str>, u32> = HashMap::new();
        let mut all = Self { words: Vec::new(), sentences: Vec::new(), ends: Vec::new(), vocabulary: 0 };
        let mut distinct = Vec::new();
        for text in texts {
            let start = all.words.len();
            let mut add = |piece: Piece<'_>| match piece {
                Piece::Word(word) => {
                    let number = numbers.get(word).copied().unwrap_or_else(|| {
                        let next = numbers.len() as u32;
                        numbers.insert(word.into(), next);
                        next
                    });
                    all.words.push(number);
                }
                Piece::End => all.sentences.push((all.words.len() - start) as u32),
            };
            definition.split(text, &mut add);
            let length = if definition.counts_repeated_words() {
                all.words.len() - start
            } else {
                distinct.clear();
                distinct.extend_from_slice(&all.words[start..]);
                distinct.sort_unstable();
                distinct.dedup();
                distinct.len()
            };
            all.ends.push(End {
                words: all.words.len(),
                sentences: all.sentences.len(),
                length: length as u32,
            });
        }
        all.vocabulary = numbers.len();
        all
    }

    /// How many texts there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// How many words have a number.
    pub(crate) fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// A text by its place.
    pub(crate) fn get(&self, place: usize) -> Text<'_> {
        let start = if place == 0 { End::default() } else { self.ends[place - 1] };
        let end = self.ends[place];
        Text {
            words: &self.words[start.words..end.words],
            ends: &self.sentences[start.sentences..end.sentences],
            length: end.length as usize,
        }
    }
}

impl<'t> Text<'t> {
    /// The words of each sentence.
    pub(super) fn sentences(self) -> impl Iterator<Item = &'t [u32]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let sentence = &self.words[start..end as usize];
            start = end as usize;
            sentence
        })
    }
}
