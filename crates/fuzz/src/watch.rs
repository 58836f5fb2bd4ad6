//! Watching workers: what ends one, or takes too long, is a finding.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use crate::{
    targets::{self, Target},
    worker,
};

/// The processor's time that an input may take.
const MOST_SECONDS: f64 = 20.0;
/// How often a worker is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// So many findings of a target are enough for a run.
const MOST_FINDINGS: usize = 20;
/// The clock ticks of a second in `/proc/PID/stat`.
const TICKS: f64 = 100.0;

/// What is to be tried.
pub(crate) struct Plan {
    pub(crate) targets: Vec<&'static Target>,
    pub(crate) length: Length,
    pub(crate) seed: u64,
}

/// How long each target is tried.
#[derive(Clone, Copy)]
pub(crate) enum Length {
    /// Of the processor's time, so that a busy machine tries as much as an idle one.
    Time(Duration),
    Runs(u64),
}

/// How a worker ended.
enum End {
    Done,
    TimeOver,
    Finding(String),
}

/// Tries all targets of a plan, one after the other.
pub(crate) fn targets(plan: &Plan) -> Result<ExitCode, String> {
    let mut found = 0;
    for target in &plan.targets {
        found += try_target(target, plan.length, plan.seed)?;
    }
    Ok(if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn try_target(target: &Target, length: Length, seed: u64) -> Result<usize, String> {
    let folder = scratch()?;
    let mut used = Duration::ZERO;
    let (runs, time) = match length {
        Length::Runs(runs) => (runs, Duration::MAX),
        Length::Time(time) => (u64::MAX, time),
    };
    let (mut next, mut found) = (0, 0);
    loop {
        let arguments = [seed.to_string(), next.to_string(), runs.to_string()];
        let child = start(target, folder.path(), &arguments, Stdio::null())?;
        let watched = watched(child, folder.path(), time.saturating_sub(used))?;
        used += watched.used;
        match watched.end {
            End::Finding(reason) => {
                found += 1;
                report(target, folder.path(), &reason)?;
                next = number(folder.path()) + 1;
                if found == MOST_FINDINGS {
                    break;
                }
            }
            End::Done | End::TimeOver => {
                next = number(folder.path()) + 1;
                break;
            }
        }
    }
    let kinds = fs::read_to_string(folder.path().join(worker::KINDS)).unwrap_or_default();
    println!(
        "{}: {next} inputs in {:.0} s of the processor's time, {kinds} kinds of outcomes, {found} findings",
        target.name,
        used.as_secs_f64()
    );
    Ok(found)
}

/// Tries files and prints what becomes of each.
pub(crate) fn files(target: &Target, files: &[PathBuf]) -> Result<ExitCode, String> {
    let mut failed = false;
    for file in files {
        let folder = scratch()?;
        let arguments = ["files".to_owned(), file.display().to_string()];
        let child = start(target, folder.path(), &arguments, Stdio::inherit())?;
        if let End::Finding(reason) = watched(child, folder.path(), Duration::MAX)?.end {
            println!("{}: {reason}", file.display());
            failed = true;
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A folder in memory, where there is one.
fn scratch() -> Result<tempfile::TempDir, String> {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_path_buf() } else { env::temp_dir() };
    tempfile::Builder::new().prefix("lancer-fuzz-").tempdir_in(place).map_err(|error| error.to_string())
}

fn start(target: &Target, folder: &Path, arguments: &[String], output: Stdio) -> Result<Child, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let errors = fs::File::create(folder.join("stderr")).map_err(|error| error.to_string())?;
    Command::new(program)
        .args([worker::NAME, target.name])
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .env("RAYON_NUM_THREADS", "1")
        .env("POLARS_MAX_THREADS", "1")
        .spawn()
        .map_err(|error| format!("cannot start a worker: {error}"))
}

/// A worker that was watched.
struct Watched {
    end: End,
    /// Of the processor's time.
    used: Duration,
}

/// Waits until a worker ends, has used this much of the processor's time, or takes too much of it for one input.
fn watched(mut child: Child, folder: &Path, time: Duration) -> Result<Watched, String> {
    let (mut current, mut since, mut used) = (None, 0.0, 0.0);
    let watched = |end, used| Ok(Watched { end, used: Duration::from_secs_f64(used) });
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return watched(if status.success() { End::Done } else { End::Finding(ended(status)) }, used);
        }
        used = processor_seconds(child.id());
        let now = fs::read_to_string(folder.join(worker::NUMBER)).ok();
        if now != current {
            (current, since) = (now, used);
        }
        let takes_long = used - since > MOST_SECONDS;
        if takes_long || used > time.as_secs_f64() {
            // A worker that has ended meanwhile cannot be killed, which is as good.
            let _ = child.kill();
            child.wait().map_err(|error| error.to_string())?;
            let long = format!("it took more than {MOST_SECONDS} s of the processor's time");
            return watched(if takes_long { End::Finding(long) } else { End::TimeOver }, used);
        }
        thread::sleep(LOOK);
    }
}

fn ended(status: ExitStatus) -> String {
    format!("it ended the process ({status})")
}

/// What a process has used of the processor's time, 0 where the system does not say.
fn processor_seconds(process: u32) -> f64 {
    let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { return 0.0 };
    let after_name = stat.rsplit_once(") ").map_or("", |(_, after)| after);
    let ticks = after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}

fn number(folder: &Path) -> u64 {
    let number = fs::read_to_string(folder.join(worker::NUMBER)).ok();
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Keeps the input that was run as a file, and says how it ended.
fn report(target: &Target, folder: &Path, reason: &str) -> Result<(), String> {
    let input = fs::read(folder.join(worker::INPUT)).unwrap_or_default();
    let findings = targets::root().join("target/fuzz-findings");
    fs::create_dir_all(&findings).map_err(|error| error.to_string())?;
    let file = findings.join(format!("{}-{:016x}", target.name, hash(&input)));
    fs::write(&file, &input).map_err(|error| error.to_string())?;
    let errors = fs::read_to_string(folder.join("stderr")).unwrap_or_default();
    let said: Vec<&str> = errors.lines().rev().take(3).collect();
    println!("{}: {reason}: {}\n  {}", target.name, file.display(), said.join("\n  "));
    Ok(())
}

/// A name for bytes (64-bit FNV-1a).
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
