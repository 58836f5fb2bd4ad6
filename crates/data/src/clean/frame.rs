//! Cleaning for users of Polars.

use polars::prelude::{Column, DataFrame};

use crate::{
    DataError,
    clean::{Candidate, CleanSettings, Drop, Origin, Rule, clean},
    contamination::EvaluationTexts,
    frame::texts,
    record::Pair,
};

/// Cleans a frame: every row comes back, with the columns `kept` (true or false), `rule`, `resembles` and `detail` (text,
/// null where a row is kept).
///
/// The columns `prompt` and `response` are needed. `key` is the row's number from 1 where there is none, `family` the
/// row's own key, and `origin` (`new_prompt` or `other_response`) `new_prompt`. A null is an empty text.
///
/// ```
/// use lancer_data::{CleanSettings, EvaluationTexts, ShortResponses, clean_frame, counts_by_rule, polars::df};
///
/// let frame = df!(
///     "prompt" => ["Name three kinds of bread.", "Name three kinds of bread, please.", "Why is the sky blue?"],
///     "response" => ["Rye, pita and naan.", "Rye, bagel and naan.", "Blue light is scattered the most."],
/// )?;
/// let settings = CleanSettings { min_response_words: 1, ..CleanSettings::default() };
/// let frame = clean_frame(frame, &[], &EvaluationTexts::default(), &settings)?;
/// assert_eq!(frame.column("rule")?.str()?.get(1), Some("near_copy_of_pool"));
/// assert_eq!(frame.column("resembles")?.str()?.get(1), Some("1"));
/// assert_eq!(frame.column("kept")?.bool()?.sum(), Some(2));
/// assert_eq!(counts_by_rule(&frame)?.height(), 2);
/// # Ok::<(), lancer_data::DataError>(())
/// ```
pub fn clean_frame(
    mut frame: DataFrame,
    pool: &[Pair],
    evaluation: &EvaluationTexts,
    settings: &CleanSettings,
) -> Result<DataFrame, DataError> {
    let verdicts = clean(&candidates(&frame)?, pool, evaluation, settings);
    let text = |of: fn(&Drop) -> Option<&str>| -> Vec<Option<&str>> {
        verdicts.iter().map(|verdict| verdict.as_ref().and_then(of)).collect()
    };
    let columns = [
        Column::new("kept".into(), verdicts.iter().map(Option::is_none).collect::<Vec<bool>>()),
        Column::new("rule".into(), text(|drop| Some(drop.rule.as_str()))),
        Column::new("resembles".into(), text(|drop| drop.resembles.as_deref())),
        Column::new("detail".into(), text(|drop| Some(&drop.detail))),
    ];
    for column in columns {
        frame.with_column(column)?;
    }
    Ok(frame)
}

/// How many rows of a cleaned frame were kept and how many each rule dropped: the columns `rule` (`kept` first, then the
/// rules in their order, those that dropped none left out) and `count`.
pub fn counts_by_rule(frame: &DataFrame) -> Result<DataFrame, DataError> {
    let found = frame.column("rule")?.str()?;
    let count = |rule: Option<&str>| found.iter().filter(|&found| found == rule).count() as u64;
    let mut rules = vec!["kept"];
    let mut counts = vec![count(None)];
    for rule in Rule::ALL.map(Rule::as_str) {
        let dropped = count(Some(rule));
        if dropped > 0 {
            rules.push(rule);
            counts.push(dropped);
        }
    }
    let columns = vec![Column::new("rule".into(), rules), Column::new("count".into(), counts)];
    Ok(DataFrame::new_infer_height(columns)?)
}

fn candidates(frame: &DataFrame) -> Result<Vec<Candidate>, DataError> {
    let optional = |name: &str| {
        if frame.get_column_index(name).is_some() {
            texts(frame, name)
        } else {
            Ok(vec![None; frame.height()])
        }
    };
    let (prompts, responses) = (texts(frame, "prompt")?, texts(frame, "response")?);
    let (keys, families, origins) = (optional("key")?, optional("family")?, optional("origin")?);
    let rows = prompts.into_iter().zip(responses).zip(keys).zip(families).zip(origins);
    Ok((1_u64..)
        .zip(rows)
        .map(|(row, ((((prompt, response), key), family), origin))| {
            let key = key.unwrap_or_else(|| row.to_string());
            Candidate {
                family: family.unwrap_or_else(|| key.clone()),
                key,
                prompt: prompt.unwrap_or_default(),
                response: response.unwrap_or_default(),
                origin: match origin.as_deref() {
                    Some("other_response") => Origin::OtherResponse,
                    _ => Origin::NewPrompt,
                },
            }
        })
        .collect())
}
