//! What an iteration made, in the layouts that other trainers read.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use lancer_backend::Message;
use lancer_data::{Card, Count, Export, PreferenceRow, SftRow, write_export};

use crate::{
    error::EvolveError,
    ledger::{Ledger, Record, SftKind},
    models,
    recipe::Recipe,
    stages::{chat_of, pair_of},
};

/// Writes the training data of an iteration into the run's folder, with a dataset card.
pub(crate) fn write(
    ledger: &Ledger,
    recipe: &Recipe,
    folder: &Path,
    iteration: u32,
) -> Result<(), EvolveError> {
    write_into(&models::export(folder, iteration), ledger, recipe, iteration).map(|_| ())
}

/// Writes the training data of an iteration and its dataset card into this folder; the files.
pub(crate) fn write_into(
    folder: &Path,
    ledger: &Ledger,
    recipe: &Recipe,
    iteration: u32,
) -> Result<Vec<PathBuf>, EvolveError> {
    let conversations: HashMap<String, Record> =
        ledger.all_records()?.into_iter().map(|record| (record.key.clone(), record)).collect();
    let seed_of = |record: &str| {
        conversations.get(record).map_or_else(|| record.to_owned(), |record| record.seed.clone())
    };
    let sft: Vec<SftRow> = ledger
        .sft(iteration)?
        .into_iter()
        .map(|row| SftRow {
            seed: seed_of(&row.record),
            iteration,
            score: row.score,
            conversation: chat_of(&row, &conversations),
            key: row.key,
        })
        .collect();
    let preference: Vec<PreferenceRow> = ledger
        .pairs(iteration)?
        .into_iter()
        .map(|row| {
            let (prompt, chosen) = pair_of(&row, &conversations);
            PreferenceRow {
                key: row.key,
                seed: seed_of(&row.record),
                iteration,
                chosen_score: row.chosen_score,
                rejected_score: row.rejected_score,
                prompt,
                chosen,
                rejected: Message::assistant(row.rejected),
            }
        })
        .collect();
    let card = card(ledger, recipe, iteration)?;
    Ok(write_export(folder, &Export { sft: &sft, preference: &preference, card })?)
}

fn card(ledger: &Ledger, recipe: &Recipe, iteration: u32) -> Result<Card, EvolveError> {
    let samples = ledger.samples(iteration)?;
    let usable = samples.iter().filter(|sample| sample.unusable.is_none()).count();
    let reviewed = ledger.reviews(iteration)?.iter().filter(|row| row.score.is_some()).count();
    let count = |stage: &str, records: usize| Count { stage: stage.into(), records: records as u64 };
    Ok(Card {
        title: format!("lancer, iteration {iteration}"),
        summary: "Data that a language model wrote, reviewed and was trained on. Reviews are the model's own; nobody has \
                  checked what it states."
            .into(),
        license: None,
        languages: Vec::new(),
        lineage: vec![
            ("model".into(), recipe.model.display().to_string()),
            ("seeds".into(), recipe.seeds.display().to_string()),
            ("random seed".into(), recipe.seed.0.to_string()),
        ],
        counts: vec![
            count("pool of seeds", ledger.pool(iteration)?.len()),
            count("samples written", samples.len()),
            count("usable samples", usable),
            count("kept by cleaning", ledger.kept_records(iteration)?.len()),
            count("reviewed", reviewed),
            count("examples for fine-tuning", ledger.sft(iteration)?.len()),
            count("of these, reviews", {
                ledger.sft(iteration)?.iter().filter(|row| row.kind == SftKind::Review).count()
            }),
            count("preference pairs", ledger.pairs(iteration)?.len()),
        ],
        settings: recipe.to_toml(),
    })
}
