//! From features to a score: a logistic regression on the run's seeds against damaged ones.

use serde::{Deserialize, Serialize};

use super::{
    Features,
    logistic::{self, Logistic},
};
use crate::{Score, stored::short};

/// Numbers that the regression weighs: the features and their squares.
const WIDTH: usize = 2 * Features::COUNT;

/// Inverse strength of the penalty, as scikit-learn's `C`.
const C: f64 = 1.0;

/// A calibration of [`Features`] to scores.
///
/// The features are standardised over the pairs it was fitted on. Their squares are weighed too, since for some of them
/// the good lie between two kinds of bad: shuffled words are harder to predict than a person's, repeated ones easier.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    means: [f64; Features::COUNT],
    deviations: [f64; Features::COUNT],
    weights: [f64; WIDTH],
    intercept: f64,
}

/// The features of a pair whose quality is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Labelled {
    pub(crate) features: Features,
    /// Whether it is a seed as it is.
    pub(crate) is_good: bool,
    /// Which seed it is, or comes from.
    pub(crate) seed: usize,
}

impl Calibration {
    /// Fits a calibration; both classes weigh the same, so that 5 is undecided.
    pub(crate) fn fit<'a>(pairs: impl IntoIterator<Item = &'a Labelled>) -> Self {
        let pairs: Vec<&Labelled> = pairs.into_iter().collect();
        let vectors: Vec<[f64; Features::COUNT]> = pairs.iter().map(|pair| pair.features.vector()).collect();
        let count = vectors.len().max(1) as f64;
        let over = |of: &dyn Fn(usize) -> f64| -> [f64; Features::COUNT] { std::array::from_fn(of) };
        let means = over(&|n| short(vectors.iter().map(|vector| vector[n]).sum::<f64>() / count));
        let deviations = over(&|n| {
            let variance = vectors.iter().map(|vector| (vector[n] - means[n]).powi(2)).sum::<f64>() / count;
            // The weight of a feature that never varies is fitted to 0, whatever it is divided by.
            if variance > 1e-12 { short(variance.sqrt()) } else { 1.0 }
        });
        let unfitted = Self { means, deviations, weights: [0.0; WIDTH], intercept: 0.0 };
        let rows: Vec<Vec<f64>> = pairs.iter().map(|pair| unfitted.row(&pair.features).to_vec()).collect();
        let is_good: Vec<bool> = pairs.iter().map(|pair| pair.is_good).collect();
        let Logistic { weights, intercept } = logistic::fit(&rows, &is_good, C);
        let weights = std::array::from_fn(|n| short(weights.get(n).copied().unwrap_or(0.0)));
        Self { weights, intercept: short(intercept), ..unfitted }
    }

    /// 10 times the probability of being a good pair.
    pub fn score(&self, features: &Features) -> Score {
        let logistic = Logistic { weights: self.weights.to_vec(), intercept: self.intercept };
        Score::nearest(10.0 * logistic.probability(&self.row(features)))
    }

    fn row(&self, features: &Features) -> [f64; WIDTH] {
        let vector = features.vector();
        // No pair counts as further out than this, so that squares do not run away on odd text.
        let standard = |n: usize| ((vector[n] - self.means[n]) / self.deviations[n]).clamp(-4.0, 4.0);
        std::array::from_fn(|n| match n.checked_sub(Features::COUNT) {
            None => standard(n),
            Some(n) => standard(n).powi(2),
        })
    }
}

/// The score of each pair from a calibration on the other folds. A seed and what comes from it are in one fold.
pub(crate) fn cross_validate(pairs: &[Labelled], folds: usize) -> Vec<Score> {
    let calibrations: Vec<Calibration> = (0..folds)
        .map(|fold| Calibration::fit(pairs.iter().filter(|pair| pair.seed % folds != fold)))
        .collect();
    pairs.iter().map(|pair| calibrations[pair.seed % folds].score(&pair.features)).collect()
}
