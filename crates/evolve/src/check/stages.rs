//! Stages are finished in their order, and no stage that is finished lacks what it makes.

use std::collections::BTreeSet;

use lancer_review::ModeSetting;

use super::{Check, Promise};
use crate::{
    error::EvolveError,
    ledger::{Ledger, Phase},
    recipe::Recipe,
    run::Run,
    stage::Stage,
};

pub(super) fn check(ledger: &Ledger) -> Result<Check, EvolveError> {
    let mut check = Check::new(Promise::Stages);
    let sealed = ledger.sealed()?;
    check.tested = sealed.len() as u64;
    let finished: BTreeSet<(u32, Stage)> =
        sealed.into_iter().map(|(iteration, stage, _)| (iteration, stage)).collect();
    out_of_order(&finished, &mut check.broken);
    let recipe = recipe(ledger)?;
    if recipe.is_none() {
        check
            .notes
            .push(format!("the ledger does not hold the recipe; {} is taken at its word", Run::RECIPE));
    }
    for &(iteration, stage) in &finished {
        if let Some(missing) = missing(ledger, recipe.as_ref(), iteration, stage)? {
            check.broken.push(format!("iteration {iteration}, {stage}: it is finished, and {missing}"));
        }
    }
    Ok(check)
}

/// The recipe that the ledger remembers.
fn recipe(ledger: &Ledger) -> Result<Option<Recipe>, EvolveError> {
    Ok(ledger.meta("recipe")?.and_then(|text| toml::from_str(&text).ok()))
}

fn out_of_order(finished: &BTreeSet<(u32, Stage)>, broken: &mut Vec<String>) {
    let last = finished.iter().map(|(iteration, _)| *iteration).max().unwrap_or(0);
    let before = Stage::BEFORE.map(|stage| (0, stage));
    let order = before.into_iter().chain(
        (1..=last).flat_map(|iteration| Stage::ITERATION.into_iter().map(move |stage| (iteration, stage))),
    );
    let mut unfinished: Option<(u32, Stage)> = None;
    for (iteration, stage) in order {
        match unfinished {
            None if !finished.contains(&(iteration, stage)) => unfinished = Some((iteration, stage)),
            Some((earlier, before)) if finished.contains(&(iteration, stage)) => {
                broken.push(format!(
                    "iteration {iteration}, {stage}: it is finished, and iteration {earlier}, {before} is not"
                ));
                return;
            }
            _ => {}
        }
    }
}

/// What a finished stage lacks.
fn missing(
    ledger: &Ledger,
    recipe: Option<&Recipe>,
    iteration: u32,
    stage: Stage,
) -> Result<Option<String>, EvolveError> {
    let count = |table: &str, condition: &str| -> Result<u64, EvolveError> {
        let sql = format!("SELECT count(*) FROM {table} WHERE {condition}");
        Ok(ledger.value(&sql, [iteration])?.unwrap_or(0))
    };
    let is_reviewed = recipe.is_none_or(|recipe| recipe.review.mode != ModeSetting::None);
    Ok(match stage {
        Stage::Import if count("record", "iteration = ?1")? == 0 => Some("there is no seed".into()),
        Stage::Calibrate if is_reviewed && count("calibration", "iteration = ?1")? == 0 => {
            Some("there is no reviewer".into())
        }
        Stage::Evaluate => unanswered(ledger, recipe, iteration)?,
        Stage::Sft => without_held_out(ledger, iteration, Phase::Sft)?,
        Stage::Preference => without_held_out(ledger, iteration, Phase::Preference)?,
        Stage::Merge if count("start", "iteration = ?1 + 1")? == 0 => {
            Some("the next iteration has no model to start from".into())
        }
        _ => None,
    })
}

/// The tasks of a recipe that a model has answered nothing of.
fn unanswered(
    ledger: &Ledger,
    recipe: Option<&Recipe>,
    iteration: u32,
) -> Result<Option<String>, EvolveError> {
    let Some(recipe) = recipe else { return Ok(None) };
    let answered: u64 = ledger
        .value("SELECT count(DISTINCT task) FROM evaluation WHERE iteration = ?1", [iteration])?
        .unwrap_or(0);
    let asked = recipe.evaluate.tasks.len() as u64;
    Ok((answered != asked).then(|| format!("{answered} of {asked} tasks are answered")))
}

/// A phase of training that looked at held-out examples before the first step does so after the last one.
fn without_held_out(ledger: &Ledger, iteration: u32, phase: Phase) -> Result<Option<String>, EvolveError> {
    let steps = ledger.steps(iteration, phase)?;
    let held_out = ledger.held_out(iteration, phase)?;
    if !ledger.set_aside(iteration, phase)?.is_empty() {
        // The last step may not have been made, or all that is held out be set aside.
        return Ok(None);
    }
    let (Some(last), Some(first)) = (steps.last(), held_out.first()) else { return Ok(None) };
    let is_there = held_out.iter().any(|row| row.step == last.step);
    Ok((first.step == 0 && !is_there)
        .then(|| format!("the held-out examples were not evaluated after the last step, {}", last.step)))
}
