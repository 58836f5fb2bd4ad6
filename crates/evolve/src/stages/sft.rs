//! Fine-tuning: model `t` becomes the reference of its preference training.

use std::collections::HashMap;

use lancer_backend::{Conversation, TrainedTurns, WeightFormat};
use lancer_prefer::{Candidate, CheckpointPolicy, Draw, SftExample, Split, draw, train_sft};

use super::{
    Session,
    training::{Observer, Trained, export},
};
use crate::{
    base::training_base,
    error::EvolveError,
    ledger::{Phase, Record, SftKind, SftRow},
    models,
    recipe::SftIterations,
};

pub(crate) fn run(session: &mut Session<'_>, iteration: u32) -> Result<(), EvolveError> {
    let fine_tuned = models::fine_tuned(session.folder, iteration);
    if fine_tuned.exists() {
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
    let mut learner = session.engines.learner(&start, &settings.learner, seed.derive("learner"))?;
    let examples = |places: &[usize]| {
        places.iter().map(|&place| example(&rows[place], &records, settings.turns)).collect::<Vec<_>>()
    };
    let (train, held_out) = (examples(&train), examples(&held_out));
    let base = training_base(&start, &settings.learner)?;
    let checkpoints = models::checkpoints(session.folder, iteration, Phase::Sft.as_str());
    let mut observer = Observer::new(session.ledger, session.progress, &session.laps, iteration, Phase::Sft);
    let report = train_sft(
        learner.as_mut(),
        Split { train: &train, held_out: &held_out },
        &settings.train,
        CheckpointPolicy::Within { folder: &checkpoints, base: &base },
        seed.derive("batches"),
        &mut observer,
    );
    if observer.outcome(report)? == Trained::Nothing {
        return Ok(());
    }
    export(learner.as_ref(), &fine_tuned, WeightFormat::F32)
}

/// The example of a row: the whole conversation of its record, or for a review the prompt and the review.
fn example(row: &SftRow, records: &HashMap<String, Record>, turns: TrainedTurns) -> SftExample {
    let record = records.get(&row.record).filter(|_| row.kind == SftKind::Response);
    let chat = record.map_or_else(|| Conversation::of_pair(&row.prompt, &row.response), Record::chat);
    SftExample { turns, ..SftExample::new(&row.key, chat) }
}
