//! Reviews become examples for fine-tuning and preference pairs.

use std::collections::{HashMap, HashSet};

use lancer_generate::WorseStyle;
use lancer_review::{
    Candidate, Earlier, Kind, ModeSetting, PairAnnotation, RejectedKind, Score, Worse, annotate,
};

use super::{Session, interrupted, judged::Judged};
use crate::{
    error::EvolveError,
    export,
    ledger::{Ledger, Origin, PairRow, SftKind, SftRow},
    stage::Stage,
};

pub(crate) fn run(session: &mut Session<'_>, iteration: u32) -> Result<(), EvolveError> {
    let ledger = session.ledger;
    let scores: HashMap<String, f64> =
        ledger.reviews(iteration)?.into_iter().filter_map(|row| Some((row.record, row.score?))).collect();
    let records = ledger.pool(iteration)?.into_iter().chain(ledger.kept_records(iteration)?);
    let worse = worse(session.recipe.generate.worse_style);
    let is_reviewed = session.recipe.review.mode != ModeSetting::None;
    let mut candidates: Vec<Candidate> = records
        .filter_map(|record| {
            let score = scores.get(&record.key).and_then(|&score| Score::new(score).ok());
            // A review that gave no score says nothing of the pair.
            if is_reviewed && score.is_none() {
                return None;
            }
            Some(Candidate {
                kind: match record.origin {
                    Origin::Seed => Kind::Seed,
                    Origin::NewPrompt => Kind::NewPrompt,
                    Origin::WorseResponse => Kind::Worse(worse),
                },
                source: record.source.clone().unwrap_or_else(|| record.seed.clone()),
                key: record.key.clone(),
                chat: record.chat().without_response(),
                response: record.response,
                score,
            })
        })
        .collect();
    let judged = Judged::of(ledger)?;
    judged.override_reviews(ledger, &mut candidates, is_reviewed, worse)?;
    session.progress.begin(iteration, Stage::Annotate, "records", 0, candidates.len());
    let annotations = annotate(&candidates, &session.recipe.annotate, session.seed(iteration, "annotate"));
    let pairs =
        judged.pairs(ledger, annotations.preference.iter().map(|pair| pair_row(pair, &judged)).collect())?;
    ledger.together(|| {
        for example in annotations.sft {
            ledger.add_sft(
                iteration,
                &SftRow {
                    record: example.key.clone(),
                    judgement: judged.of_record(&example.key).map(|judgement| judgement.number),
                    key: example.key,
                    kind: SftKind::Response,
                    score: example.score.map(Score::get),
                    prompt: example.prompt,
                    response: example.response,
                },
            )?;
        }
        for example in annotations.review {
            ledger.add_sft(
                iteration,
                &SftRow {
                    key: example.key,
                    record: example.record,
                    kind: SftKind::Review,
                    score: None,
                    prompt: example.prompt,
                    response: example.response,
                    judgement: None,
                },
            )?;
        }
        pairs.iter().try_for_each(|pair| ledger.add_pair(iteration, pair))?;
        if session.recipe.annotate.earlier == Earlier::Added {
            add_earlier(ledger, iteration)?;
        }
        Ok(())
    })?;
    // Who finds the files finds their rows.
    ledger.flush()?;
    export::write(ledger, session.recipe, session.folder, iteration)?;
    let flow = session.progress.advance(candidates.len(), 0);
    session.progress.end();
    interrupted(flow, iteration, Stage::Annotate)
}

/// Adds what the iteration before trained on, which holds all that came before it, unless it is there already.
fn add_earlier(ledger: &Ledger, iteration: u32) -> Result<(), EvolveError> {
    let Some(before) = iteration.checked_sub(1).filter(|&before| before > 0) else { return Ok(()) };
    let known: HashSet<String> = ledger.sft(iteration)?.into_iter().map(|row| row.key).collect();
    let examples = ledger.sft(before)?.into_iter().filter(|row| !known.contains(&row.key));
    examples.into_iter().try_for_each(|row| ledger.add_sft(iteration, &row))?;
    let known: HashSet<String> = ledger.pairs(iteration)?.into_iter().map(|row| row.key).collect();
    let pairs = ledger.pairs(before)?.into_iter().filter(|row| !known.contains(&row.key));
    pairs.into_iter().try_for_each(|row| ledger.add_pair(iteration, &row))
}

/// A pair, with the judgement about one of its records where there is one: its scores, and perhaps its texts, are the person's.
fn pair_row(pair: &PairAnnotation, judged: &Judged) -> PairRow {
    let rejected_record = rejected_record(pair);
    let of = |key: &str| judged.of_record(key).map(|judgement| judgement.number);
    PairRow {
        judgement: of(&pair.chosen_key).or_else(|| rejected_record.as_deref().and_then(of)),
        rejected_record,
        key: pair.key.clone(),
        record: pair.chosen_key.clone(),
        rejected_kind: pair.rejected_kind.to_string(),
        chosen_score: pair.chosen_score.map(Score::get),
        rejected_score: pair.rejected_score.map(Score::get),
        prompt: pair.prompt.clone(),
        chosen: pair.chosen.clone(),
        rejected: pair.rejected.clone(),
    }
}

/// What the review crate calls the worse responses of a style.
fn worse(style: WorseStyle) -> Worse {
    match style {
        WorseStyle::Auto | WorseStyle::Instructed | WorseStyle::PartPrompt => Worse::Written,
        WorseStyle::Hot | WorseStyle::Sampled => Worse::Sampled,
    }
}

/// The record that the rejected side is; none where it was made by damaging a response.
fn rejected_record(pair: &PairAnnotation) -> Option<String> {
    match pair.rejected_kind {
        RejectedKind::Damaged(_) => None,
        RejectedKind::Written | RejectedKind::Sampled => Some(pair.rejected_key.clone()),
    }
}
