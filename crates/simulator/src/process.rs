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

/// A life is taken to hang that has used so much of the processor's time, or has waited for so long. It has nothing to wait for but
/// the processor, and while it waits for that, on a busy machine, it counts as running.
const LIMIT: Duration = Duration::from_mins(1);
/// How often a life that has not ended is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// The clock ticks of a second in `/proc/PID/stat`.
const TICKS: u64 = 100;

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
        let mut looked = Instant::now();
        let mut active = (0, looked);
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if looked.elapsed() > LOOK && self.hangs(&mut active, &mut looked) {
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

    /// Whether it hangs. `active` is the processor's time that it had used when it was last active, and when that was.
    fn hangs(&self, active: &mut (u64, Instant), looked: &mut Instant) -> bool {
        *looked = Instant::now();
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let Some((_, rest)) = text.rsplit_once(") ") else { return false };
        let ticks = rest.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        // `S`: it sleeps. Otherwise it runs, or would if it were let.
        if ticks != active.0 || !rest.starts_with('S') {
            *active = (ticks, *looked);
        }
        ticks > LIMIT.as_secs() * TICKS || active.1.elapsed() > LIMIT
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
