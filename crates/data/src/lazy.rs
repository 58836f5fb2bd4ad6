//! The functions for frames as steps of a lazy query.
//!
//! A verdict on a row can depend on every other row, so each of these gathers what comes before it, and no filter,
//! selection or slice of what comes after is moved before it. A missing column is an error at once, since the schema of what
//! comes before is looked at; what else would be an error of the function is one of the query.

use std::{path::PathBuf, sync::Arc};

use polars::prelude::{
    AllowedOptimizations, DataFrame, LazyFrame, PolarsError, PolarsResult, Schema, SchemaRef,
};

use crate::{
    Alikeness, CleanSettings, DataError, EvaluationTexts, Keep, MinHashError, Pair, PersonalDataSettings,
    QualitySettings, clean_frame, dedup_frame, personal_data_frame, quality_frame,
};

/// [`clean_frame`] as a step of a query.
///
/// ```
/// use lancer_data::{CleanSettings, EvaluationTexts, lazy};
/// use lancer_data::polars::{df, prelude::{IntoLazy, col}};
///
/// let frame = df!(
///     "prompt" => ["Name three kinds of bread.", "Name three kinds of bread, please."],
///     "response" => ["Rye, pita and naan.", "Rye, bagel and naan."],
/// )?;
/// let settings = CleanSettings { min_response_words: 1, ..CleanSettings::default() };
/// let query = lazy::clean(frame.lazy(), Vec::new(), EvaluationTexts::default(), settings)?.filter(col("kept"));
/// assert_eq!(query.collect()?.height(), 1);
/// # Ok::<(), lancer_data::polars::error::PolarsError>(())
/// ```
pub fn clean(
    frame: LazyFrame,
    pool: Vec<Pair>,
    evaluation: EvaluationTexts,
    settings: CleanSettings,
) -> PolarsResult<LazyFrame> {
    step(frame, "clean", move |frame| clean_frame(frame, &pool, &evaluation, &settings))
}

/// [`quality_frame`] as a step of a query.
pub fn quality(frame: LazyFrame, settings: QualitySettings) -> PolarsResult<LazyFrame> {
    step(frame, "quality", move |frame| quality_frame(frame, &settings))
}

/// [`dedup_frame`] as a step of a query.
pub fn dedup(
    frame: LazyFrame,
    column: impl Into<String>,
    alikeness: Alikeness,
    keep: Keep,
    scratch: impl Into<PathBuf>,
) -> PolarsResult<LazyFrame> {
    let (column, scratch) = (column.into(), scratch.into());
    step(frame, "dedup", move |frame| dedup_frame(frame, &column, &alikeness, keep, &scratch))
}

/// [`personal_data_frame`] as a step of a query.
pub fn personal_data(
    frame: LazyFrame,
    columns: Vec<String>,
    settings: PersonalDataSettings,
) -> PolarsResult<LazyFrame> {
    step(frame, "personal_data", move |frame| {
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        personal_data_frame(frame, &columns, &settings)
    })
}

fn step<E: Into<MinHashError>>(
    mut frame: LazyFrame,
    name: &'static str,
    work: impl Fn(DataFrame) -> Result<DataFrame, E> + Send + Sync + 'static,
) -> PolarsResult<LazyFrame> {
    let work = move |frame| work(frame).map_err(|error| polars_error(error.into()));
    // What a frame without rows becomes has the columns that every frame of that schema becomes.
    let schema = work(DataFrame::empty_with_schema(&*frame.collect_schema()?))?.schema().clone();
    let schema = move |_: &Schema| -> PolarsResult<SchemaRef> { Ok(schema.clone()) };
    Ok(frame.map(work, AllowedOptimizations::empty(), Some(Arc::new(schema)), Some(name)))
}

/// The error with its causes, as Polars keeps no others'.
fn polars_error(error: MinHashError) -> PolarsError {
    if let MinHashError::Data(DataError::Frame { source }) = error {
        return source;
    }
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    PolarsError::ComputeError(message.into())
}
