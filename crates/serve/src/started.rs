//! Runs that were started from the page: their processes, and the last lines that they wrote.

use std::{
    collections::{HashMap, VecDeque},
    ffi::OsString,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

/// So many lines of a process are kept.
const LINES: usize = 200;
/// A longer line is cut.
const LENGTH: u64 = 2000;

#[derive(Default)]
pub(crate) struct Started(Mutex<HashMap<PathBuf, Process>>);

struct Process {
    child: Child,
    lines: Arc<Mutex<Lines>>,
}

#[derive(Default)]
struct Lines {
    last: VecDeque<String>,
    written: usize,
}

/// What a process wrote last.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) lines: Vec<String>,
    /// Lines that it has written in all.
    pub(crate) written: usize,
    pub(crate) is_running: bool,
}

impl Started {
    /// Starts a process for a run. It goes on when this program ends.
    ///
    /// # Errors
    /// Where one is at work already, or the system starts none.
    pub(crate) fn start(&self, run: &Path, executable: &Path, arguments: &[OsString]) -> io::Result<()> {
        let mut processes = self.lock();
        if processes.get_mut(run).is_some_and(Process::is_running) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "its process is at work"));
        }
        let mut command = Command::new(executable);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: Ctrl-C that ends this program is not the run's.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        let lines = Arc::<Mutex<Lines>>::default();
        if let Some(stream) = child.stdout.take() {
            keep(stream, Arc::clone(&lines));
        }
        if let Some(stream) = child.stderr.take() {
            keep(stream, Arc::clone(&lines));
        }
        processes.insert(run.into(), Process { child, lines });
        Ok(())
    }

    /// The process at work on a run, where it was started here.
    pub(crate) fn process(&self, run: &Path) -> Option<u32> {
        let mut processes = self.lock();
        let process = processes.get_mut(run)?;
        process.is_running().then(|| process.child.id())
    }

    pub(crate) fn log(&self, run: &Path) -> Log {
        let mut processes = self.lock();
        let Some(process) = processes.get_mut(run) else { return Log::default() };
        let is_running = process.is_running();
        let lines = process.lines.lock().unwrap_or_else(PoisonError::into_inner);
        Log { lines: lines.last.iter().cloned().collect(), written: lines.written, is_running }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Process>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

/// Keeps the last lines of a stream, on a thread of its own.
fn keep(stream: impl Read + Send + 'static, lines: Arc<Mutex<Lines>>) {
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        loop {
            let mut line = Vec::new();
            match (&mut stream).take(LENGTH).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.last.len() == LINES {
                lines.last.pop_front();
            }
            lines.last.push_back(text);
            lines.written += 1;
        }
    });
}
