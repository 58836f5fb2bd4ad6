//! Bootstrap intervals against `scipy`, against a plain implementation, and by their coverage.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{fs, path::Path};

use lancer_eval::{BootstrapSettings, Comparison, Metric, Verdict, compare, estimate};
use proptest::prelude::*;
use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    confidence: f64,
    before: Vec<f64>,
    before_weights: Vec<f64>,
    after: Vec<f64>,
    after_weights: Vec<f64>,
    estimate: Interval,
    difference: Interval,
}

#[derive(Deserialize)]
struct Interval {
    mean: f64,
    low: f64,
    high: f64,
    standard_error: f64,
}

fn weighted(values: &[f64], weights: &[f64]) -> Vec<(f64, f64)> {
    values.iter().copied().zip(weights.iter().copied()).collect()
}

#[test]
fn intervals_are_those_of_scipy() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/eval/bootstrap.json");
    let fixture: Fixture = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(fixture.cases.len(), 3);
    for case in fixture.cases {
        let settings = BootstrapSettings {
            resamples: 100_000,
            confidence: case.confidence,
            ..BootstrapSettings::default()
        };
        let before = weighted(&case.before, &case.before_weights);
        let after = weighted(&case.after, &case.after_weights);
        let comparison = compare(Metric::Nll, &before, &after, &settings);
        for (ours, theirs) in [(comparison.before, &case.estimate), (comparison.difference, &case.difference)]
        {
            assert!((ours.mean - theirs.mean).abs() < 1e-12, "{}", case.name);
            // The 2.5 % quantile of 100,000 draws of a normal distribution has a standard error of 0.0084 standard
            // deviations; two such draws differ by less than six of them. Accuracies also move in steps of 1/200.
            let tolerance = 6.0 * 0.0084 * theirs.standard_error + 1e-9;
            let step = if case.name.starts_with("accuracy") { 0.005 } else { 0.0 };
            for (ours, theirs) in [(ours.low, theirs.low), (ours.high, theirs.high)] {
                assert!((ours - theirs).abs() < tolerance.max(step + 1e-9), "{}: {ours} {theirs}", case.name);
            }
        }
    }
}

/// The definition, written without regard to speed.
fn plain(before: &[(f64, f64)], after: &[(f64, f64)], settings: &BootstrapSettings) -> [(f64, f64); 3] {
    let mean = |items: &[(f64, f64)]| {
        items.iter().map(|item| item.0 * item.1).sum::<f64>() / items.iter().map(|item| item.1).sum::<f64>()
    };
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    let mut means: [Vec<f64>; 3] = Default::default();
    for _ in 0..settings.resamples {
        let places: Vec<usize> = (0..before.len()).map(|_| random.random_range(0..before.len())).collect();
        let drawn =
            |values: &[(f64, f64)]| mean(&places.iter().map(|&place| values[place]).collect::<Vec<_>>());
        let (one, two) = (drawn(before), drawn(after));
        for (means, value) in means.iter_mut().zip([one, two, two - one]) {
            means.push(value);
        }
    }
    means.map(|mut means| {
        means.sort_by(f64::total_cmp);
        let quantile = |share: f64| {
            let place = share * (means.len() - 1) as f64;
            let (below, above) = (means[place as usize], means[(place as usize + 1).min(means.len() - 1)]);
            below * (1.0 - place.fract()) + above * place.fract()
        };
        let outside = (1.0 - settings.confidence) / 2.0;
        (quantile(outside), quantile(1.0 - outside))
    })
}

