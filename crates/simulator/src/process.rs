//! Lives as processes.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::ending::Ending;

/// After so long a life is taken to hang. It has nothing to wait for but the processor.
const LIMIT: Duration = Duration::from_mins(1);

/// A life that runs.
pub(crate) struct Life {
    child: Child,
    errors: PathBuf,
}

/// Starts a life whose errors go into the file `errors`.
pub(crate) fn start(command: &mut Command, errors: &Path) -> io::Result<Life> {
    let file = File::create(errors)?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
    Ok(Life { child: command.spawn()?, errors: errors.into() })
}

impl Life {
    /// Waits until it ends.
    pub(crate) fn wait(&mut self) -> io::Result<Ending> {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if began.elapsed() > LIMIT {
                self.child.kill()?;
                self.child.wait()?;
                return Ok(Ending::Hung);
            }
            thread::sleep(Duration::from_micros(500));
        };
        let errors = String::from_utf8_lossy(&fs::read(&self.errors)?).into_owned();
        Ok(match (status.code(), signal(status)) {
            (Some(0), _) => Ending::Finished,
            (Some(130), _) => Ending::Interrupted,
            (Some(101), _) => {
                // Before it the thread's number is told, which is another each time.
                let start = errors.find("panicked at").unwrap_or(0);
                Ending::Panicked(errors[start..].to_owned())
            }
            (Some(_), _) => Ending::Failed(errors),
            (None, signal) => Ending::Killed(signal.unwrap_or(0)),
        })
    }

    /// Waits until it has stopped itself; `false` where it has ended before.
    pub(crate) fn wait_until_paused(&self) -> bool {
        let state = format!("/proc/{}/stat", self.child.id());
        let began = Instant::now();
        while began.elapsed() < LIMIT {
            let text = fs::read_to_string(&state).unwrap_or_default();
            // `1234 (name) T ...`
            match text.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()) {
                Some('T') => return true,
                Some('Z') | None => return false,
                Some(_) => thread::sleep(Duration::from_micros(500)),
            }
        }
        false
    }

    /// Lets it go on after it has stopped itself.
    pub(crate) fn go_on(&self) -> io::Result<()> {
        Command::new("kill").args(["-CONT", &self.child.id().to_string()]).status().map(|_| ())
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }
}

/// The signal that ended a process.
#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}
