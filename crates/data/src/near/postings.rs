//! Texts by word.

/// By word: the texts that were given with it, ascending.
pub(super) struct Postings {
    starts: Vec<u32>,
    texts: Vec<u32>,
}

impl Postings {
    /// Of each text's words, of which there are `distinct`.
    pub(super) fn new<'w>(words: impl Iterator<Item = &'w [u32]> + Clone, distinct: usize) -> Self {
        let mut starts = vec![0_u32; distinct + 1];
        for &word in words.clone().flatten() {
            starts[word as usize + 1] += 1;
        }
        for word in 0..distinct {
            starts[word + 1] += starts[word];
        }
        let mut texts = vec![0; starts[distinct] as usize];
        let mut next = starts.clone();
        for (text, words) in (0..).zip(words) {
            for &word in words {
                let place = &mut next[word as usize];
                texts[*place as usize] = text;
                *place += 1;
            }
        }
        Self { starts, texts }
    }

    /// The texts of a word that are below `end`.
    pub(super) fn before(&self, word: u32, end: usize) -> &[u32] {
        let range = self.starts[word as usize] as usize..self.starts[word as usize + 1] as usize;
        let texts = &self.texts[range];
        &texts[..texts.partition_point(|&text| (text as usize) < end)]
    }
}
