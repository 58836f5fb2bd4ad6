//! Judging: what comes next, what was decided, and how far the reviewer agrees.

use lancer_evolve::{
    Run,
    ledger::{NewJudgement, Subject, judge},
    view,
};
use serde::{Deserialize, Serialize};

use super::OfRun;
use crate::{
    app::App,
    error::ApiError,
    http::{Reply, Request},
};

/// So many items are given at once.
const ITEMS: usize = 20;

#[derive(Deserialize)]
struct OfQueue {
    run: String,
    subject: Subject,
    iteration: u32,
}

pub(super) fn next(app: &App, request: &Request) -> Result<Reply, ApiError> {
    let OfQueue { run, subject, iteration } = request.asked()?;
    let place = app.run(&run)?;
    app.with_ledger(&place, |ledger| {
        let threshold = view::threshold(ledger)?;
        Reply::json(&view::queue(ledger, subject, iteration, threshold, ITEMS)?)
    })
}

pub(super) fn agree(app: &App, request: &Request) -> Result<Reply, ApiError> {
    let OfRun { run } = request.asked()?;
    let place = app.run(&run)?;
    app.with_ledger(&place, |ledger| Reply::json(&view::agreement(ledger, view::threshold(ledger)?)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    run: String,
    judgement: NewJudgement,
}

#[derive(Serialize)]
struct Decided {
    number: u64,
}

pub(super) fn decide(app: &App, request: &Request) -> Result<Reply, ApiError> {
    let Decision { run, judgement } = request.told()?;
    let place = app.run(&run)?;
    Reply::json(&Decided { number: judge(&place.join(Run::LEDGER), &judgement)? })
}
