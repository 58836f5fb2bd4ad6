//! Logistic regression with an L2 penalty, fitted by Newton's method: the objective of scikit-learn's
//! `LogisticRegression(class_weight="balanced")`.

/// A fitted regression: the probability of the positive class is `1 / (1 + exp(-(intercept + weights · x)))`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Logistic {
    pub(super) weights: Vec<f64>,
    pub(super) intercept: f64,
}

/// Newton steps at most; some ten are enough.
const STEPS: usize = 100;
/// The fit is done when no derivative is larger.
const TOLERANCE: f64 = 1e-10;

/// Minimises `|weights|² / 2 + c · Σ weight_i · log loss_i`, the intercept not penalised, where `weight_i` is the number
/// of rows over twice the number of rows of that class: both classes count the same, so that 0.5 is undecided however
/// many of each there are. `rows` are of one length; with one class only, the answer is that class.
pub(super) fn fit(rows: &[Vec<f64>], positive: &[bool], c: f64) -> Logistic {
    let width = rows.first().map_or(0, Vec::len);
    let positives = positive.iter().filter(|&&is| is).count();
    let negatives = positive.len() - positives;
    let balance = |is: bool| {
        let class = if is { positives } else { negatives };
        positive.len() as f64 / (2.0 * class.max(1) as f64)
    };
    // The intercept is the last coordinate.
    let mut at = vec![0.0; width + 1];
    let problem = Problem { rows, positive, c, balance: &balance };
    let mut value = problem.value(&at);
    for _ in 0..STEPS {
        let (gradient, hessian) = problem.derivatives(&at);
        if gradient.iter().all(|derivative| derivative.abs() < TOLERANCE) {
            break;
        }
        let Some(step) = solve(hessian, gradient) else { break };
        // Halved until the objective falls: far from the minimum a full step can overshoot.
        let mut scale = 1.0;
        loop {
            let next: Vec<f64> = at.iter().zip(&step).map(|(at, step)| at - scale * step).collect();
            let next_value = problem.value(&next);
            if next_value <= value {
                (at, value) = (next, next_value);
                break;
            }
            scale /= 2.0;
            if scale < 1e-6 {
                return Logistic { intercept: at[width], weights: at[..width].to_vec() };
            }
        }
    }
    Logistic { intercept: at[width], weights: at[..width].to_vec() }
}

impl Logistic {
    /// The probability of the positive class.
    pub(super) fn probability(&self, row: &[f64]) -> f64 {
        sigmoid(self.intercept + dot(&self.weights, row))
    }
}

struct Problem<'a> {
    rows: &'a [Vec<f64>],
    positive: &'a [bool],
    c: f64,
    balance: &'a dyn Fn(bool) -> f64,
}

impl Problem<'_> {
    fn value(&self, at: &[f64]) -> f64 {
        let (weights, intercept) = at.split_at(at.len() - 1);
        let loss: f64 = self
            .rows
            .iter()
            .zip(self.positive)
            .map(|(row, &is)| {
                let logit = intercept[0] + dot(weights, row);
                (self.balance)(is) * softplus(if is { -logit } else { logit })
            })
            .sum();
        dot(weights, weights) / 2.0 + self.c * loss
    }

    fn derivatives(&self, at: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
        let width = at.len() - 1;
        let (weights, intercept) = at.split_at(width);
        let mut gradient = weights.to_vec();
        gradient.push(0.0);
        let mut hessian = vec![vec![0.0; width + 1]; width + 1];
        for (place, row) in hessian.iter_mut().enumerate().take(width) {
            row[place] = 1.0;
        }
        for (row, &is) in self.rows.iter().zip(self.positive) {
            let row: Vec<f64> = row.iter().copied().chain([1.0]).collect();
            let p = sigmoid(intercept[0] + dot(weights, &row));
            let weight = self.c * (self.balance)(is);
            let error = weight * (p - f64::from(u8::from(is)));
            let curvature = weight * p * (1.0 - p);
            for (i, &x) in row.iter().enumerate() {
                gradient[i] += error * x;
                for (j, &y) in row.iter().enumerate() {
                    hessian[i][j] += curvature * x * y;
                }
            }
        }
        (gradient, hessian)
    }
}

/// Solves `matrix · x = right` by elimination with pivots; `None` if the matrix is singular.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let size = right.len();
    for column in 0..size {
        let pivot = (column..size)
            .max_by(|&one, &two| matrix[one][column].abs().total_cmp(&matrix[two][column].abs()))?;
        if matrix[pivot][column].abs() < 1e-12 {
            return None;
        }
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        let pivot_row = matrix[column].clone();
        for row in column + 1..size {
            let factor = matrix[row][column] / pivot_row[column];
            for (value, pivot) in matrix[row].iter_mut().zip(&pivot_row) {
                *value -= factor * pivot;
            }
            right[row] -= factor * right[column];
        }
    }
    for row in (0..size).rev() {
        let known = dot(&matrix[row][row + 1..], &right[row + 1..]);
        right[row] = (right[row] - known) / matrix[row][row];
    }
    Some(right)
}

/// Over the shorter one's length.
fn dot(one: &[f64], two: &[f64]) -> f64 {
    one.iter().zip(two).map(|(one, two)| one * two).sum()
}

fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

/// `ln(1 + exp(x))` without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::separation::area_under_roc;

    /// What scikit-learn found; `fixtures/review/make_logistic.py`.
    #[derive(Deserialize)]
    struct Expected {
        rows: Vec<Vec<f64>>,
        positive: Vec<bool>,
        c: f64,
        weights: Vec<f64>,
        intercept: f64,
        probabilities: Vec<f64>,
        auc_rounded: f64,
    }

    fn expected() -> Vec<Expected> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/review/logistic.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn agrees_with_scikit_learn() {
        for expected in expected() {
            let found = fit(&expected.rows, &expected.positive, expected.c);
            let close = |one: f64, two: f64| (one - two).abs() < 1e-6;
            assert!(close(found.intercept, expected.intercept), "{found:?} {}", expected.intercept);
            for (one, two) in found.weights.iter().zip(&expected.weights) {
                assert!(close(*one, *two), "{found:?} {:?}", expected.weights);
            }
            for (row, probability) in expected.rows.iter().zip(&expected.probabilities) {
                assert!(close(found.probability(row), *probability));
            }
        }
    }

    #[test]
    fn the_area_under_the_curve_agrees_with_scikit_learn() {
        for expected in expected() {
            let of = |is: bool| -> Vec<Option<f64>> {
                let rows = expected.probabilities.iter().zip(&expected.positive);
                rows.filter(|(_, positive)| **positive == is).map(|(p, _)| Some((p * 10.0).round())).collect()
            };
            assert!((area_under_roc(&of(true), &of(false)) - expected.auc_rounded).abs() < 1e-12);
        }
    }

    proptest! {
        #[test]
        fn any_rows_give_probabilities(
            rows in prop::collection::vec((prop::collection::vec(-1e3_f64..1e3, 3), any::<bool>()), 0..20),
        ) {
            let (rows, positive): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
            let found = fit(&rows, &positive, 1.0);
            for row in &rows {
                prop_assert!((0.0..=1.0).contains(&found.probability(row)));
            }
        }
    }
}
