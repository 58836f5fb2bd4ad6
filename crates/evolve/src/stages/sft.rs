//! Fine-tuning: model `t` becomes the reference of its preference training.

use lancer_prefer::{CheckpointPolicy, SftExample, Split, train_sft};

use super::{
    Session,
    training::{Observer, export, prompt},
};
use crate::{
    error::EvolveError,
    ledger::{Phase, SftRow},
    models,
    recipe::{SftIterations, draw},
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
    let keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    let (train, held_out) =
        draw(&keys, settings.max_examples, settings.held_out, session.seed(iteration, "sft examples"));
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
    let checkpoints = models::checkpoints(session.folder, iteration, Phase::Sft.as_str());
    let mut observer = Observer::new(session.ledger, session.progress, &session.laps, iteration, Phase::Sft);
    let report = train_sft(
        learner.as_mut(),
        Split { train: &train, held_out: &held_out },
        &settings.train,
        CheckpointPolicy::Within(&checkpoints),
        seed.derive("batches"),
        &mut observer,
    )?;
    observer.outcome(&report)?;
    export(learner.as_ref(), &fine_tuned)
}

fn example(row: &SftRow) -> SftExample {
    SftExample {
        key: row.key.clone(),
        prompt: prompt(&row.prompt),
        response: row.response.clone(),
        weight: 1.0,
    }
}
