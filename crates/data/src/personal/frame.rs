//! Personal data and secrets in the columns of Polars frames.

use polars::prelude::{Column, DataFrame};

use super::{PersonalDataSettings, Treated, treat_personal_data};
use crate::{DataError, frame::texts};

/// Treats text columns of a frame: what is to be masked is masked in its place. Every row comes back, with the column
/// `personal_data` (text: the kind for which the row is to be dropped, such as `secret`; null where it may stay).
///
/// ```
/// use lancer_data::{PersonalDataSettings, personal_data_frame, polars::df};
///
/// let frame = df!("prompt" => ["Who is ann@example.org?", "Why is the sky blue?"])?;
/// let frame = personal_data_frame(frame, &["prompt"], &PersonalDataSettings::default())?;
/// assert_eq!(frame.column("prompt")?.str()?.get(0), Some("Who is <email>?"));
/// assert_eq!(frame.column("personal_data")?.null_count(), 2);
/// # Ok::<(), lancer_data::DataError>(())
/// ```
///
/// # Errors
/// A column is missing or holds no text.
pub fn personal_data_frame(
    mut frame: DataFrame,
    columns: &[&str],
    settings: &PersonalDataSettings,
) -> Result<DataFrame, DataError> {
    let mut dropped = vec![None; frame.height()];
    for &name in columns {
        let mut treated = texts(&frame, name)?;
        for (text, dropped) in treated.iter_mut().zip(&mut dropped) {
            let Some(found) = text.as_deref().map(|text| treat_personal_data(text, settings)) else {
                continue;
            };
            match found {
                Treated::AsItIs => {}
                Treated::Masked(masked, _) => *text = Some(masked),
                Treated::Dropped(kind) => *dropped = dropped.or(Some(kind.as_str())),
            }
        }
        frame.with_column(Column::new(name.into(), treated))?;
    }
    frame.with_column(Column::new("personal_data".into(), dropped))?;
    Ok(frame)
}
