//! Means with bootstrap intervals.

use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How intervals are computed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BootstrapSettings {
    /// How often the items are drawn again, 100 to 1,000,000.
    pub resamples: usize,
    /// The share of resamples within the interval; above 0, below 1.
    pub confidence: f64,
    /// The seed of the draws, below 2^63, which is as far as the numbers of TOML go. The same seed gives the same interval.
    pub seed: u64,
}

impl Default for BootstrapSettings {
    /// 10,000 resamples, 95 %.
    fn default() -> Self {
        Self { resamples: 10_000, confidence: 0.95, seed: 0 }
    }
}

impl BootstrapSettings {
    /// Checks the ranges; the error says which setting is outside and what is allowed.
    pub fn validate(&self) -> Result<(), String> {
        if !(100..=1_000_000).contains(&self.resamples) {
            return Err(format!("resamples: {} is not within 100 to 1000000", self.resamples));
        }
        if !(self.confidence > 0.0 && self.confidence < 1.0) {
            return Err(format!("confidence: {} is not above 0 and below 1", self.confidence));
        }
        if i64::try_from(self.seed).is_err() {
            return Err(format!("seed: {} is not from 0 to {}", self.seed, i64::MAX));
        }
        Ok(())
    }
}

/// A mean with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The weighted mean; not a number where there are no items.
    pub mean: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
    /// How many items there are.
    pub items: usize,
}

impl Estimate {
    /// The same as a perplexity, where the mean is an NLL in nats a token.
    #[must_use]
    pub fn perplexity(&self) -> Self {
        Self { mean: self.mean.exp(), low: self.low.exp(), high: self.high.exp(), items: self.items }
    }
}

/// The weighted mean of items, each a value and a weight above 0, with its interval.
///
/// Items are drawn with replacement, and the interval is between percentiles of the means of the draws (the percentile
/// method; Efron and Tibshirani 1993, chapter 13). It says how much the mean would vary over other items like these; it
/// does not say how much a model would vary over other trainings. Values that are all equal give an interval of no width,
/// which says more about their number than about the model.
pub fn estimate(values: &[(f64, f64)], settings: &BootstrapSettings) -> Estimate {
    let mean = |draw: &mut dyn Iterator<Item = usize>| weighted_mean(draw.map(|item| values[item]));
    let means = resample(values.len(), settings, mean);
    interval(mean(&mut (0..values.len())), means, values.len(), settings)
}

/// The statistic of every resample of `items` items. The draws depend on `items` and the settings alone.
pub(crate) fn resample<T>(
    items: usize,
    settings: &BootstrapSettings,
    statistic: impl Fn(&mut dyn Iterator<Item = usize>) -> T,
) -> Vec<T> {
    if items == 0 {
        return Vec::new();
    }
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    (0..settings.resamples)
        .map(|_| statistic(&mut (0..items).map(|_| random.random_range(0..items))))
        .collect()
}

/// `mean` with the percentiles of `means`.
pub(crate) fn interval(
    mean: f64,
    mut means: Vec<f64>,
    items: usize,
    settings: &BootstrapSettings,
) -> Estimate {
    means.sort_unstable_by(f64::total_cmp);
    let outside = (1.0 - settings.confidence) / 2.0;
    Estimate { mean, low: quantile(&means, outside), high: quantile(&means, 1.0 - outside), items }
}

/// The mean of items, each a value and a weight; not a number where there are no items.
pub fn weighted_mean(values: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (sum, weights) =
        values.fold((0.0, 0.0), |(sum, weights), (value, weight)| (sum + value * weight, weights + weight));
    sum / weights
}

/// The weighted means of both sides of paired items, over a draw of them.
pub(crate) fn paired_means(
    before: &[(f64, f64)],
    after: &[(f64, f64)],
    draw: &mut dyn Iterator<Item = usize>,
) -> [f64; 2] {
    let (mut sums, mut weights) = ([0.0; 2], [0.0; 2]);
    for item in draw {
        for (side, (value, weight)) in [before[item], after[item]].into_iter().enumerate() {
            sums[side] += value * weight;
            weights[side] += weight;
        }
    }
    [sums[0] / weights[0], sums[1] / weights[1]]
}

/// The quantile of sorted values, interpolated between neighbours as `numpy.quantile` does by default.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    below + (above - below) * place.fract()
}
