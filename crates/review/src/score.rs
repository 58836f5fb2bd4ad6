//! A score from 0 to 10.

use serde::{Deserialize, Serialize};

use crate::error::ScoreOutOfRange;

/// How good a pair of prompt and response is, from 0 to 10. Never NaN.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Score(f64);

impl Score {
    /// A score; an error outside 0 to 10.
    pub fn new(value: f64) -> Result<Self, ScoreOutOfRange> {
        if (0.0..=10.0).contains(&value) { Ok(Self(value)) } else { Err(ScoreOutOfRange { value }) }
    }

    /// The nearest score to `value`; 0 for NaN.
    pub(crate) fn nearest(value: f64) -> Self {
        Self(if value.is_nan() { 0.0 } else { value.clamp(0.0, 10.0) })
    }

    /// The value, 0 to 10.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Score {
    type Error = ScoreOutOfRange;

    fn try_from(value: f64) -> Result<Self, ScoreOutOfRange> {
        Self::new(value)
    }
}

impl From<Score> for f64 {
    fn from(score: Score) -> Self {
        score.0
    }
}

#[cfg(test)]
mod tests {
    use super::Score;

    #[test]
    fn a_score_is_checked_wherever_it_comes_from() {
        assert_eq!(Score::new(10.0).map(Score::get), Ok(10.0));
        for bad in [-0.1, 10.1, f64::NAN, f64::INFINITY] {
            assert!(Score::new(bad).is_err());
        }
        assert!(serde_json::from_str::<Score>("11").is_err());
        assert_eq!(serde_json::to_string(&Score::new(2.5).unwrap()).unwrap(), "2.5");
        assert_eq!(Score::nearest(f64::NAN), Score(0.0));
    }
}
