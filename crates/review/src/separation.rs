//! How well scores tell good pairs from bad ones.

use serde::{Deserialize, Serialize};

use crate::{Damage, Mode, Score, stored::short};

/// How well a mode tells the run's seeds from damaged seeds.
///
/// A pair without a score ties with every other, so a mode that scores nothing has an area of 0.5, which is chance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Separation {
    /// The mode.
    pub mode: Mode,
    /// Area under the ROC curve, 0 to 1: how often a seed scores above a damaged seed, ties counted half. For
    /// [`Mode::Likelihood`] each pair's score is from a calibration that has not seen its seed.
    pub auc: f64,
    /// The same against each kind of damage.
    pub by_damage: Vec<(Damage, f64)>,
    /// Part of the pairs that have a score, 0 to 1. For [`Mode::Rubric`] the part whose reviews could be read.
    pub parsed: f64,
    /// Number of seeds.
    pub seeds: usize,
    /// Number of damaged seeds.
    pub damaged: usize,
    /// Part of the seeds that score at least 7, and at least 8.
    pub seeds_from: [f64; 2],
    /// Part of the damaged seeds that score at least 7, and at least 8.
    pub damaged_from: [f64; 2],
}

/// A pair whose quality is known, and its score.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged {
    /// `None` for a seed as it is.
    pub(crate) damage: Option<Damage>,
    pub(crate) score: Option<Score>,
}

impl Separation {
    /// Whether most pairs have a score.
    pub fn is_readable(&self) -> bool {
        self.parsed >= 0.5
    }

    /// The figures of these pairs.
    pub(crate) fn of(mode: Mode, judged: &[Judged]) -> Self {
        let scores = |keep: &dyn Fn(Option<Damage>) -> bool| -> Vec<Option<f64>> {
            judged.iter().filter(|pair| keep(pair.damage)).map(|pair| pair.score.map(Score::get)).collect()
        };
        let seeds = scores(&|damage| damage.is_none());
        let damaged = scores(&|damage| damage.is_some());
        let by_damage = Damage::ALL
            .into_iter()
            .map(|kind| (kind, scores(&|damage| damage == Some(kind))))
            .filter(|(_, scores)| !scores.is_empty())
            .map(|(kind, scores)| (kind, short(area_under_roc(&seeds, &scores))))
            .collect();
        let from = |scores: &[Option<f64>], least: f64| {
            part(
                scores.iter().filter(|score| score.is_some_and(|score| score >= least)).count(),
                scores.len(),
            )
        };
        Self {
            mode,
            auc: short(area_under_roc(&seeds, &damaged)),
            by_damage,
            parsed: part(judged.iter().filter(|pair| pair.score.is_some()).count(), judged.len()),
            seeds: seeds.len(),
            damaged: damaged.len(),
            seeds_from: [from(&seeds, 7.0), from(&seeds, 8.0)],
            damaged_from: [from(&damaged, 7.0), from(&damaged, 8.0)],
        }
    }
}

fn part(of: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { short(of as f64 / all as f64) }
}

/// How often one of `good` is above one of `bad`, a tie or a missing score counted half; 0.5 if either is empty. The
/// Mann-Whitney statistic over all pairs.
pub(crate) fn area_under_roc(good: &[Option<f64>], bad: &[Option<f64>]) -> f64 {
    if good.is_empty() || bad.is_empty() {
        return 0.5;
    }
    let wins: f64 = good
        .iter()
        .flat_map(|good| bad.iter().map(move |bad| (good, bad)))
        .map(|pair| match pair {
            (Some(good), Some(bad)) if good > bad => 1.0,
            (Some(good), Some(bad)) if good < bad => 0.0,
            _ => 0.5,
        })
        .sum();
    wins / (good.len() * bad.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_counts_wins_and_half_the_ties() {
        let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        for (good, bad, area) in [
            (some(&[2.0, 3.0]), some(&[1.0]), 1.0),
            (some(&[1.0, 2.0, 3.0]), some(&[2.0, 0.0]), (1.0 + 1.5 + 2.0) / 6.0),
            (vec![None, Some(1.0)], some(&[0.0]), 0.75),
            (vec![], some(&[0.0]), 0.5),
        ] {
            assert!((area_under_roc(&good, &bad) - area).abs() < 1e-12, "{good:?} {bad:?}");
        }
    }

    #[test]
    fn figures_are_by_damage_and_for_both_thresholds() {
        let pair = |damage, score: f64| Judged { damage, score: Some(Score::nearest(score)) };
        let judged = [
            pair(None, 9.0),
            pair(None, 7.5),
            pair(Some(Damage::Shuffled), 8.5),
            pair(Some(Damage::Mismatched), 1.0),
            Judged { damage: Some(Damage::Mismatched), score: None },
        ];
        let separation = Separation::of(Mode::Expected, &judged);
        assert_eq!(separation.by_damage, [(Damage::Mismatched, 0.75), (Damage::Shuffled, 0.5)]);
        assert_eq!((separation.seeds, separation.damaged, separation.parsed), (2, 3, 0.8));
        assert_eq!((separation.seeds_from, separation.damaged_from), ([1.0, 0.5], [short(1.0 / 3.0); 2]));
    }
}
