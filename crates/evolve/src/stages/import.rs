//! Seeds into the ledger, and the model in the form in which it is run.

use std::{fs, path::Path};

use super::{Session, interrupted};
use crate::{
    error::EvolveError,
    ledger::{Origin, Record, RejectRow},
    models,
    stage::Stage,
};

pub(crate) fn run(session: &mut Session<'_>) -> Result<(), EvolveError> {
    let Session { recipe, ledger, .. } = session;
    let read = lancer_data::read_pairs(&recipe.seeds)?;
    if read.pairs.is_empty() {
        let first =
            read.rejects.first().map_or_else(|| "the file is empty".into(), |reject| reject.reason.clone());
        return Err(EvolveError::NoSeeds { path: recipe.seeds.clone(), rejects: read.rejects.len(), first });
    }
    if !read.rejects.is_empty() {
        session.progress.note(&format!(
            "{} lines of {} cannot be used; they are in the ledger and in {}",
            read.rejects.len(),
            recipe.seeds.display(),
            session.folder.join("rejects.jsonl").display()
        ));
    }
    let rejects: Vec<RejectRow> = read
        .rejects
        .into_iter()
        .map(|reject| RejectRow { place: reject.place, reason: reject.reason, text: reject.text })
        .collect();
    if !rejects.is_empty() {
        lancer_data::write_rows(&session.folder.join("rejects.jsonl"), &rejects)?;
    }
    session.progress.begin(0, Stage::Import, "seeds", 0, read.pairs.len());
    let seeds = read.pairs.len();
    ledger.together(|| {
        for row in &rejects {
            ledger.add_reject(row)?;
        }
        for pair in read.pairs {
            ledger.add_to_pool(&pair.key, 1)?;
            ledger.add_record(&Record {
                seed: pair.key.clone(),
                key: pair.key,
                iteration: 0,
                origin: Origin::Seed,
                source: None,
                sample: None,
                prompt: pair.prompt,
                response: pair.response,
            })?;
        }
        Ok(())
    })?;
    let flow = session.progress.advance(seeds, 0);
    session.progress.end();
    interrupted(flow, 0, Stage::Import)?;
    import_model(session)
}

fn import_model(session: &mut Session<'_>) -> Result<(), EvolveError> {
    let to = models::runnable(session.folder, 0);
    if to.exists() {
        return Ok(());
    }
    make_folder(&to)?;
    let from = session.recipe.model.clone();
    session.engines.import(&from, &to, session.recipe.format).map_err(|source| EvolveError::Import {
        from,
        to,
        source,
    })
}

/// The folder in which a file is to be written.
pub(super) fn make_folder(file: &Path) -> Result<(), EvolveError> {
    let Some(folder) = file.parent() else { return Ok(()) };
    fs::create_dir_all(folder).map_err(|source| EvolveError::Io {
        action: "make the folder",
        path: folder.into(),
        source,
    })
}
