//! A model that was trained elsewhere, taken over as an iteration's model.

use std::path::Path;

use lancer_backend::WeightFormat;
use lancer_model::ContentHash;

use super::{Session, training::export_elsewhere};
use crate::{error::EvolveError, models, stage::Stage};

/// Checks the model against the one that the iteration starts from, and writes it as the iteration's own.
pub(super) fn take_over(session: &mut Session<'_>, iteration: u32, path: &Path) -> Result<(), EvolveError> {
    let start = session.trainable(session.ledger.start(iteration)?);
    let model = session.engines.take_over(path, &start).map_err(|source| EvolveError::Elsewhere {
        iteration,
        stage: Stage::Preference,
        source,
    })?;
    let place = (iteration, Stage::Preference);
    export_elsewhere(
        model.as_ref(),
        &models::trainable(session.folder, iteration),
        WeightFormat::F32,
        place,
    )?;
    if let Some(gguf) = session.gguf(iteration) {
        export_elsewhere(model.as_ref(), &gguf, session.recipe.format, place)?;
    }
    let content = ContentHash::of_model(path)
        .map_err(|error| EvolveError::Brought { model: path.into(), reason: error.to_string() })?;
    session.ledger.set_meta(
        &format!("model of iteration {iteration}, trained elsewhere"),
        &format!("{} (SHA-256 {content})", path.display()),
    )?;
    session.note(&format!("M_{iteration} is {}, which was trained elsewhere", path.display()));
    session.brought = None;
    Ok(())
}
