//! Texts by word.

use super::signature::Small;

/// A text that has a word, with what is needed to pass it over without looking it up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Posting {
    pub(super) signature: Small,
    pub(super) text: u32,
    /// Number of the text's words, at most [`Self::LONGEST`].
    length: u16,
    /// How many of the text's words come after this one, at most [`Self::LONGEST`].
    after: u16,
}

impl Posting {
    /// Past this, lengths are not told apart here.
    const LONGEST: u16 = u16::MAX;

    /// Number of the text's words, where it is known.
    pub(super) fn length(&self) -> Option<usize> {
        (self.length < Self::LONGEST).then_some(self.length as usize)
    }

    /// How many of the text's words come after this one, where it is known.
    pub(super) fn after(&self) -> Option<usize> {
        (self.after < Self::LONGEST).then_some(self.after as usize)
    }
}

/// By word: the texts that were given with it, ascending.
pub(super) struct Postings {
    starts: Vec<usize>,
    postings: Vec<Posting>,
}

impl Postings {
    /// Of the first words of each text, as many as `needed` says for its length; there are `distinct` words.
    pub(super) fn new(
        texts: &super::words::Words,
        signatures: &[Small],
        needed: impl Fn(usize) -> usize,
    ) -> Self {
        let mut starts = vec![0_usize; texts.distinct() + 1];
        let first = |text: usize| {
            let words = texts.get(text);
            &words[..needed(words.len())]
        };
        for text in 0..texts.len() {
            for &word in first(text) {
                starts[word as usize + 1] += 1;
            }
        }
        for word in 0..texts.distinct() {
            starts[word + 1] += starts[word];
        }
        let nothing = Posting { signature: Small::default(), text: 0, length: 0, after: 0 };
        let mut postings = vec![nothing; starts[texts.distinct()]];
        let mut next = starts.clone();
        let short = |length: usize| u16::try_from(length).unwrap_or(Posting::LONGEST);
        for (text, &signature) in signatures.iter().enumerate() {
            let length = texts.get(text).len();
            for (place, &word) in first(text).iter().enumerate() {
                let at = &mut next[word as usize];
                postings[*at] = Posting {
                    signature,
                    text: text as u32,
                    length: short(length),
                    after: short(length - place - 1),
                };
                *at += 1;
            }
        }
        Self { starts, postings }
    }

    /// Those of a word whose texts are below `end`.
    pub(super) fn before(&self, word: u32, end: usize) -> &[Posting] {
        let range = self.starts[word as usize]..self.starts[word as usize + 1];
        let postings = &self.postings[range];
        &postings[..postings.partition_point(|posting| (posting.text as usize) < end)]
    }
}
