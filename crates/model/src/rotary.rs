//! The frequencies of the rotary embedding (Su et al. 2021, arXiv 2104.09864), and how they are stretched for contexts
//! longer than those of the first training.

use std::f32::consts::TAU;

/// A rotary embedding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rotary {
    /// Base of the frequencies: pair `i` of a head is turned by `theta^(-2i / head_dim)` a position.
    pub theta: f64,
    /// How the frequencies are stretched.
    pub scaling: RotaryScaling,
}

/// How a rotary embedding's frequencies are stretched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RotaryScaling {
    /// They are not.
    None,
    /// Each is divided by the factor (Chen et al. 2023, arXiv 2306.15595).
    Linear {
        /// At least 1 in all known models.
        factor: f64,
    },
    /// As in Llama 3.1 and later.
    Llama3(Llama3Scaling),
}

/// Llama 3.1's stretching (Grattafiori et al. 2024, arXiv 2407.21783; the formula is that of Meta's `apply_scaling`): a
/// frequency that goes round more than `high_freq_factor` times within the original context stays, one that goes round less
/// than `low_freq_factor` times is divided by `factor`, and between the two it is a mixture of both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Llama3Scaling {
    /// 8 in Llama 3.1, 32 in Llama 3.2.
    pub factor: f64,
    /// 1 in all known models.
    pub low_freq_factor: f64,
    /// 4 in all known models; above `low_freq_factor`.
    pub high_freq_factor: f64,
    /// Tokens of the first training's context, 8192 in all known models.
    pub original_context: usize,
}

impl Rotary {
    /// The rotary base of models that do not say theirs.
    pub(crate) const DEFAULT_THETA: f64 = 10_000.0;

    /// Says which of its numbers is out of its range.
    pub(crate) fn check(&self) -> Result<(), String> {
        let positive = |name: &str, number: f64| {
            if (number as f32).is_finite() && number as f32 > 0.0 {
                Ok(())
            } else {
                Err(format!("the rotary embedding's {name} is {number}, where a number above 0 is possible"))
            }
        };
        positive("base (rope_theta)", self.theta)?;
        match self.scaling {
            RotaryScaling::None => Ok(()),
            RotaryScaling::Linear { factor } => positive("factor", factor),
            RotaryScaling::Llama3(scaling) => {
                positive("factor", scaling.factor)?;
                positive("low_freq_factor", scaling.low_freq_factor)?;
                positive("high_freq_factor", scaling.high_freq_factor)?;
                let (low, high) = (scaling.low_freq_factor, scaling.high_freq_factor);
                if high <= low {
                    return Err(format!("the rotary embedding's high_freq_factor {high} is not above {low}"));
                }
                if scaling.original_context == 0 {
                    return Err("the rotary embedding's original_max_position_embeddings is 0".into());
                }
                Ok(())
            }
        }
    }

    /// By how much a position turns each pair of a head's numbers, in radians, `[head_dim / 2]`. In 32-bit floats step by
    /// step, as transformers computes it: at large positions the rounding shows.
    pub fn frequencies(&self, head_dim: usize) -> Vec<f32> {
        let plain =
            (0..head_dim / 2).map(|pair| 1.0 / (self.theta as f32).powf((2 * pair) as f32 / head_dim as f32));
        match self.scaling {
            RotaryScaling::None => plain.collect(),
            RotaryScaling::Linear { factor } => plain.map(|frequency| frequency / factor as f32).collect(),
            RotaryScaling::Llama3(scaling) => plain.map(|frequency| scaling.stretch(frequency)).collect(),
        }
    }
}

impl Llama3Scaling {
    fn stretch(&self, frequency: f32) -> f32 {
        let (factor, low, high) =
            (self.factor as f32, self.low_freq_factor as f32, self.high_freq_factor as f32);
        let rounds = self.original_context as f32 / (TAU / frequency);
        if rounds < low {
            frequency / factor
        } else if rounds > high {
            frequency
        } else {
            let share = (rounds - low) / (high - low);
            (1.0 - share) * frequency / factor + share * frequency
        }
    }

    /// By what each frequency is divided, `[head_dim / 2]`: the tensor `rope_freqs.weight` of GGUF files.
    pub(crate) fn divisors(&self, theta: f64, head_dim: usize) -> Vec<f32> {
        let plain = Rotary { theta, scaling: RotaryScaling::None }.frequencies(head_dim);
        plain.into_iter().map(|frequency| frequency / self.stretch(frequency)).collect()
    }

    /// What gives these divisors, where it is one that Llama 3.x has but for its factor.
    pub(crate) fn from_divisors(divisors: &[f32], theta: f64) -> Option<Self> {
        let largest = divisors.iter().copied().fold(1.0, f32::max);
        let scaling = Self {
            // The division that made it left something in the last digits.
            factor: (f64::from(largest) * 1e3).round() / 1e3,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_context: 8192,
        };
        let near = |(found, expected): (&f32, f32)| (found / expected - 1.0).abs() < 1e-4;
        divisors.iter().zip(scaling.divisors(theta, 2 * divisors.len())).all(near).then_some(scaling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LLAMA_3_2: Llama3Scaling =
        Llama3Scaling { factor: 32.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_context: 8192 };

    #[test]
    fn what_turns_fast_stays_and_what_turns_slowly_is_divided() {
        let divisors = LLAMA_3_2.divisors(500_000.0, 64);
        assert!(divisors[..14].iter().all(|&divisor| (divisor - 1.0).abs() < 1e-6), "{divisors:?}");
        assert!(divisors[18..].iter().all(|&divisor| (divisor - 32.0).abs() < 1e-3), "{divisors:?}");
        assert!(divisors.is_sorted(), "{divisors:?}");
        let between: Vec<f32> = divisors.iter().copied().filter(|&d| d > 1.1 && d < 31.0).collect();
        assert!(!between.is_empty(), "{divisors:?}");
    }

    #[test]
    fn the_scaling_is_found_again_in_its_divisors() {
        let divisors = LLAMA_3_2.divisors(500_000.0, 64);
        assert_eq!(Llama3Scaling::from_divisors(&divisors, 500_000.0), Some(LLAMA_3_2));
        assert_eq!(Llama3Scaling::from_divisors(&divisors, 10_000.0), None);
        let other = Llama3Scaling { high_freq_factor: 8.0, ..LLAMA_3_2 };
        assert_eq!(Llama3Scaling::from_divisors(&other.divisors(500_000.0, 64), 500_000.0), None);
    }

    #[test]
    fn linear_scaling_divides_all() {
        let plain = Rotary { theta: 10_000.0, scaling: RotaryScaling::None };
        let scaled = Rotary { scaling: RotaryScaling::Linear { factor: 4.0 }, ..plain };
        for (plain, scaled) in plain.frequencies(16).into_iter().zip(scaled.frequencies(16)) {
            assert!((plain / scaled - 4.0).abs() < 1e-6);
        }
    }
}
