//! Which texts can be near copies at all: prefix filtering (Chaudhuri et al. 2006, "A Primitive Operator for Similarity
//! Joins in Data Cleaning").
//!
//! If at least `c` of a text's `n` words must be common, one of them is among any `n - c + 1` of its words; the rarest are
//! taken, since few texts have them. What they lead to is looked at by [`Signature`], and what is left is compared.

use std::borrow::Cow;

use lancer_core::spaced;

use super::{
    Measure, Nearness,
    bound::Bound,
    postings::Postings,
    signature::{Signature, Small},
    words::Words,
};
use crate::rouge::{Comparison, RougeL, Texts};

/// Texts by their words.
pub(crate) struct NearIndex {
    nearness: Nearness,
    bound: Bound,
    texts: Texts,
    words: Words,
    signatures: Vec<Signature>,
    small: Vec<Small>,
    /// The texts by the rarest of their words.
    by_rarest: Postings,
    /// The texts by all of their words; empty where these are not looked for.
    by_any: Postings,
}

impl NearIndex {
    /// An index over texts.
    pub(crate) fn new(nearness: Nearness, texts: &[&str]) -> Self {
        let texts: Vec<Cow<'_, str>> = texts.iter().map(|text| spaced(text)).collect();
        let texts = Texts::new(nearness.definition, texts.iter().map(AsRef::as_ref));
        let words = Words::new(nearness.definition, &texts);
        let bound = Bound::new(nearness.measure, nearness.threshold);
        let each = || (0..words.len()).map(|text| words.get(text));
        let signatures = each().map(|text| Signature::new(text, words.distinct())).collect();
        let small: Vec<Small> = each().map(|text| Small::new(text, words.distinct())).collect();
        let by_rarest = Postings::new(&words, &small, |length| bound.needed(length));
        let by_any = match nearness.measure {
            Measure::Any | Measure::Precision => Postings::new(&words, &small, |length| length),
            Measure::Recall | Measure::F1 => Postings::new(&words, &small, |_| 0),
        };
        Self { nearness, bound, texts, words, signatures, small, by_rarest, by_any }
    }

    /// A searcher; one for each thread.
    pub(crate) fn search(&self) -> NearSearch<'_> {
        let comparison = Comparison::new(self.nearness.definition, self.texts.vocabulary());
        NearSearch { index: self, comparison }
    }

    /// The texts among the first `end` that may be near copies of `text`, ascending.
    fn candidates(&self, text: usize, end: usize) -> Vec<usize> {
        let all = self.words.get(text);
        let rarest = &all[..self.bound.needed(all.len())];
        let mut found = Vec::new();
        match self.nearness.measure {
            Measure::Any => {
                self.look(text, rarest, &self.by_any, end, |mine, theirs| mine <= theirs, &mut found);
                self.look(text, all, &self.by_rarest, end, |mine, theirs| mine > theirs, &mut found);
            }
            Measure::Recall => self.look(text, all, &self.by_rarest, end, |_, _| true, &mut found),
            Measure::Precision => self.look(text, rarest, &self.by_any, end, |_, _| true, &mut found),
            Measure::F1 => self.look(text, rarest, &self.by_rarest, end, |_, _| true, &mut found),
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Adds the texts among the first `end` that one of the first `words` of `text` leads to. A text may come twice.
    fn look(
        &self,
        text: usize,
        words: &[u32],
        postings: &Postings,
        end: usize,
        wanted: impl Fn(usize, usize) -> bool,
        found: &mut Vec<usize>,
    ) {
        let (mine, small) = (&self.signatures[text], self.small[text]);
        let length = mine.length();
        for (place, &word) in words.iter().enumerate() {
            for posting in postings.before(word, end) {
                let other = posting.text as usize;
                if let Some(others) = posting.length() {
                    if !wanted(length, others) {
                        continue;
                    }
                    let least = self.bound.least(length, others);
                    // Where this is the first word in common; where it is not, the first one led here.
                    let to_come = (length - place - 1).min(posting.after().unwrap_or(usize::MAX));
                    if 1 + to_come < least
                        || least + small.missing(posting.signature) > length
                        || least + posting.signature.missing(small) > others
                    {
                        continue;
                    }
                }
                let theirs = &self.signatures[other];
                if wanted(length, theirs.length()) && self.may_be_near(mine, theirs) {
                    found.push(other);
                }
            }
        }
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
            self.comparison.load(index.texts.get(text));
        }
        others
            .filter_map(|other| {
                let reference = index.texts.get(other);
                let least = index.bound.least(index.texts.get(text).length, reference.length);
                let score = self.comparison.score(reference, least);
                index.nearness.holds(score).then_some((other, score))
            })
            .collect()
    }
}
