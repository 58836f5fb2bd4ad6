//! Fine-tuning: model `t` becomes the reference of its preference training.

use std::collections::HashMap;

use lancer_backend::{Conversation, Message, TrainedTurns, WeightFormat};
use lancer_prefer::{Candidate, CheckpointPolicy, Draw, Examples, SftExample, Split, draw, train_sft};

use super::{
    Session,
    training::{Observer, Trained, elsewhere, export_elsewhere, export_trained, train_elsewhere},
};
use crate::{
    base::training_base,
    engines::TrainingTask,
    error::EvolveError,
    ledger::{Phase, Record, SftKind, SftRow},
    models,
    recipe::SftIterations,
    stage::Stage,
};

pub(crate) fn run(session: &mut Session<'_>, iteration: u32) -> Result<(), EvolveError> {
    let fine_tuned = models::fine_tuned(session.folder, iteration);
    if fine_tuned.exists() || session.brought.is_some() {
        return Ok(());
    }
    if iteration > 1 && session.recipe.sft.iterations == SftIterations::First {
        session.progress.note("this recipe fine-tunes in the first iteration only");
        return Ok(());
    }
    let rows = session.ledger.sft(iteration)?;
    let settings = &session.recipe.sft;
    let records: HashMap<String, Record> =
        session.ledger.all_records()?.into_iter().map(|record| (record.key.clone(), record)).collect();
    // An example that teaches to review has the prompt of the record in it that it reviews.
    let candidates: Vec<Candidate<'_>> = rows
        .iter()
        .map(|row| Candidate {
            key: &row.key,
            prompt: records.get(&row.record).map_or(&row.prompt, |record| &record.prompt),
        })
        .collect();
    let seed = session.seed(iteration, "sft examples");
    let Draw { train, held_out } = draw(&candidates, settings.max_examples, settings.held_out, seed);
    if train.is_empty() {
        session.progress.note("no example to fine-tune on: the model goes into preference training as it is");
        return Ok(());
    }
    session.unload();
    let start = session.trainable(session.ledger.start(iteration)?);
    let seed = session.seed(iteration, "sft");
    let examples = |places: &[usize]| {
        places.iter().map(|&place| example(&rows[place], &records, settings.turns)).collect::<Vec<_>>()
    };
    let (train, held_out) = (examples(&train), examples(&held_out));
    let split = Split { train: &train, held_out: &held_out };
    if let Some(of) = elsewhere(session, settings.trainer())? {
        let folder = models::training(session.folder, iteration, Phase::Sft.as_str());
        let (examples, seed) = (Examples::Sft(split), seed.derive("batches"));
        let task = TrainingTask { settings: of, model: &start, examples, seed, folder: &folder };
        if let Some(model) = train_elsewhere(session, (iteration, Phase::Sft), &task)? {
            export_elsewhere(model.as_ref(), &fine_tuned, WeightFormat::F32, (iteration, Stage::Sft))?;
            drop(model);
            session.engines.tidy(&folder);
        }
        return Ok(());
    }
    let mut learner = session.engines.learner(&start, &settings.learner, seed.derive("learner"))?;
    let base = training_base(&start, &settings.learner)?;
    let checkpoints = models::checkpoints(session.folder, iteration, Phase::Sft.as_str());
    let mut observer = Observer::new(session.ledger, session.progress, &session.laps, iteration, Phase::Sft);
    let report = train_sft(
        learner.as_mut(),
        split,
        &settings.train,
        CheckpointPolicy::Within { folder: &checkpoints, base: &base },
        seed.derive("batches"),
        &mut observer,
    );
    if observer.outcome(report)? == Trained::Nothing {
        return Ok(());
    }
    export_trained(learner.as_ref(), &fine_tuned)
}

/// The example of a row: the whole conversation of its record, or for a review the prompt and the review.
fn example(row: &SftRow, records: &HashMap<String, Record>, turns: TrainedTurns) -> SftExample {
    let chat = chat_of(row, records);
    SftExample { turns, ..SftExample::new(&row.key, chat) }
}

/// The conversation that a row teaches.
pub(crate) fn chat_of(row: &SftRow, records: &HashMap<String, Record>) -> Conversation {
    match records.get(&row.record).filter(|_| row.kind == SftKind::Response) {
        Some(record) if record.response == row.response => record.chat(),
        // A person has written another response.
        Some(record) => record.chat().without_response().with(Message::assistant(&row.response)),
        None => Conversation::of_pair(&row.prompt, &row.response),
    }
}
