//! Clusters of near-duplicates, by union-find.

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

/// Which text of a cluster is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The first.
    #[default]
    First,
    /// The one with the highest score; the first of those. A text without a score is behind all that have one.
    BestScore,
}

/// Which texts are near-duplicates of one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clusters {
    /// By text: the first text of its cluster, which may be itself.
    firsts: Vec<u32>,
}

impl Clusters {
    /// By text: the index of the first text of its cluster, which may be its own.
    pub fn firsts(&self) -> &[u32] {
        &self.firsts
    }

    /// By text: the index of the text that is kept of its cluster.
    ///
    /// # Panics
    /// Where there are other than as many scores as texts, and the best score is asked for.
    pub fn kept(&self, keep: Keep, scores: &[Option<f64>]) -> Vec<u32> {
        if keep == Keep::First {
            return self.firsts.clone();
        }
        assert_eq!(scores.len(), self.firsts.len(), "every text needs a score, or none");
        let score = |text: u32| scores[text as usize].unwrap_or(f64::NEG_INFINITY);
        let mut best = self.firsts.clone();
        for (text, &first) in (0..).zip(&self.firsts) {
            if score(text) > score(best[first as usize]) {
                best[first as usize] = text;
            }
        }
        self.firsts.iter().map(|&first| best[first as usize]).collect()
    }
}

/// Texts that are joined to clusters.
pub(super) struct UnionFind {
    /// A text of the same cluster that comes before, or the text itself where it is the first.
    parents: Vec<u32>,
}

impl UnionFind {
    pub(super) fn new(texts: usize) -> Self {
        Self { parents: (0..texts as u32).collect() }
    }

    fn first(&mut self, mut text: u32) -> u32 {
        loop {
            let parent = self.parents[text as usize];
            if parent == text {
                return text;
            }
            let next = self.parents[parent as usize];
            self.parents[text as usize] = next;
            text = next;
        }
    }

    pub(super) fn join(&mut self, one: u32, two: u32) {
        let (one, two) = (self.first(one), self.first(two));
        self.parents[one.max(two) as usize] = one.min(two);
    }

    pub(super) fn clusters(mut self) -> Clusters {
        Clusters { firsts: (0..self.parents.len() as u32).map(|text| self.first(text)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_or_the_best_is_kept() {
        let mut found = UnionFind::new(6);
        for (one, two) in [(4, 2), (5, 4), (1, 3)] {
            found.join(one, two);
        }
        let clusters = found.clusters();
        assert_eq!(clusters.firsts(), [0, 1, 2, 1, 2, 2]);
        let scores = [None, Some(2.0), None, Some(2.0), Some(1.0), Some(0.5)];
        assert_eq!(clusters.kept(Keep::First, &scores), [0, 1, 2, 1, 2, 2]);
        assert_eq!(clusters.kept(Keep::BestScore, &scores), [0, 1, 4, 1, 4, 4]);
    }
}
