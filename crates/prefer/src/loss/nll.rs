//! Negative log-likelihood: what supervised fine-tuning minimises.

use super::{ResponseLogProb, ResponseLoss};

/// One response's share of the mean negative log-likelihood of a batch's tokens:
///
/// `L = -Σ_i w_i · log p(y_i | x_i) / Σ_i w_i · |y_i|`
///
/// the sum over the responses `y_i` of the batch, `|y_i|` their tokens, `w_i` their weights. With equal weights that is
/// the mean over all target tokens of the batch, what TRL's SFT trainer and `torch.nn.CrossEntropyLoss` give.
/// `weighted_tokens` is the denominator; the shares of all responses add up to `L`.
pub fn nll(policy: ResponseLogProb, weight: f64, weighted_tokens: f64) -> ResponseLoss {
    let derivative = -weight / weighted_tokens;
    ResponseLoss { value: derivative * policy.sum, derivative }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ResponseLogProb, nll};

    proptest! {
        #[test]
        fn the_derivative_is_the_difference(
            sum in -300.0..0.0_f64, tokens in 1_usize..80, weight in 0.0..4.0_f64, others in 0.0..500.0_f64,
        ) {
            let weighted_tokens = others + weight * tokens as f64 + 1.0;
            let at = |sum| nll(ResponseLogProb { sum, tokens }, weight, weighted_tokens);
            let difference = (at(sum + 1e-4).value - at(sum - 1e-4).value) / 2e-4;
            prop_assert!((at(sum).derivative - difference).abs() < 1e-8);
        }
    }

    #[test]
    fn equal_weights_give_the_mean_over_tokens() {
        let one = ResponseLogProb { sum: -6.0, tokens: 2 };
        let two = ResponseLogProb { sum: -2.0, tokens: 6 };
        for weight in [1.0, 0.25] {
            let total = nll(one, weight, weight * 8.0).value + nll(two, weight, weight * 8.0).value;
            assert!((total - 1.0).abs() < 1e-12);
        }
    }
}
