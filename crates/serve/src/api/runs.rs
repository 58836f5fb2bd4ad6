//! Runs: the list, one of them, and several side by side.

use lancer_evolve::{
    Run,
    ledger::Ledger,
    view::{self, RunDifference, RunOverview, SettingDifference},
};
use serde::{Deserialize, Serialize};

use super::OfRun;
use crate::{
    app::App,
    error::ApiError,
    feed::snapshot,
    http::{Reply, Request},
};

/// So many runs are compared at most.
const MOST: usize = 6;

#[derive(Serialize)]
struct About {
    version: &'static str,
    folder: String,
    person: String,
}

pub(super) fn about(app: &App, _: &Request) -> Result<Reply, ApiError> {
    Reply::json(&About {
        version: env!("CARGO_PKG_VERSION"),
        folder: app.folder.display().to_string(),
        person: app.person.clone(),
    })
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    overview: RunOverview,
    can_stop: bool,
}

pub(super) fn list(app: &App, _: &Request) -> Result<Reply, ApiError> {
    let listed: Vec<Listed> = view::find_runs(&app.folder)?
        .into_iter()
        .map(|place| {
            let name = view::run_name(&app.folder, &place);
            let overview = app
                .with_ledger(&place, |ledger| Ok(view::overview(ledger, &place, name.clone())?))
                .unwrap_or_else(|error| RunOverview::unreadable(&place, name, error.text().to_owned()));
            Listed { overview, can_stop: app.started.process(&place).is_some() }
        })
        .collect();
    Reply::json(&listed)
}

pub(super) fn one(app: &App, request: &Request) -> Result<Reply, ApiError> {
    let OfRun { run } = request.asked()?;
    let place = app.run(&run)?;
    app.with_ledger(&place, |ledger| {
        let overview = view::overview(ledger, &place, run.clone())?;
        Reply::json(&snapshot(app, ledger, &place, overview)?)
    })
}

#[derive(Deserialize)]
struct Compared {
    /// Names of runs, as a JSON list.
    runs: String,
}

#[derive(Serialize)]
struct Comparison {
    settings: Vec<SettingDifference>,
    /// Each run but the first against the first.
    differences: Vec<RunDifference>,
}

pub(super) fn compare(app: &App, request: &Request) -> Result<Reply, ApiError> {
    let Compared { runs } = request.asked()?;
    let names: Vec<String> =
        serde_json::from_str(&runs).map_err(|_| ApiError::bad("runs: give a JSON list of names"))?;
    if !(2..=MOST).contains(&names.len()) {
        return Err(ApiError::bad(format!("runs: give two to {MOST} names")));
    }
    let ledgers = names
        .iter()
        .map(|name| Ok(Ledger::read(&app.run(name)?.join(Run::LEDGER))?))
        .collect::<Result<Vec<_>, ApiError>>()?;
    let (settings, differences) = view::difference(&ledgers.iter().collect::<Vec<_>>())?;
    Reply::json(&Comparison { settings, differences })
}
