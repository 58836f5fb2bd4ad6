//! Deduplication for users of Polars.

use std::path::Path;

use polars::prelude::{Column, DataFrame, DataType};

use super::{Alikeness, duplicates};
use crate::{
    DataError,
    frame::texts,
    minhash::{Keep, MinHashError},
};

/// Deduplicates a frame by one of its text columns: every row comes back, with the columns `kept` (true or false) and
/// `duplicate_of` (the number, from 1, of the kept row that it is too like; null where it is kept itself). A null is an
/// empty text.
///
/// Where the best score is to be kept, scores are in the column `score`; a row without one is behind all that have one.
///
/// ```
/// use lancer_data::{Alikeness, Keep, Nearness, dedup_frame, polars::df};
///
/// let prompts = ["Name three kinds of bread.", "Why is the sky blue?", "Name three kinds of bread, please."];
/// let frame = df!("prompt" => prompts).map_err(lancer_data::DataError::from)?;
/// let alikeness = Alikeness::RougeL(Nearness::default());
/// let frame = dedup_frame(frame, "prompt", &alikeness, Keep::First, &std::env::temp_dir())?;
/// assert_eq!(frame.column("kept").unwrap().bool().unwrap().sum(), Some(2));
/// assert_eq!(frame.column("duplicate_of").unwrap().u64().unwrap().get(2), Some(1));
/// # Ok::<(), lancer_data::MinHashError>(())
/// ```
///
/// # Errors
/// The column is missing or holds no text, a setting is out of its range, or the scratch folder, which `MinHash` needs for
/// large data, cannot be used.
pub fn dedup_frame(
    mut frame: DataFrame,
    column: &str,
    alikeness: &Alikeness,
    keep: Keep,
    scratch: &Path,
) -> Result<DataFrame, MinHashError> {
    let texts: Vec<String> = texts(&frame, column)?.into_iter().map(Option::unwrap_or_default).collect();
    let scores = match keep {
        Keep::First => Vec::new(),
        Keep::BestScore => scores(&frame)?,
    };
    let duplicates = duplicates(&texts, alikeness, keep, &scores, scratch)?;
    let kept: Vec<bool> = duplicates.iter().map(Option::is_none).collect();
    let of: Vec<Option<u64>> = duplicates.iter().map(|earlier| earlier.map(|row| row as u64 + 1)).collect();
    let columns = [Column::new("kept".into(), kept), Column::new("duplicate_of".into(), of)];
    for column in columns {
        frame.with_column(column).map_err(DataError::from)?;
    }
    Ok(frame)
}

fn scores(frame: &DataFrame) -> Result<Vec<Option<f64>>, DataError> {
    let column = frame.column("score")?.cast(&DataType::Float64)?;
    Ok(column.f64()?.iter().collect())
}
