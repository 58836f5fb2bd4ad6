//! Whether one model is better than another on the same items.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    BootstrapSettings, Estimate, Metric,
    bootstrap::{interval, resample, weighted_mean},
};

/// So many items must have changed before two models are told apart: with fewer, even if all changed in one direction,
/// a two-sided sign test does not reach 0.05 (2 / 2^5 = 0.06), and the bootstrap of so few is too narrow.
pub const LEAST_CHANGED: usize = 6;

/// What is known of the difference of two models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The model after is better.
    Better,
    /// The model after is worse.
    Worse,
    /// The interval of the difference includes zero, or fewer than [`LEAST_CHANGED`] items changed.
    NotToldApart,
}

/// Two models on the same items.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What the values mean.
    pub metric: Metric,
    /// The model before.
    pub before: Estimate,
    /// The model after.
    pub after: Estimate,
    /// After minus before, of the same draws of items.
    pub difference: Estimate,
    /// How many items have another value after than before.
    pub changed: usize,
    /// Whether the interval of the difference excludes zero, and in which direction.
    pub verdict: Verdict,
}

/// Compares two models on the same items, each a value and a weight above 0, with a paired bootstrap.
///
/// `before[i]` and `after[i]` are the same item. Each resample draws items and takes both models' values of them, so what
/// makes an item hard for both does not widen the interval of the difference (Koehn 2004, "Statistical significance tests
/// for machine translation evaluation"). One comparison errs in one of twenty cases where nothing changed; many
/// comparisons err more often.
///
/// # Panics
///
/// If `before` and `after` are not of one length: they would not be pairs.
pub fn compare(
    metric: Metric,
    before: &[(f64, f64)],
    after: &[(f64, f64)],
    settings: &BootstrapSettings,
) -> Comparison {
    assert_eq!(before.len(), after.len(), "a comparison needs the same items before and after");
    let items = before.len();
    let means = |draw: &mut dyn Iterator<Item = usize>| {
        let (mut sums, mut weights) = ([0.0; 2], [0.0; 2]);
        for item in draw {
            for (side, (value, weight)) in [before[item], after[item]].into_iter().enumerate() {
                sums[side] += value * weight;
                weights[side] += weight;
            }
        }
        [sums[0] / weights[0], sums[1] / weights[1]]
    };
    let draws = resample(items, settings, means);
    let mean = [before, after].map(|values| weighted_mean(values.iter().copied()));
    let side =
        |side: usize| interval(mean[side], draws.iter().map(|draw| draw[side]).collect(), items, settings);
    let difference =
        interval(mean[1] - mean[0], draws.iter().map(|draw| draw[1] - draw[0]).collect(), items, settings);
    let changed = before.iter().zip(after).filter(|(before, after)| (before.0 - after.0).abs() > 0.0).count();
    Comparison {
        metric,
        before: side(0),
        after: side(1),
        difference,
        changed,
        verdict: verdict(metric, &difference, changed),
    }
}

fn verdict(metric: Metric, difference: &Estimate, changed: usize) -> Verdict {
    let (larger, smaller) = if metric.higher_is_better() {
        (Verdict::Better, Verdict::Worse)
    } else {
        (Verdict::Worse, Verdict::Better)
    };
    if changed < LEAST_CHANGED {
        Verdict::NotToldApart
    } else if difference.low > 0.0 {
        larger
    } else if difference.high < 0.0 {
        smaller
    } else {
        Verdict::NotToldApart
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NotToldApart => "not told apart",
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "{}: {} {:.4} before, {:.4} after, difference {:+.4} [{:+.4}, {:+.4}] on {} items",
            self.verdict,
            self.metric.name(),
            self.before.mean,
            self.after.mean,
            self.difference.mean,
            self.difference.low,
            self.difference.high,
            self.difference.items,
        )
    }
}
