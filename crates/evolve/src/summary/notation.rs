//! How the values of a metric are written for people.

use lancer_eval::{Estimate, Metric};

/// How the values of a metric are written: shares in percent, log-likelihoods in nats a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Notation {
    factor: f64,
    digits: usize,
    unit: &'static str,
    unit_of_change: &'static str,
}

impl Notation {
    /// That of a metric.
    pub fn of(metric: Metric) -> Self {
        match metric {
            Metric::Accuracy | Metric::CorrectProbability => {
                Self { factor: 100.0, digits: 1, unit: " %", unit_of_change: " points" }
            }
            Metric::Nll => Self { factor: 1.0, digits: 3, unit: "", unit_of_change: "" },
        }
    }

    /// That of a gain over several tasks, in standard deviations.
    pub fn of_gain() -> Self {
        Self { factor: 1.0, digits: 3, unit: "", unit_of_change: " standard deviations" }
    }

    /// The unit after a value, with the space between them.
    pub fn unit(self) -> &'static str {
        self.unit
    }

    /// The unit after a difference.
    pub fn unit_of_change(self) -> &'static str {
        self.unit_of_change
    }

    /// A value without its unit.
    pub fn value(self, value: f64) -> String {
        number(&format!("{:.*}", self.digits, value * self.factor))
    }

    /// A difference with its sign, without its unit.
    pub fn change(self, value: f64) -> String {
        number(&format!("{:+.*}", self.digits, value * self.factor))
    }

    /// A mean and its interval.
    pub fn estimate(self, estimate: &Estimate) -> String {
        let [mean, low, high] = [estimate.mean, estimate.low, estimate.high].map(|value| self.value(value));
        format!("{mean} [{low}, {high}]")
    }

    /// A difference and its interval.
    pub fn difference(self, estimate: &Estimate) -> String {
        let [mean, low, high] = [estimate.mean, estimate.low, estimate.high].map(|value| self.change(value));
        format!("{mean} [{low}, {high}]")
    }
}

/// With a true minus sign, and none before what is rounded to zero.
fn number(written: &str) -> String {
    let is_zero = !written.contains(|character: char| ('1'..='9').contains(&character));
    let unsigned = written.trim_start_matches(['+', '-']);
    if is_zero { unsigned.to_owned() } else { written.replace('-', "\u{2212}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_write_them() {
        let estimate = Estimate { mean: -0.0125, low: -0.03, high: 0.0, items: 8 };
        assert_eq!(Notation::of(Metric::Nll).difference(&estimate), "−0.013 [−0.030, 0.000]");
        assert_eq!(Notation::of(Metric::Accuracy).difference(&estimate), "−1.2 [−3.0, 0.0]");
        assert_eq!(Notation::of(Metric::Nll).change(-0.0001), "0.000");
        assert_eq!(Notation::of(Metric::Accuracy).change(0.5), "+50.0");
        assert_eq!(Notation::of(Metric::Accuracy).value(1.0), "100.0");
    }
}
