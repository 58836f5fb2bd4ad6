//! How likely a difference as large as the one found is where nothing has changed.

use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::{BootstrapSettings, Metric};

/// The two-sided p-value of a paired comparison: of McNemar's exact test where items are right or wrong, else of a
/// randomisation test.
pub(crate) fn p_value(
    metric: Metric,
    before: &[(f64, f64)],
    after: &[(f64, f64)],
    settings: &BootstrapSettings,
) -> f64 {
    let is_right_or_wrong =
        before.iter().chain(after).all(|item| item.0 == 0.0 || (item.0 - 1.0).abs() < f64::EPSILON);
    match metric {
        Metric::Accuracy if is_right_or_wrong => {
            let count = |better: fn(f64, f64) -> bool| {
                before.iter().zip(after).filter(|(before, after)| better(before.0, after.0)).count() as u64
            };
            mc_nemar(count(|before, after| after > before), count(|before, after| after < before))
        }
        // Accuracies that are means over several trainings are no longer right or wrong.
        Metric::Accuracy | Metric::CorrectProbability | Metric::Nll => sign_flips(before, after, settings),
    }
}

/// McNemar's exact test (McNemar 1947): how likely it is that of `gained + lost` items that are now right or wrong
/// instead of wrong or right, one side has so few, if each was as likely to be gained as to be lost.
///
/// The two-sided p-value of a binomial test with probability one half; 1 where no item has changed.
pub fn mc_nemar(gained: u64, lost: u64) -> f64 {
    let items = gained + lost;
    // In logarithms: the coefficients of a thousand items do not fit into a number.
    let mut log_term = -(items as f64) * std::f64::consts::LN_2;
    let mut tail = 0.0;
    for successes in 0..=gained.min(lost) {
        if successes > 0 {
            log_term += ((items - successes + 1) as f64 / successes as f64).ln();
        }
        tail += log_term.exp();
    }
    (2.0 * tail).min(1.0)
}

/// A randomisation test (Fisher 1935; Noreen 1989): how often a difference of the means at least as large comes about
/// where each item's difference gets a sign at random. Exact where there are no more than `resamples` ways to set the signs.
fn sign_flips(before: &[(f64, f64)], after: &[(f64, f64)], settings: &BootstrapSettings) -> f64 {
    let weights = |side: &[(f64, f64)]| side.iter().map(|item| item.1).sum::<f64>();
    let (weights_before, weights_after) = (weights(before), weights(after));
    let differences: Vec<f64> = before
        .iter()
        .zip(after)
        .map(|(before, after)| after.0 * after.1 / weights_after - before.0 * before.1 / weights_before)
        .filter(|difference| difference.abs() > 0.0)
        .collect();
    // Sums in another order differ by rounding; equal ones must count as equal.
    let found = differences.iter().sum::<f64>().abs() * (1.0 - 1e-9);
    let is_as_large = |is_kept: &mut dyn FnMut(usize) -> bool| {
        let signed =
            differences.iter().enumerate().map(|(place, value)| if is_kept(place) { *value } else { -value });
        signed.sum::<f64>().abs() >= found
    };
    // Of few items all the signs there are can be tried.
    if let Some(all) = 1_usize.checked_shl(differences.len() as u32).filter(|&all| all <= settings.resamples)
    {
        let as_large = (0..all).filter(|signs| is_as_large(&mut |place| signs >> place & 1 == 1)).count();
        return as_large as f64 / all as f64;
    }
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    let as_large = (0..settings.resamples).filter(|_| is_as_large(&mut |_| random.random())).count();
    (as_large + 1) as f64 / (settings.resamples + 1) as f64
}
