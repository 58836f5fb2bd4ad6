//! What is told to pages that watch a run, as it happens.
//!
//! One task a run looks whether the ledger was written, and makes one text for all who watch. It looks less often where making the
//! text takes long, so that watching does not slow the run. Who does not read keeps nobody waiting: only the newest text is kept.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use lancer_evolve::view::{self, RunOverview, RunView};
use serde::Serialize;
use tokio::{sync::watch, time::sleep};

use crate::{
    app::{App, waiting},
    error::ApiError,
};

/// How often is looked.
const EVERY: Duration = Duration::from_millis(700);
/// At most this part of the time goes into watching: one in 30.
const SHARE: u32 = 30;
/// More steps than this are thinned for the page.
const MOST_STEPS: usize = 1500;

/// The newest text about a run; empty until there is one.
pub(crate) type Feed = watch::Receiver<Arc<str>>;

#[derive(Default)]
pub(crate) struct Feeds(Mutex<HashMap<PathBuf, watch::Sender<Arc<str>>>>);

/// What a page that watches a run is told.
#[derive(Serialize)]
pub(crate) struct Snapshot {
    pub(crate) overview: RunOverview,
    pub(crate) run: RunView,
    /// Whether this server started its process and can stop it.
    pub(crate) can_stop: bool,
    /// The last lines that its process wrote.
    pub(crate) log: Vec<String>,
}

/// Watches a run.
pub(crate) fn watch_run(app: &Arc<App>, name: String, run: PathBuf) -> Feed {
    let mut feeds = app.feeds.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(sender) = feeds.get(&run) {
        return sender.subscribe();
    }
    let (sender, feed) = watch::channel(Arc::from(""));
    feeds.insert(run.clone(), sender);
    drop(feeds);
    tokio::spawn(follow(Arc::clone(app), name, run));
    feed
}

async fn follow(app: Arc<App>, name: String, run: PathBuf) {
    let mut seen = None;
    loop {
        let begun = Instant::now();
        let (asked, of, at) = (Arc::clone(&app), name.clone(), run.clone());
        let before = seen;
        let found = waiting(move || changed(&asked, &of, &at, before)).await;
        {
            let mut feeds = app.feeds.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(sender) = feeds.get(&run) else { return };
            if sender.receiver_count() == 0 {
                feeds.remove(&run);
                return;
            }
            match found {
                Ok(None) => {}
                Ok(Some((state, text))) => {
                    seen = Some(state);
                    sender.send_replace(text.into());
                }
                // The run is gone: those who watch are told so by the end of their stream.
                Err(_) => {
                    feeds.remove(&run);
                    return;
                }
            }
        }
        sleep(EVERY.max(begun.elapsed() * SHARE)).await;
    }
}

/// What tells whether there is news: the commits of the ledger, the lines of its process, whether one is at work.
type State = (u64, usize, view::Status);

/// The text, where there is news.
fn changed(
    app: &App,
    name: &str,
    run: &std::path::Path,
    before: Option<State>,
) -> Result<Option<(State, String)>, ApiError> {
    app.with_ledger(run, |ledger| {
        let log = app.started.log(run);
        let overview = view::overview(ledger, run, name.to_owned())?;
        let state = (ledger.commits()?, log.written, overview.status);
        if before == Some(state) {
            return Ok(None);
        }
        let snapshot = snapshot(app, ledger, run, overview)?;
        let text = serde_json::to_string(&snapshot).map_err(|error| ApiError::bad(error.to_string()))?;
        Ok(Some((state, text)))
    })
}

pub(crate) fn snapshot(
    app: &App,
    ledger: &lancer_evolve::ledger::Ledger,
    run: &std::path::Path,
    overview: RunOverview,
) -> Result<Snapshot, ApiError> {
    let mut view = RunView::of(ledger, run)?;
    for curves in &mut view.training {
        let every = curves.steps.len().div_ceil(MOST_STEPS).max(1);
        let last = curves.steps.len().saturating_sub(1);
        let mut place = 0;
        curves.steps.retain(|_| {
            let is_kept = place % every == 0 || place == last;
            place += 1;
            is_kept
        });
    }
    let log = app.started.log(run);
    Ok(Snapshot { overview, run: view, can_stop: log.is_running, log: log.lines })
}
