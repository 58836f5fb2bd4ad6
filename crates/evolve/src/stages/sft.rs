//! Fine-tuning: model `t` becomes the reference of its preference training.

use std::collections::HashMap;

use lancer_backend::WeightFormat;
use lancer_prefer::{Candidate, CheckpointPolicy, Draw, SftExample, Split, draw, train_sft};

use super::{
    Session,
    training::{Observer, Trained, export, prompt},
};
use crate::{
    base::training_base,
    error::EvolveError,
    ledger::{Phase, SftRow},
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
    let prompts: HashMap<String, String> = session.ledger.prompts()?.into_iter().collect();
    // An example that teaches to review has the prompt of the record in it that it reviews.
    let candidates: Vec<Candidate<'_>> = rows
        .iter()
        .map(|row| Candidate { key: &row.key, prompt: prompts.get(&row.record).unwrap_or(&row.prompt) })
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
    let examples = |places: &[usize]| places.iter().map(|&place| example(&rows[place])).collect::<Vec<_>>();
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

fn example(row: &SftRow) -> SftExample {
    let response = lancer_backend::Message::assistant(&row.response);
    SftExample::new(&row.key, lancer_backend::Conversation::of_turns(prompt(&row.prompt), response))
}
