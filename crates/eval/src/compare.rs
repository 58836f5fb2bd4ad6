//! Whether one model is better than another on the same items.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    BootstrapSettings, Estimate, Metric,
    bootstrap::{interval, paired_means, resample, weighted_mean},
    significance::p_value,
};

/// What is known of the difference of two models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The model after is better.
    Better,
    /// The model after is worse.
    Worse,
    /// So large a difference comes about by chance too often to say which model is better.
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
    /// How likely a difference at least as large is where the models are equally good, two-sided, 0 to 1: of McNemar's
    /// exact test for [`Metric::Accuracy`], else of a randomisation test.
    pub p_value: f64,
    /// The p-value corrected for the number of tasks by [`judge_together`](crate::judge_together); until then the same.
    pub corrected_p_value: f64,
    /// Better or worse where the corrected p-value is at most 1 less the confidence.
    pub verdict: Verdict,
}

/// Compares two models on the same items, each a value and a weight above 0, with a paired bootstrap.
///
/// `before[i]` and `after[i]` are the same item. Each resample draws items and takes both models' values of them, so what
/// makes an item hard for both does not widen the interval of the difference (Koehn 2004, "Statistical significance tests
/// for machine translation evaluation"). The verdict follows from a p-value, which holds for few items too, where a bootstrap
/// is too narrow. One comparison errs in one of twenty cases where nothing changed, many err more often:
/// [`judge_together`](crate::judge_together) corrects for that.
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
    let means = |draw: &mut dyn Iterator<Item = usize>| paired_means(before, after, draw);
    let draws = resample(items, settings, means);
    let mean = [before, after].map(|values| weighted_mean(values.iter().copied()));
    let side =
        |side: usize| interval(mean[side], draws.iter().map(|draw| draw[side]).collect(), items, settings);
    let difference =
        interval(mean[1] - mean[0], draws.iter().map(|draw| draw[1] - draw[0]).collect(), items, settings);
    let changed = before.iter().zip(after).filter(|(before, after)| (before.0 - after.0).abs() > 0.0).count();
    let p_value = p_value(metric, before, after, settings);
    Comparison {
        metric,
        before: side(0),
        after: side(1),
        difference,
        changed,
        p_value,
        corrected_p_value: p_value,
        verdict: verdict(metric, difference.mean, p_value, settings),
    }
}

pub(crate) fn verdict(
    metric: Metric,
    difference: f64,
    p_value: f64,
    settings: &BootstrapSettings,
) -> Verdict {
    if p_value > 1.0 - settings.confidence {
        Verdict::NotToldApart
    } else if (difference > 0.0) == metric.higher_is_better() {
        Verdict::Better
    } else {
        Verdict::Worse
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
