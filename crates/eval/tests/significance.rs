//! P-values, their correction, and the gain over all tasks, against scipy and statsmodels
//! (`fixtures/eval/make_significance.py`) and against what they must be.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use lancer_eval::{
    BootstrapSettings, Comparison, Metric, PairedItems, Verdict, compare, judge_together, mc_nemar,
    overall_gain,
};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    mc_nemar: Vec<McNemar>,
    randomisation: Vec<Randomisation>,
    holm: Vec<Holm>,
}

#[derive(Deserialize)]
struct McNemar {
    gained: u64,
    lost: u64,
    p_value: f64,
}

#[derive(Deserialize)]
struct Randomisation {
    before: Vec<f64>,
    after: Vec<f64>,
    weights: Vec<f64>,
    difference: f64,
    p_value: f64,
}

#[derive(Deserialize)]
struct Holm {
    p_values: Vec<f64>,
    corrected: Vec<f64>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../../fixtures/eval/significance.json")).unwrap()
}

fn with_weights(values: &[f64], weights: &[f64]) -> Vec<(f64, f64)> {
    values.iter().copied().zip(weights.iter().copied()).collect()
}

#[test]
fn mc_nemar_is_statsmodels() {
    for case in fixture().mc_nemar {
        let found = mc_nemar(case.gained, case.lost);
        assert!((found - case.p_value).abs() < 1e-9, "{} {}: {found}", case.gained, case.lost);
    }
    assert!((mc_nemar(0, 0) - 1.0).abs() < 1e-12);
}

#[test]
fn the_randomisation_test_is_scipys() {
    let settings = BootstrapSettings { resamples: 100_000, ..BootstrapSettings::default() };
    for case in fixture().randomisation {
        let (before, after) =
            (with_weights(&case.before, &case.weights), with_weights(&case.after, &case.weights));
        let found = compare(Metric::Nll, &before, &after, &settings);
        assert!((found.difference.mean - case.difference).abs() < 1e-9);
        // Both are estimates from 100,000 draws; five standard errors of their difference.
        let error = 5.0 * (2.0 * case.p_value * (1.0 - case.p_value) / 100_000.0).sqrt() + 2e-5;
        assert!((found.p_value - case.p_value).abs() < error, "{} for {}", found.p_value, case.p_value);
    }
}

/// A comparison of which only the p-value and the direction matter.
fn with_p_value(p_value: f64) -> Comparison {
    let settings = BootstrapSettings { resamples: 100, ..BootstrapSettings::default() };
    let mut comparison = compare(Metric::Accuracy, &[(0.0, 1.0)], &[(1.0, 1.0)], &settings);
    comparison.p_value = p_value;
    comparison
}

#[test]
fn several_tasks_are_corrected_as_statsmodels_does() {
    for case in fixture().holm {
        let mut found: Vec<Comparison> = case.p_values.iter().map(|&p_value| with_p_value(p_value)).collect();
        judge_together(&mut found.iter_mut().collect::<Vec<_>>(), &BootstrapSettings::default());
        for (found, expected) in found.iter().zip(case.corrected) {
            assert!((found.corrected_p_value - expected).abs() < 1e-12);
            let verdict = if expected <= 0.05 { Verdict::Better } else { Verdict::NotToldApart };
            assert_eq!(found.verdict, verdict);
        }
    }
}

#[test]
fn the_overall_gain_is_the_mean_of_standardised_gains() {
    let settings = BootstrapSettings::default();
    let items = |values: &[f64]| values.iter().map(|&value| (value, 1.0)).collect::<Vec<_>>();
    let (nll_before, nll_after) = (items(&[1.0, 2.0, 3.0]), items(&[0.5, 1.5, 2.5]));
    let (right_before, right_after) = (items(&[1.0, 0.0, 1.0, 0.0]), items(&[1.0, 1.0, 1.0, 0.0]));
    let nll = PairedItems { group: "nll", metric: Metric::Nll, before: &nll_before, after: &nll_after };
    let part =
        PairedItems { group: "parts", metric: Metric::Accuracy, before: &right_before, after: &right_after };
    let same = PairedItems { after: &right_before, ..part };
    // By hand: 0.5 / sqrt(2 / 3) for the NLL; 0.25 / 0.5 and 0 for the parts.
    let nll_gain = 0.5 / (2.0_f64 / 3.0).sqrt();
    let found = overall_gain(&[nll, part, same], &settings).unwrap();
    assert!((found.mean - f64::midpoint(nll_gain, 0.25)).abs() < 1e-12, "{found:?}");
    assert_eq!(found.items, 11);
    assert!(found.low <= found.mean && found.mean <= found.high);
    let alone = overall_gain(&[nll], &settings).unwrap();
    // Every item has gained the same, so that no draw differs.
    assert!((alone.low - nll_gain).abs() < 1e-9 && (alone.high - nll_gain).abs() < 1e-9);
    assert_eq!(overall_gain(&[], &settings), None);
    let (equal, after) = (items(&[1.0, 1.0]), items(&[0.0, 1.0]));
    let no_spread = PairedItems { before: &equal, after: &after, ..part };
    assert_eq!(overall_gain(&[no_spread], &settings), None);
    let without_it = overall_gain(&[nll, no_spread], &settings).unwrap();
    assert!((without_it.mean - alone.mean).abs() < 1e-12);
}

#[test]
fn correction_keeps_false_verdicts_rare() {
    use rand::Rng;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let settings = BootstrapSettings { resamples: 500, ..BootstrapSettings::default() };
    let runs = 200;
    let mut wrong = 0;
    for _ in 0..runs {
        let mut tasks: Vec<Comparison> = (0..8)
            .map(|_| {
                let before: Vec<(f64, f64)> = (0..40).map(|_| (random.random::<f64>(), 1.0)).collect();
                let after: Vec<(f64, f64)> =
                    before.iter().map(|item| (item.0 + random.random::<f64>() - 0.5, 1.0)).collect();
                compare(Metric::CorrectProbability, &before, &after, &settings)
            })
            .collect();
        judge_together(&mut tasks.iter_mut().collect::<Vec<_>>(), &settings);
        wrong += usize::from(tasks.iter().any(|task| task.verdict != Verdict::NotToldApart));
    }
    // 5 % of 200 is 10; three standard deviations are 9.
    assert!(wrong <= 19, "{wrong} of {runs}");
}

proptest! {
    #[test]
    fn p_values_are_probabilities_and_symmetric(gained in 0_u64..3000, lost in 0_u64..3000) {
        let p_value = mc_nemar(gained, lost);
        prop_assert!((0.0..=1.0).contains(&p_value));
        prop_assert!((p_value - mc_nemar(lost, gained)).abs() < 1e-12);
    }
}
