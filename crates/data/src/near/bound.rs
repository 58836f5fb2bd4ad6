//! How many words two near copies must have in common.
//!
//! With `c` common words of `n` and `m`, recall and precision are at most `c / n` and `c / m`, F1 is at most
//! `2 c / (n + m)`, and F1 never exceeds the larger of the other two.

use super::Measure;

/// Far above what rounding does to a score times a length, far below one word.
const ROUNDING: f64 = 1e-6;

/// Limits on the common words of two texts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    measure: Measure,
    threshold: f64,
}

impl Bound {
    pub(super) fn new(measure: Measure, threshold: f64) -> Self {
        Self { measure, threshold }
    }

    /// The fewest common words with which texts of so many words can be near copies. It may be more than either has.
    pub(super) fn least(self, new: usize, earlier: usize) -> usize {
        let length = match self.measure {
            Measure::Any => new.min(earlier) as f64,
            Measure::Recall => earlier as f64,
            Measure::Precision => new as f64,
            Measure::F1 => (new + earlier) as f64 / 2.0,
        };
        self.over(length)
    }

    /// How many of a text's words must be looked for, so that every near copy has one of them; whichever they are.
    ///
    /// For [`Measure::Any`] the near copies are those that are not shorter, for [`Measure::Recall`] the text is the
    /// earlier one, for [`Measure::Precision`] the new one.
    pub(super) fn needed(self, length: usize) -> usize {
        let least = match self.measure {
            Measure::Any | Measure::Recall | Measure::Precision => self.over(length as f64),
            // The shortest partner has all its words in common: c = m, and so m > t (n + m) / 2.
            Measure::F1 => self.over(length as f64 / (2.0 - self.threshold)),
        };
        (length + 1).saturating_sub(least).min(length)
    }

    fn over(self, length: f64) -> usize {
        (self.threshold * length - ROUNDING) as usize + 1
    }
}
