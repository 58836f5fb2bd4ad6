//! Records: a page of them, one with its lineage, and the examples of a step.

use lancer_evolve::{
    ledger::{Origin, Phase},
    view::{self, Fate, RecordFilter, Sort},
};
use serde::Deserialize;

use crate::{
    app::App,
    error::ApiError,
    http::{Reply, Request},
};

/// A filter, as the parameters of an address.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedRecords {
    run: String,
    #[serde(default)]
    text: String,
    origin: Option<Origin>,
    iteration: Option<u32>,
    fate: Option<Fate>,
    rule: Option<String>,
    reviewed: Option<u32>,
    least: Option<f64>,
    below: Option<f64>,
    #[serde(default)]
    sort: Sort,
    after: Option<String>,
    limit: Option<usize>,
}

pub(super) fn page(app: &App, request: &Request) -> Result<Reply, ApiError> {
    let AskedRecords { run, text, origin, iteration, fate, rule, reviewed, least, below, sort, after, limit } =
        request.asked()?;
    let filter =
        RecordFilter { text, origin, iteration, fate, rule, reviewed, least, below, sort, after, limit };
    let place = app.run(&run)?;
    app.with_ledger(&place, |ledger| Reply::json(&view::record_page(ledger, &filter)?))
}

#[derive(Deserialize)]
struct OfRecord {
    run: String,
    key: String,
}

pub(super) fn one(app: &App, request: &Request) -> Result<Reply, ApiError> {
    let OfRecord { run, key } = request.asked()?;
    let place = app.run(&run)?;
    let found = app.with_ledger(&place, |ledger| Ok(view::lineage(ledger, &key)?))?;
    let found = found.ok_or_else(|| ApiError::not_found("the run has no record of this key"))?;
    Reply::json(&found)
}

#[derive(Deserialize)]
struct OfStep {
    run: String,
    iteration: u32,
    phase: Phase,
    step: u64,
}

pub(super) fn step(app: &App, request: &Request) -> Result<Reply, ApiError> {
    let OfStep { run, iteration, phase, step } = request.asked()?;
    let place = app.run(&run)?;
    let found = app.with_ledger(&place, |ledger| Ok(view::batch(ledger, iteration, phase, step)?))?;
    let found = found.ok_or_else(|| ApiError::not_found("the run has not made this step"))?;
    Reply::json(&found)
}
