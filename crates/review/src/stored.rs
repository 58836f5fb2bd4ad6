//! Numbers that are the same after they were stored as JSON.

/// `value` to nine significant digits. Readers of JSON that do not round correctly (`serde_json` without its feature
/// `float_roundtrip`) still read so few digits exactly, so a resumed run scores with the very same calibration.
pub(crate) fn short(value: f64) -> f64 {
    format!("{value:.8e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::short;

    proptest! {
        #[test]
        fn a_short_number_survives_json(value in -1e12_f64..1e12, exponent in -12..1) {
            let value = short(value * 10_f64.powi(exponent));
            let text = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(Some(value), serde_json::from_str(&text).ok());
        }
    }
}
