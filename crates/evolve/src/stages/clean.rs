//! New records that are too short, too long, too like another or an item of an evaluation task are dropped.

use lancer_data::{Candidate, Pair};

use super::{Session, evaluate::evaluation_texts, interrupted};
use crate::{
    error::EvolveError,
    ledger::{Origin, VerdictRow},
    stage::Stage,
};

pub(crate) fn run(session: &mut Session<'_>, iteration: u32) -> Result<(), EvolveError> {
    let ledger = session.ledger;
    let pool: Vec<Pair> = ledger
        .pool(iteration)?
        .into_iter()
        .map(|record| Pair { key: record.key, prompt: record.prompt, response: record.response })
        .collect();
    let candidates: Vec<Candidate> = ledger
        .records(iteration)?
        .into_iter()
        .map(|record| Candidate {
            family: record.source.unwrap_or(record.seed),
            origin: match record.origin {
                Origin::WorseResponse => lancer_data::Origin::OtherResponse,
                Origin::Seed | Origin::NewPrompt => lancer_data::Origin::NewPrompt,
            },
            key: record.key,
            prompt: record.prompt,
            response: record.response,
        })
        .collect();
    let evaluation = evaluation_texts(session.recipe)?;
    session.progress.begin(iteration, Stage::Clean, "records", 0, candidates.len());
    let dropped = lancer_data::clean(&candidates, &pool, &evaluation, &session.recipe.clean);
    ledger.together(|| {
        for (candidate, dropped) in candidates.iter().zip(dropped) {
            let (rule, resembles, detail) = match dropped {
                None => (None, None, None),
                Some(drop) => (Some(drop.rule.as_str().to_owned()), drop.resembles, Some(drop.detail)),
            };
            ledger.add_verdict(&VerdictRow {
                record: candidate.key.clone(),
                iteration,
                rule,
                resembles,
                detail,
            })?;
        }
        Ok(())
    })?;
    let flow = session.progress.advance(candidates.len(), 0);
    session.progress.end();
    interrupted(flow, iteration, Stage::Clean)
}