fn pairs() -> impl Strategy<Value = Vec<((f64, f64), (f64, f64))>> {
    let item = || (-5.0..5.0_f64, 0.5..20.0_f64);
    prop::collection::vec((item(), item()), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn intervals_are_those_of_the_definition(
        pairs in pairs(), seed: u64, resamples in 100_usize..300, confidence in 0.5..0.99_f64,
    ) {
        let (before, after): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let settings = BootstrapSettings { resamples, confidence, seed };
        let ours = compare(Metric::Nll, &before, &after, &settings);
        let expected = plain(&before, &after, &settings);
        for (ours, (low, high)) in [ours.before, ours.after, ours.difference].iter().zip(expected) {
            prop_assert!((ours.low - low).abs() < 1e-9 && (ours.high - high).abs() < 1e-9, "{ours:?} {low} {high}");
        }
        prop_assert_eq!(ours.before, estimate(&before, &settings));
    }

    #[test]
    fn constant_values_have_no_width(value in -5.0..5.0_f64, weights in prop::collection::vec(0.5..20.0_f64, 1..50)) {
        let values: Vec<_> = weights.iter().map(|&weight| (value, weight)).collect();
        let found = estimate(&values, &BootstrapSettings { resamples: 200, ..BootstrapSettings::default() });
        prop_assert!((found.mean - value).abs() < 1e-9);
        prop_assert!((found.high - found.low).abs() < 1e-9 && (found.low - value).abs() < 1e-9);
    }

    #[test]
    fn the_other_way_round_the_verdict_is_the_opposite(pairs in pairs()) {
        let (before, after): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let settings = BootstrapSettings { resamples: 200, ..BootstrapSettings::default() };
        let there = compare(Metric::Accuracy, &before, &after, &settings);
        let back = compare(Metric::Accuracy, &after, &before, &settings);
        prop_assert!((there.difference.low + back.difference.high).abs() < 1e-9);
        let opposite = match there.verdict {
            Verdict::Better => Verdict::Worse,
            Verdict::Worse => Verdict::Better,
            Verdict::NotToldApart => Verdict::NotToldApart,
        };
        prop_assert_eq!(back.verdict, opposite);
        prop_assert_eq!(compare(Metric::Nll, &before, &after, &settings).verdict, opposite);
    }
}

/// A draw of the standard normal distribution, as the sum of twelve even ones.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let settings = BootstrapSettings { resamples: 1000, ..BootstrapSettings::default() };
    let (runs, mut held) = (400, 0);
    for _ in 0..runs {
        let values: Vec<_> = (0..100).map(|_| (2.0 + normal(&mut random), 1.0)).collect();
        let found = estimate(&values, &settings);
        held += usize::from(found.low <= 2.0 && 2.0 <= found.high);
    }
    // 95 % of 400 is 380; the percentile method falls a little short, and four standard deviations are 17.
    assert!((360..=395).contains(&held), "{held} of {runs}");
}

#[test]
fn models_that_do_not_differ_are_seldom_told_apart() {
    let mut random = ChaCha8Rng::seed_from_u64(12);
    let settings = BootstrapSettings { resamples: 1000, ..BootstrapSettings::default() };
    let mut verdicts = |shift: f64| {
        let found: Vec<Verdict> = (0..200)
            .map(|_| {
                let before: Vec<_> = (0..100).map(|_| (normal(&mut random), 1.0)).collect();
                let after: Vec<_> =
                    before.iter().map(|before| (before.0 + shift + 0.2 * normal(&mut random), 1.0)).collect();
                compare(Metric::Nll, &before, &after, &settings).verdict
            })
            .collect();
        move |verdict| found.iter().filter(|found| **found == verdict).count()
    };
    let same = verdicts(0.0);
    let wrong = same(Verdict::Better) + same(Verdict::Worse);
    assert!((1..=25).contains(&wrong), "{wrong} of 200");
    // A tenth of a standard deviation, which only pairing shows: unpaired it is 0.7 standard errors, paired 5.
    assert!(verdicts(-0.1)(Verdict::Better) > 190);
    assert!(verdicts(0.1)(Verdict::Worse) > 190);
}

fn accuracies(before: &[u8], after: &[u8]) -> Comparison {
    let values = |side: &[u8]| side.iter().map(|&value| (f64::from(value), 1.0)).collect::<Vec<_>>();
    compare(Metric::Accuracy, &values(before), &values(after), &BootstrapSettings::default())
}

#[test]
fn few_changes_tell_nothing_apart() {
    let before = [0; 200];
    let mut after = [0; 200];
    after[..5].fill(1);
    let five = accuracies(&before, &after);
    assert_eq!((five.changed, five.verdict), (5, Verdict::NotToldApart));
    after[..6].fill(1);
    let six = accuracies(&before, &after);
    assert_eq!((six.changed, six.verdict), (6, Verdict::Better));
    assert!(six.to_string().starts_with("better: accuracy 0.0000 before, 0.0300 after"), "{six}");
    assert_eq!(accuracies(&[0], &[1]).verdict, Verdict::NotToldApart);
}

#[test]
fn nothing_is_estimated_from_nothing() {
    let none = estimate(&[], &BootstrapSettings::default());
    assert!(none.mean.is_nan() && none.low.is_nan() && none.items == 0);
}

#[test]
fn settings_outside_their_ranges_are_refused() {
    let default = BootstrapSettings::default();
    assert!(default.validate().is_ok());
    assert!(
        BootstrapSettings { resamples: 99, ..default }.validate().unwrap_err().contains("100 to 1000000")
    );
    for confidence in [0.0, 1.0, f64::NAN] {
        assert!(BootstrapSettings { confidence, ..default }.validate().is_err());
    }
}
