//! Logarithms of sigmoids and complements that neither overflow nor cancel.

/// 1 / (1 + e^-x).
pub(super) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// log(1 / (1 + e^-x)).
pub(super) fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

/// log(1 - e^x) for x < 0, after Mächler, "Accurately computing log(1 - exp(-|a|))" (2012).
pub(super) fn log_1m_exp(x: f64) -> f64 {
    if x > -std::f64::consts::LN_2 { (-x.exp_m1()).ln() } else { (-x.exp()).ln_1p() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{log_1m_exp, log_sigmoid, sigmoid};

    #[test]
    fn extremes_stay_finite() {
        assert!((log_sigmoid(-1e4) + 1e4).abs() < 1e-9);
        assert!(log_sigmoid(1e4).abs() < 1e-300);
        assert!(sigmoid(-1e4) < 1e-300 && sigmoid(1e4) > 1.0 - 1e-15);
        assert!((log_1m_exp(-1e-12) - (1e-12_f64).ln()).abs() < 1e-9);
        assert!((log_1m_exp(-100.0) + (-100.0_f64).exp()).abs() < 1e-50);
    }

    proptest! {
        #[test]
        fn they_are_what_they_say(x in -15.0..15.0_f64) {
            prop_assert!((sigmoid(x) + sigmoid(-x) - 1.0).abs() < 1e-12);
            prop_assert!((log_sigmoid(x) - sigmoid(x).ln()).abs() < 1e-9);
            let below = -x.abs() - 1e-3;
            prop_assert!((log_1m_exp(below).exp() + below.exp() - 1.0).abs() < 1e-12);
        }
    }
}
