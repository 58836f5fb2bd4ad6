//! Verdicts on several tasks together: their p-values corrected for their number.

use crate::{BootstrapSettings, Comparison, compare::verdict};

/// Judges comparisons on several tasks together: of many tasks one seems better or worse by chance alone.
///
/// The p-values are corrected by Holm's method (Holm 1979, "A simple sequentially rejective multiple test procedure"), and
/// the verdicts follow from the corrected ones: where no task has changed, the probability that any verdict is not
/// [`NotToldApart`](crate::Verdict::NotToldApart) is at most `1 - confidence`.
pub fn judge_together(comparisons: &mut [&mut Comparison], settings: &BootstrapSettings) {
    let p_values: Vec<f64> = comparisons.iter().map(|comparison| comparison.p_value).collect();
    for (comparison, corrected) in comparisons.iter_mut().zip(holm(&p_values)) {
        comparison.corrected_p_value = corrected;
        comparison.verdict = verdict(comparison.metric, comparison.difference.mean, corrected, settings);
    }
}

/// The p-values corrected by Holm's method, in the same order.
fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&one, &two| p_values[one].total_cmp(&p_values[two]));
    let mut corrected = vec![1.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, place) in order.into_iter().enumerate() {
        largest = largest.max(p_values[place] * (p_values.len() - rank) as f64);
        corrected[place] = largest.min(1.0);
    }
    corrected
}
