//! Statistics of review scores.

use std::collections::HashMap;

use serde::Serialize;

use crate::{
    error::EvolveError,
    ledger::{Ledger, Origin},
};

/// The scores of an iteration's reviews; `None` where nothing was scored.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Scores {
    /// The pool of seeds, with what joined it in earlier iterations.
    pub pool: Option<ScoreStatistics>,
    /// Responses to new prompts.
    pub new_prompt: Option<ScoreStatistics>,
    /// Responses that were meant to be worse.
    pub worse_response: Option<ScoreStatistics>,
}

/// Where scores lie.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreStatistics {
    /// Number of scores.
    pub records: usize,
    /// Their mean.
    pub mean: f64,
    /// First quartile, median and third quartile, interpolated between neighbours as by `NumPy`'s default.
    pub quartiles: [f64; 3],
    /// Number of scores from 0 to below 1, from 1 to below 2, and so on; the last from 9 to 10.
    pub histogram: [usize; 10],
}

impl Scores {
    pub(super) fn of(ledger: &Ledger, iteration: u32) -> Result<Self, EvolveError> {
        let origins: HashMap<String, Origin> = ledger.origins(iteration)?.into_iter().collect();
        let (mut pool, mut new_prompt, mut worse_response) = (Vec::new(), Vec::new(), Vec::new());
        for review in ledger.reviews(iteration)? {
            let Some(score) = review.score else { continue };
            match origins.get(&review.record) {
                Some(Origin::NewPrompt) => new_prompt.push(score),
                Some(Origin::WorseResponse) => worse_response.push(score),
                // What this iteration did not make was there before.
                Some(Origin::Seed) | None => pool.push(score),
            }
        }
        Ok(Self {
            pool: ScoreStatistics::of(pool),
            new_prompt: ScoreStatistics::of(new_prompt),
            worse_response: ScoreStatistics::of(worse_response),
        })
    }
}

impl ScoreStatistics {
    fn of(mut scores: Vec<f64>) -> Option<Self> {
        scores.sort_unstable_by(f64::total_cmp);
        let quartiles = [quantile(&scores, 0.25)?, quantile(&scores, 0.5)?, quantile(&scores, 0.75)?];
        let mut histogram = [0; 10];
        for score in &scores {
            // A score is from 0 to 10, so the bin is one of the ten.
            histogram[(*score as usize).min(9)] += 1;
        }
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        Some(Self { records: scores.len(), mean, quartiles, histogram })
    }
}

fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted.get(place.floor() as usize)?, sorted.get(place.ceil() as usize)?);
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_scores() {
        let expected = ScoreStatistics {
            records: 4,
            mean: 4.875,
            // numpy.quantile([10, 0, 9, 0.5], [0.25, 0.5, 0.75])
            quartiles: [0.375, 4.75, 9.25],
            histogram: [2, 0, 0, 0, 0, 0, 0, 0, 0, 2],
        };
        assert_eq!(ScoreStatistics::of(vec![10.0, 0.0, 9.0, 0.5]), Some(expected));
        assert_eq!(ScoreStatistics::of(vec![]), None);
        assert_eq!(ScoreStatistics::of(vec![3.0]).map(|one| one.quartiles), Some([3.0; 3]));
    }
}
