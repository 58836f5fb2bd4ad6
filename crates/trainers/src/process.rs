//! A trainer's process: started in a group of its own, ended in order, known to later starts of lancer.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    data::write_text,
    error::TrainerError,
    launch::{Launch, folder_of},
    plan::Paths,
    start::remove,
};

/// How long a trainer may take to end after it was asked to, before it is killed. It is not interrupted as by Ctrl-C: a process that
/// was started in the background of a shell, and all that it starts, does not hear that.
const PATIENCE: [(Signal, Duration); 2] =
    [(Signal::Terminate, Duration::from_secs(30)), (Signal::Kill, Duration::from_secs(10))];

/// The trainers that this process has started and that have not ended.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

#[derive(Clone, Copy)]
enum Signal {
    Terminate,
    Kill,
}

/// Ends all trainers that this process has started, at once: for a program that is about to end itself.
pub fn end_all() {
    for &process in running().iter() {
        signal(process, Signal::Kill);
    }
}

fn running() -> MutexGuard<'static, Vec<u32>> {
    // A list of numbers is whole whatever happened to who held it.
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A trainer that runs. Dropped, it is ended.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    file: PathBuf,
}

impl Running {
    /// Starts a trainer whose output goes to the job's log.
    ///
    /// # Errors
    /// Where an earlier lancer's is still running, and where the program cannot be started.
    pub(crate) fn start(launch: &Launch, paths: &Paths, python: &Path) -> Result<Self, TrainerError> {
        check_none_runs(paths)?;
        let log = paths.log();
        let output =
            File::options().create(true).append(true).open(&log).map_err(TrainerError::io("write", &log))?;
        let errors = output.try_clone().map_err(TrainerError::io("write", &log))?;
        let (program, arguments) =
            launch.started.split_first().map_or(("", &[][..]), |(program, rest)| (program, rest));
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&paths.folder).stdin(Stdio::null()).stdout(output).stderr(errors);
        for (name, value) in &launch.environment {
            // What the user has set stays.
            if std::env::var_os(name).is_none() {
                command.env(name, value);
            }
        }
        if let Some(path) = path_with(python) {
            command.env("PATH", path);
        }
        // So that Ctrl-C in a terminal reaches lancer alone, which then ends the trainer in order.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().map_err(|source| TrainerError::Start {
            program: program.to_owned(),
            command: launch.started.join(" "),
            source,
        })?;
        running().push(child.id());
        let running = Self { child, file: paths.process() };
        write_text(
            &running.file,
            &format!("{} {}\n", running.child.id(), began(running.child.id()).unwrap_or(0)),
        )?;
        Ok(running)
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Ends it in order: it is asked to end, then killed.
    pub(crate) fn stop(&mut self) {
        for (kind, patience) in PATIENCE {
            signal(self.child.id(), kind);
            let clock = Instant::now();
            while clock.elapsed() < patience {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    // What it has started may still be there.
                    signal(self.child.id(), Signal::Kill);
                    return;
                }
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop();
        }
        running().retain(|&process| process != self.child.id());
        // A file that stays is told from a process that lives by the process's start.
        let _ = remove(&self.file);
    }
}

/// An error where the trainer that an earlier lancer started for this job lives.
fn check_none_runs(paths: &Paths) -> Result<(), TrainerError> {
    let Ok(text) = fs::read_to_string(paths.process()) else { return Ok(()) };
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    let (Some(Ok(process)), Some(Ok(start))) = (numbers.next(), numbers.next()) else { return Ok(()) };
    let process = u32::try_from(process).unwrap_or(0);
    if process != 0 && start != 0 && began(process) == Some(start) {
        return Err(TrainerError::Running { folder: paths.folder.clone(), process });
    }
    Ok(())
}

/// When a process began, in the system's ticks since it was started; a process number is used again, but not with the same
/// beginning. `None` where there is no such process that lives, or the system does not tell.
fn began(process: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before may have spaces and brackets in it.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// The search path with the folder of the environment's programs first.
fn path_with(python: &Path) -> Option<std::ffi::OsString> {
    let folder = folder_of(python)?;
    let before = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&before))).ok()
}

#[cfg(unix)]
fn signal(process: u32, kind: Signal) {
    use nix::{
        sys::signal::{Signal as Kind, killpg},
        unistd::Pid,
    };

    let kind = match kind {
        Signal::Terminate => Kind::SIGTERM,
        Signal::Kill => Kind::SIGKILL,
    };
    if let Ok(process) = i32::try_from(process) {
        // Where it has ended there is nobody to tell.
        let _ = killpg(Pid::from_raw(process), kind);
    }
}

#[cfg(not(unix))]
fn signal(process: u32, _: Signal) {
    // `/T`: with the processes that it has started.
    let _ = Command::new("taskkill").args(["/T", "/F", "/PID", &process.to_string()]).output();
}
