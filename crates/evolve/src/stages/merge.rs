//! Good new pairs join the pool, what was only needed within the iteration is removed, and the next one's model is set.

use std::collections::{BTreeMap, HashMap};

use lancer_eval::Verdict;
use lancer_review::ModeSetting;

use super::{Session, interrupted};
use crate::{
    comparison,
    error::EvolveError,
    files,
    ledger::{Ledger, Origin, Phase},
    models,
    recipe::{Gate, Joining, Stop},
    stage::Stage,
};

pub(crate) fn run(session: &mut Session<'_>, iteration: u32) -> Result<(), EvolveError> {
    let ledger = session.ledger;
    session.progress.begin(iteration, Stage::Merge, "pool", 0, 1);
    let joining = match session.recipe.merge.joins {
        Joining::All => ledger.kept_keys(iteration)?,
        Joining::BestOfPrompt => {
            let is_reviewed = session.recipe.review.mode != ModeSetting::None;
            best_of_prompts(ledger, iteration, is_reviewed.then_some(session.recipe.merge.threshold))?
        }
    };
    let (next, reason) = next_start(session, iteration)?;
    ledger.together(|| {
        for record in &joining {
            ledger.add_to_pool(record, iteration + 1)?;
        }
        ledger.set_start(iteration + 1, next, &reason)
    })?;
    files::remove(&models::fine_tuned(session.folder, iteration))?;
    for phase in [Phase::Sft, Phase::Preference] {
        files::remove(&models::checkpoints(session.folder, iteration, phase.as_str()))?;
    }
    let flow = session.progress.advance(1, 0);
    session.progress.end();
    interrupted(flow, iteration, Stage::Merge)
}

/// Of each new prompt, the best response with a score of at least `threshold`; the first where nothing is reviewed.
fn best_of_prompts(
    ledger: &Ledger,
    iteration: u32,
    threshold: Option<f64>,
) -> Result<Vec<String>, EvolveError> {
    let scores: HashMap<String, f64> =
        ledger.reviews(iteration)?.into_iter().filter_map(|row| Some((row.record, row.score?))).collect();
    // By what the user wrote and all else that comes before the response.
    let mut best: BTreeMap<(String, String), (f64, String)> = BTreeMap::new();
    for record in ledger.kept_records(iteration)? {
        let score = match threshold {
            None => 0.0,
            Some(threshold) => match scores.get(&record.key) {
                Some(&score) if score >= threshold => score,
                _ => continue,
            },
        };
        if record.origin != Origin::NewPrompt {
            continue;
        }
        let context =
            record.conversation.map(|chat| crate::ledger::json(&chat.without_response())).unwrap_or_default();
        let place = best.entry((record.prompt, context)).or_insert_with(|| (score, record.key.clone()));
        if score > place.0 {
            *place = (score, record.key);
        }
    }
    Ok(best.into_values().map(|(_, key)| key).collect())
}

/// The number of the model that the next iteration starts from, and why.
fn next_start(session: &Session<'_>, iteration: u32) -> Result<(u32, String), EvolveError> {
    let before = session.ledger.start(iteration)?;
    if session.recipe.evaluate.gate == Gate::Open && session.recipe.stop == Stop::AllIterations {
        return Ok((iteration, "the newest model".into()));
    }
    let compared =
        comparison::between(session.ledger, &session.recipe.evaluate.bootstrap, before, iteration)?;
    let with = |verdict| compared.iter().filter(move |(_, task)| task.verdict == verdict).count();
    let (worse, better) = (with(Verdict::Worse), with(Verdict::Better));
    Ok(if worse > 0 && better == 0 {
        (
            before,
            format!(
                "M_{iteration} is worse than M_{before} on {worse} of {} tasks and better on none",
                compared.len()
            ),
        )
    } else {
        (iteration, format!("M_{iteration} is better than M_{before} on {better} tasks and worse on {worse}"))
    })
}
