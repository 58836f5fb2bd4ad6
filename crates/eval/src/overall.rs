//! What a model has gained over all tasks together.

use std::collections::BTreeMap;

use crate::{
    BootstrapSettings, Estimate, Metric,
    bootstrap::{interval, paired_means, resample, weighted_mean},
};

/// A task's items under two models.
#[derive(Debug, Clone, Copy)]
pub struct PairedItems<'a> {
    /// Tasks of one group count as one task: the parts of a benchmark that has several.
    pub group: &'a str,
    /// What the values mean.
    pub metric: Metric,
    /// Value and weight of each item, the model before.
    pub before: &'a [(f64, f64)],
    /// The same items, the model after.
    pub after: &'a [(f64, f64)],
}

/// The mean gain over all tasks, in standard deviations; above 0 is better.
///
/// Tasks measure different things, so each task's difference is divided by the standard deviation of the items' values
/// under the model before (Glass's delta; Glass 1976), and turned so that more is better. 0.02 is a point of accuracy
/// where half of the items are right. Tasks of one group are averaged first. The interval is of a bootstrap that draws
/// each task's items anew and leaves the tasks as they are: it says nothing about other tasks.
///
/// A task all of whose items have the same value under the model before has no measure and is left out; `None` where no
/// task is left.
///
/// # Panics
///
/// If a task's `before` and `after` are not of one length.
pub fn overall_gain(tasks: &[PairedItems<'_>], settings: &BootstrapSettings) -> Option<Estimate> {
    let mut groups: BTreeMap<&str, Vec<Gain>> = BTreeMap::new();
    for (number, task) in tasks.iter().enumerate() {
        let own = BootstrapSettings { seed: settings.seed.wrapping_add(number as u64), ..*settings };
        if let Some(gain) = gain(task, &own) {
            groups.entry(task.group).or_default().push(gain);
        }
    }
    if groups.is_empty() {
        return None;
    }
    let over = |of: &dyn Fn(&Gain) -> f64| {
        mean(groups.values().map(|group| mean(group.iter().map(of))).collect::<Vec<_>>().into_iter())
    };
    let draws = (0..settings.resamples).map(|draw| over(&|gain| gain.draws[draw])).collect();
    let items = tasks.iter().map(|task| task.before.len()).sum();
    Some(interval(over(&|gain| gain.mean), draws, items, settings))
}

/// A task's gain in standard deviations, of all its items and of each draw.
struct Gain {
    mean: f64,
    draws: Vec<f64>,
}

fn gain(task: &PairedItems<'_>, settings: &BootstrapSettings) -> Option<Gain> {
    let PairedItems { before, after, metric, .. } = *task;
    assert_eq!(before.len(), after.len(), "a gain needs the same items before and after");
    let mean_before = weighted_mean(before.iter().copied());
    let variance =
        weighted_mean(before.iter().map(|&(value, weight)| ((value - mean_before).powi(2), weight)));
    let unit = if metric.higher_is_better() { variance.sqrt() } else { -variance.sqrt() };
    if unit.abs() <= 0.0 || !unit.is_finite() {
        return None;
    }
    let difference = |draw: &mut dyn Iterator<Item = usize>| {
        let [mean_before, mean_after] = paired_means(before, after, draw);
        (mean_after - mean_before) / unit
    };
    Some(Gain {
        mean: difference(&mut (0..before.len())),
        draws: resample(before.len(), settings, difference),
    })
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}
