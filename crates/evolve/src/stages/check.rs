//! Before a stage: what it is about to read is what it was.

use std::path::PathBuf;

use super::{Session, import};
use crate::{
    error::EvolveError,
    inputs::{Inputs, Written},
    models,
    stage::Stage,
};

/// Checks the inputs and the models that a stage reads.
pub(crate) fn run(session: &mut Session<'_>, iteration: u32, stage: Stage) -> Result<(), EvolveError> {
    let model = model_read(session, iteration, stage)?;
    let is_own = model.as_ref().is_some_and(|model| *model == session.recipe.model);
    Inputs::new(session.recipe, session.ledger).check_for(iteration, stage, is_own)?;
    let Some(model) = model.filter(|_| !is_own) else { return Ok(()) };
    let written = Written::new(session.folder, session.ledger);
    if model == models::gguf(session.folder, 0) && !model.exists() {
        session.note(&format!(
            "{} is missing; it is written again from {}, in the same format",
            model.display(),
            session.recipe.model.display()
        ));
        Inputs::new(session.recipe, session.ledger).check_for(iteration, stage, true)?;
        import::write_first_model(session)?;
    }
    written.check(&model)
}

/// The model that a stage reads.
fn model_read(session: &Session<'_>, iteration: u32, stage: Stage) -> Result<Option<PathBuf>, EvolveError> {
    let start = || session.ledger.start(iteration);
    Ok(match stage {
        Stage::Import => Some(session.recipe.model.clone()),
        Stage::Calibrate | Stage::ReviewSeeds | Stage::Generate | Stage::ReviewNew => {
            Some(session.runnable(start()?))
        }
        Stage::Sft => Some(session.trainable(start()?)),
        Stage::Preference => {
            let fine_tuned = models::fine_tuned(session.folder, iteration);
            let is_tuned = Written::new(session.folder, session.ledger).is_known(&fine_tuned)?;
            Some(if is_tuned { fine_tuned } else { session.trainable(start()?) })
        }
        Stage::Evaluate => Some(session.runnable(iteration)),
        Stage::Clean | Stage::Annotate | Stage::Merge => None,
    })
}
