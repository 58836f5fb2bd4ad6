//! Preference optimisation against the fine-tuned model: what comes out is the next model.

use std::{collections::HashMap, path::PathBuf};

use lancer_backend::{Conversation, Message, WeightFormat};
use lancer_model::Adapter;
use lancer_prefer::{
    Candidate, CheckpointPolicy, Draw, Examples, PreferenceExample, Split, draw, train_preference,
};

use super::{
    Session, brought, interrupted,
    training::{Observer, References, elsewhere, export, export_elsewhere, export_trained, train_elsewhere},
};
use crate::{
    base::training_base,
    engines::TrainingTask,
    error::EvolveError,
    ledger::{PairRow, Phase, Record},
    models,
    stage::Stage,
};

pub(crate) fn run(session: &mut Session<'_>, iteration: u32) -> Result<(), EvolveError> {
    session.unload();
    let trainable = models::trainable(session.folder, iteration);
    let gguf = session.gguf(iteration);
    if trainable.exists() && gguf.as_ref().is_none_or(|gguf| gguf.exists()) {
        return Ok(());
    }
    if let Some(model) = session.brought.clone() {
        return brought::take_over(session, iteration, &model);
    }
    let rows = session.ledger.pairs(iteration)?;
    let settings = &session.recipe.preference;
    let candidates: Vec<Candidate<'_>> =
        rows.iter().map(|row| Candidate { key: &row.key, prompt: &row.prompt }).collect();
    let drawn = draw(&candidates, settings.max_pairs, settings.held_out, session.seed(iteration, "pairs"));
    let Draw { train, held_out } = drawn;
    let seed = session.seed(iteration, "preference");
    let start = start(session, iteration)?;
    let records: HashMap<String, Record> =
        session.ledger.all_records()?.into_iter().map(|record| (record.key.clone(), record)).collect();
    let examples =
        |places: &[usize]| places.iter().map(|&place| example(&rows[place], &records)).collect::<Vec<_>>();
    let (train, held_out) = (examples(&train), examples(&held_out));
    let split = Split { train: &train, held_out: &held_out };
    let of_elsewhere = elsewhere(session, settings.trainer())?;
    if let Some(of) = of_elsewhere.filter(|_| !train.is_empty()) {
        let folder = models::training(session.folder, iteration, Phase::Preference.as_str());
        let (examples, seed) = (Examples::Preference(split, &settings.loss), seed.derive("batches"));
        let task = TrainingTask { settings: of, model: &start, examples, seed, folder: &folder };
        if let Some(model) = train_elsewhere(session, (iteration, Phase::Preference), &task)? {
            let place = (iteration, Stage::Preference);
            export_elsewhere(model.as_ref(), &trainable, WeightFormat::F32, place)?;
            if let Some(gguf) = gguf {
                export_elsewhere(model.as_ref(), &gguf, session.recipe.format, place)?;
            }
            drop(model);
            session.engines.tidy(&folder);
            return Ok(());
        }
    }
    // Where another program had nothing to train on, the model is written as it is.
    let as_it_is = toml::Table::new();
    let learner = if of_elsewhere.is_some() { &as_it_is } else { &settings.learner };
    let mut learner = session.engines.learner(&start, learner, seed.derive("learner"))?;
    if train.is_empty() {
        session.progress.note("no pair to learn a preference from: the fine-tuned model is the next model");
    } else if of_elsewhere.is_none() {
        let base = training_base(&start, &settings.learner)?;
        let checkpoints = models::checkpoints(session.folder, iteration, Phase::Preference.as_str());
        let mut references = References::new(session.ledger, iteration)?;
        let mut observer =
            Observer::new(session.ledger, session.progress, &session.laps, iteration, Phase::Preference);
        let report = train_preference(
            learner.as_mut(),
            split,
            &settings.loss,
            &settings.train,
            CheckpointPolicy::Within { folder: &checkpoints, base: &base },
            seed.derive("batches"),
            &mut references,
            &mut observer,
        );
        let outcome = observer.outcome(report);
        if let Some(error) = references.failed {
            return Err(error);
        }
        outcome?;
    }
    session.progress.begin(iteration, Stage::Preference, "files", 0, 1 + usize::from(gguf.is_some()));
    if start == models::fine_tuned(session.folder, iteration) && !Adapter::is_at(&start) {
        // It is removed when the iteration ends, so nothing may be an adapter over it.
        export(learner.as_ref(), &trainable, WeightFormat::F32)?;
    } else {
        export_trained(learner.as_ref(), &trainable)?;
    }
    let flow = session.progress.advance(1, 0);
    match gguf {
        Some(gguf) => export(learner.as_ref(), &gguf, session.recipe.format)?,
        None => session.loaded = session.engines.trained(learner).map(|backend| (iteration, backend)),
    }
    session.progress.end();
    interrupted(flow, iteration, Stage::Preference)
}

/// The fine-tuned model, or where nothing was fine-tuned the model that the iteration started from.
fn start(session: &Session<'_>, iteration: u32) -> Result<PathBuf, EvolveError> {
    let fine_tuned = models::fine_tuned(session.folder, iteration);
    if fine_tuned.exists() {
        return Ok(fine_tuned);
    }
    Ok(session.trainable(session.ledger.start(iteration)?))
}

/// The example of a row: the conversation of its record, whose response is preferred to the other text.
fn example(row: &PairRow, records: &HashMap<String, Record>) -> PreferenceExample {
    let (prompt, chosen) = pair_of(row, records);
    PreferenceExample { key: row.key.clone(), prompt, chosen, rejected: Message::assistant(&row.rejected) }
}

/// The turns before the response of a pair's record, and that response.
pub(crate) fn pair_of(row: &PairRow, records: &HashMap<String, Record>) -> (Conversation, Message) {
    match records.get(&row.record).filter(|record| record.prompt == row.prompt) {
        Some(record) => {
            let chat = record.chat();
            // A person may have written another response.
            let own = chat.response().filter(|_| record.response == row.chosen).cloned();
            (chat.without_response(), own.unwrap_or_else(|| Message::assistant(&row.chosen)))
        }
        None => (vec![Message::user(&row.prompt)].into(), Message::assistant(&row.chosen)),
    }
}
