//! Quality rules for users of Polars.

use polars::prelude::{Column, DataFrame};
use rayon::prelude::*;

use super::{QualitySettings, TextPart};
use crate::{DataError, frame::texts};

/// Measures a frame by its columns `prompt` and `response`: every row comes back, with a column for each rule, such as
/// `response_refusals` (what was measured), and the column `broken` (text: the rules that the row breaks, null where it
/// breaks none). A null is an empty text.
pub fn quality_frame(mut frame: DataFrame, settings: &QualitySettings) -> Result<DataFrame, DataError> {
    let texts = |name: &str| -> Result<Vec<String>, DataError> {
        Ok(texts(&frame, name)?.into_iter().map(Option::unwrap_or_default).collect())
    };
    let (prompts, responses) = (texts("prompt")?, texts("response")?);
    let parts = [
        (TextPart::Prompt, &settings.prompt, &prompts),
        (TextPart::Response, &settings.response, &responses),
    ];
    for (part, rules, texts) in parts {
        for &rule in rules.keys() {
            let values: Vec<f64> =
                texts.par_iter().map(|text| rule.measure(text, &settings.languages)).collect();
            let name = format!("{}_{}", part.as_str(), rule.as_str());
            frame.with_column(Column::new(name.into(), values))?;
        }
    }
    let broken: Vec<Option<String>> = prompts
        .par_iter()
        .zip(&responses)
        .map(|(prompt, response)| {
            let broken: Vec<String> =
                settings.broken(prompt, response).iter().map(ToString::to_string).collect();
            (!broken.is_empty()).then(|| broken.join("; "))
        })
        .collect();
    frame.with_column(Column::new("broken".into(), broken))?;
    Ok(frame)
}
