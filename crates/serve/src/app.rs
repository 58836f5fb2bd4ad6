//! What all requests share: the folder, its open ledgers, the runs that were started here.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use lancer_evolve::{Run, ledger::Ledger};
use tokio::task::spawn_blocking;

use crate::{error::ApiError, feed::Feeds, program::Program, started::Started};

/// So many connections to a ledger are kept for the next question.
const KEPT: usize = 4;

pub(crate) struct App {
    /// The folder of runs, without links in its path.
    pub(crate) folder: PathBuf,
    pub(crate) person: String,
    pub(crate) program: Arc<dyn Program>,
    pub(crate) started: Started,
    pub(crate) feeds: Feeds,
    ledgers: Mutex<HashMap<PathBuf, Vec<(Identity, Ledger)>>>,
}

/// Which file a ledger is: another run may be made under the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    created: Option<SystemTime>,
    inode: u64,
}

impl App {
    pub(crate) fn new(folder: PathBuf, person: String, program: Arc<dyn Program>) -> Self {
        let (started, feeds) = (Started::default(), Feeds::default());
        Self { folder, person, program, started, feeds, ledgers: Mutex::default() }
    }

    /// The folder of a new or an existing run of this name: names joined by `/`, none of which leads elsewhere.
    ///
    /// # Errors
    /// Where the name is none, or leads through a link.
    pub(crate) fn place(&self, name: &str) -> Result<PathBuf, ApiError> {
        let wrong = || ApiError::bad("run: give names of folders with `/` between them");
        if name == "." {
            return Ok(self.folder.clone());
        }
        let mut place = self.folder.clone();
        for part in name.split('/') {
            let is_plain = !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0', ':']);
            if !is_plain {
                return Err(wrong());
            }
            place.push(part);
            if fs::symlink_metadata(&place).is_ok_and(|found| !found.is_dir()) {
                return Err(ApiError::not_found(format!("{name} is no folder of runs")));
            }
        }
        Ok(place)
    }

    /// The folder of a run that is there.
    pub(crate) fn run(&self, name: &str) -> Result<PathBuf, ApiError> {
        let place = self.place(name)?;
        match fs::symlink_metadata(place.join(Run::LEDGER)) {
            Ok(found) if found.is_file() => Ok(place),
            _ => Err(ApiError::not_found(format!("there is no run {name}"))),
        }
    }

    /// What `read` makes of the ledger of a run.
    pub(crate) fn with_ledger<T>(
        &self,
        run: &Path,
        read: impl FnOnce(&Ledger) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let file = run.join(Run::LEDGER);
        let identity = identity(&file);
        let kept = self.lock().get_mut(run).and_then(Vec::pop);
        let ledger = match kept {
            Some((of, ledger)) if of == identity => ledger,
            _ => Ledger::read(&file)?,
        };
        let result = read(&ledger);
        let mut ledgers = self.lock();
        let kept = ledgers.entry(run.into()).or_default();
        kept.retain(|(of, _)| *of == identity);
        // One of an older version is a copy, which does not follow what is written.
        if kept.len() < KEPT && result.is_ok() && ledger.is_in_place() {
            kept.push((identity, ledger));
        }
        drop(ledgers);
        result
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Vec<(Identity, Ledger)>>> {
        // Nothing is left half done where a thread panics.
        self.ledgers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does what takes time on a thread that may wait.
pub(crate) async fn waiting<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    spawn_blocking(work).await.unwrap_or_else(|_| Err(ApiError::new(500, "the question was not answered")))
}

fn identity(file: &Path) -> Identity {
    let found = fs::metadata(file).ok();
    Identity {
        created: found.as_ref().and_then(|found| found.created().ok()),
        inode: found.as_ref().map(inode).unwrap_or_default(),
    }
}

#[cfg(unix)]
fn inode(found: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(found)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}
