//! The runs below a folder: how far each has come.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use lancer_eval::Estimate;
use serde::Serialize;

use crate::{
    budget, comparison,
    error::EvolveError,
    ledger::{Ledger, Use},
    run::Run,
    stage::Stage,
    summary::Outcome,
};

/// How deep below the folder runs are looked for.
const DEPTH: usize = 5;

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A process is working on it.
    Working,
    /// It was stopped before its end.
    Stopped,
    /// Every iteration that was planned is whole.
    Finished,
    /// Its ledger cannot be read.
    Unreadable,
}

impl Status {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
            Self::Unreadable => "unreadable",
        }
    }
}

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunOverview {
    /// Its folder below the folder that was looked in, with `/` between the parts; `.` for that folder itself.
    pub name: String,
    /// What it is doing.
    pub status: Status,
    /// The iteration that it is in, or has ended with.
    pub iteration: u32,
    /// The number of iterations that it is to have.
    pub planned: u32,
    /// The stage that comes next or is being worked on; `None` where all are finished.
    pub stage: Option<Stage>,
    /// The stage's name for people.
    pub stage_title: Option<&'static str>,
    /// The number of the model that it has come to.
    pub model: u32,
    /// The gain of that model over `M_0` over all tasks, in standard deviations.
    pub gain: Option<Estimate>,
    /// Whether that model is better than `M_0`.
    pub outcome: Outcome,
    /// Wall-clock seconds of all stages.
    pub seconds: f64,
    /// Tokens read, written and trained on a second in the stage that is being worked on, or was worked on last.
    pub tokens_per_second: Option<f64>,
    /// When its ledger was last written, in seconds since 1970.
    pub last_activity: Option<u64>,
    /// Why it cannot be read.
    pub problem: Option<String>,
}

/// The folders of the runs in or below `folder`, in the order of their names. Links are not followed.
///
/// # Errors
/// Where `folder` cannot be read; folders below it that cannot be read are left out.
pub fn find_runs(folder: &Path) -> Result<Vec<PathBuf>, EvolveError> {
    let failed = |source| EvolveError::Io { action: "read the folder", path: folder.into(), source };
    fs::read_dir(folder).map_err(failed)?;
    let mut found = Vec::new();
    look(folder, DEPTH, &mut found);
    found.sort();
    Ok(found)
}

fn look(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    if folder.join(Run::LEDGER).is_file() {
        found.push(folder.into());
        return;
    }
    let Some(depth) = depth.checked_sub(1) else { return };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            look(&entry.path(), depth, found);
        }
    }
}

/// All runs in or below `folder`. One that cannot be read is among them, with the reason.
///
/// # Errors
/// Where `folder` cannot be read.
pub fn runs(folder: &Path) -> Result<Vec<RunOverview>, EvolveError> {
    let found = find_runs(folder)?;
    Ok(found
        .iter()
        .map(|run| {
            let name = run_name(folder, run);
            Ledger::read(&run.join(Run::LEDGER))
                .and_then(|ledger| overview(&ledger, run, name.clone()))
                .unwrap_or_else(|error| RunOverview::unreadable(run, name, error.to_string()))
        })
        .collect())
}

/// How far the run of a ledger in `run` has come.
///
/// # Errors
/// What reading the ledger gives.
pub fn overview(ledger: &Ledger, run: &Path, name: String) -> Result<RunOverview, EvolveError> {
    let recipe = crate::summary::recipe(ledger)?;
    let planned = budget::last_iteration(ledger)?.unwrap_or(recipe.iterations);
    let mut next = None;
    'iterations: for iteration in 0..=planned {
        for &stage in Stage::of(iteration) {
            if !ledger.is_finished(iteration, stage)? {
                next = Some((iteration, stage));
                break 'iterations;
            }
        }
    }
    let status = match Ledger::in_use(&run.join(Run::LEDGER)) {
        Use::Written => Status::Working,
        Use::Idle if next.is_none() => Status::Finished,
        Use::Idle => Status::Stopped,
    };
    let timings = ledger.timings()?;
    let rate = timings.last().and_then(|timing| {
        let tokens = timing.usage.read + timing.usage.generated + timing.trained;
        (tokens > 0 && timing.seconds > 0.0).then(|| tokens as f64 / timing.seconds)
    });
    let model = ledger.kept()?;
    let paired = if model == 0 { Vec::new() } else { comparison::paired(ledger, 0, model)? };
    let gain = comparison::gain(&paired, &recipe.evaluate.bootstrap);
    let outcome = Outcome::of_paired(&paired, gain.as_ref(), &recipe.evaluate.bootstrap);
    Ok(RunOverview {
        name,
        status,
        iteration: next.map_or(planned, |(iteration, _)| iteration),
        planned,
        stage: next.map(|(_, stage)| stage),
        stage_title: next.map(|(_, stage)| stage.title()),
        model,
        gain,
        outcome,
        seconds: timings.iter().map(|timing| timing.seconds).sum(),
        tokens_per_second: rate,
        last_activity: last_activity(run),
        problem: None,
    })
}

impl RunOverview {
    /// Of a run whose ledger cannot be read.
    pub fn unreadable(run: &Path, name: String, problem: String) -> Self {
        Self {
            name,
            status: Status::Unreadable,
            iteration: 0,
            planned: 0,
            stage: None,
            stage_title: None,
            model: 0,
            gain: None,
            outcome: Outcome::NotEvaluated,
            seconds: 0.0,
            tokens_per_second: None,
            last_activity: last_activity(run),
            problem: Some(problem),
        }
    }
}

/// The path of `run` below `folder`, with `/` between its parts; `.` for the folder itself.
pub fn run_name(folder: &Path, run: &Path) -> String {
    let below = run.strip_prefix(folder).unwrap_or(run);
    let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    if parts.is_empty() { ".".into() } else { parts.join("/") }
}

/// When the ledger, or the file that counts its commits, was written. Reading touches neither.
fn last_activity(run: &Path) -> Option<u64> {
    let modified = |name: &str| fs::metadata(run.join(name)).and_then(|found| found.modified()).ok();
    let last: SystemTime = [Run::LEDGER, "ledger.lock"].into_iter().filter_map(modified).max()?;
    last.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::hand_filled;

    #[test]
    fn runs_are_found_below_a_folder_and_a_broken_one_says_why() {
        let run = hand_filled::whole();
        run.ledger.flush().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::create_dir_all(folder.path().join("broken")).unwrap();
        fs::write(folder.path().join("broken/ledger.sqlite"), "no ledger at all, but long enough").unwrap();
        drop(run.ledger);
        fs::copy(run.folder.path().join("ledger.sqlite"), inner.join("ledger.sqlite")).unwrap();
        let found = runs(folder.path()).unwrap();
        let names: Vec<_> = found.iter().map(|run| (run.name.as_str(), run.status)).collect();
        assert_eq!(names, [("a/b", Status::Finished), ("broken", Status::Unreadable)]);
        assert_eq!(found[0].stage, None);
        assert!(found[1].problem.is_some());
    }
}
