//! `cargo xtask bench turns`: ONNX Runtime in lancer and in Python on the same file, which take turns of seconds.
//!
//! Where a machine's speed changes from one minute to the next, programs that run one after the other do not tell a difference
//! of some percent. Here both have loaded their model, and one stands still while the other computes.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use super::{
    measure::median,
    programs::{Programs, scratch},
    result::{Row, finish},
    rivals,
};
use crate::{
    process::Failure,
    setup::{Environment, root},
};

const THREADS: &str = "2";
/// Until lancer has moved its memory into large pages.
const WARM_UP: Duration = Duration::from_secs(15);
const TURN: Duration = Duration::from_secs(5);

/// How weights are written, and the file of a folder that Python reads.
const WEIGHTS: [(&str, &str); 2] = [("f32", "onnx/model.onnx"), ("int8", "onnx/model_int8.onnx")];
const WORK: [&str; 4] = ["prompts", "1", "8", "32"];

pub(crate) fn run(rounds: usize) -> Result<(), Failure> {
    let environment = Environment::prepare()?;
    let programs = Programs::prepare(&environment)?;
    let python = rivals::python(&environment)?;
    let mut rows = Vec::new();
    for (format, file) in WEIGHTS {
        let folder = scratch(&environment, &format!("engines-{format}.onnx-folder"));
        programs.convert(&folder, &["--to", "onnx", "--format", format])?;
        for work in WORK {
            eprintln!("{format}, {work}");
            let mut lancer = environment.command(&programs.example_path("onnx_steps"));
            let mut rival = Command::new(&python);
            rival.arg(root().join("fixtures/onnx/steps.py"));
            let start = |command: &mut Command, model: &Path| {
                Contestant::start(command.arg(model).args([THREADS, work]))
            };
            let mut ours = start(&mut lancer, &folder)?;
            let mut theirs = start(&mut rival, &folder.join(file))?;
            let (mut our_rates, mut their_rates) = (Vec::new(), Vec::new());
            for round in 0..rounds {
                // Each begins as often as the other.
                if round % 2 == 0 {
                    our_rates.push(ours.turn()?);
                    their_rates.push(theirs.turn()?);
                } else {
                    their_rates.push(theirs.turn()?);
                    our_rates.push(ours.turn()?);
                }
            }
            let setting = match work {
                "prompts" => format!("{format}, prompts"),
                samples => format!("{format}, samples at once: {samples}"),
            };
            rows.push(Row::new(setting.clone(), "lancer", our_rates.clone()));
            rows.push(Row::against(setting, "Python", their_rates, &our_rates));
        }
    }
    finish(&environment, "turns", "tokens/s", &rows)
}

/// A program that computes over and over, and stands still but for its turns.
struct Contestant {
    child: Child,
    /// Tokens a second of each prompt or step.
    rates: Receiver<f64>,
}

impl Contestant {
    /// Starts a program, and stops it where it has computed for some time.
    fn start(command: &mut Command) -> Result<Self, Failure> {
        let name = command.get_program().to_string_lossy().into_owned();
        let failed = |why: &str| Failure::new(format!("{name}: {why}"));
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| failed(&error.to_string()))?;
        let printed = child.stdout.take().ok_or_else(|| failed("its output cannot be read"))?;
        let (told, rates) = mpsc::channel();
        thread::spawn(move || {
            let lines = BufReader::new(printed).lines().map_while(Result::ok);
            for rate in lines.filter_map(|line| rate(&line)) {
                if told.send(rate).is_err() {
                    return;
                }
            }
        });
        let contestant = Self { child, rates };
        contestant.rates.recv().map_err(|_| failed("it ended and had measured nothing"))?;
        contestant.compute(WARM_UP)?;
        contestant.signal("-STOP")?;
        Ok(contestant)
    }

    /// Has it compute for a turn, and gives the median of what it measured meanwhile, in tokens a second.
    fn turn(&mut self) -> Result<f64, Failure> {
        while self.rates.try_recv().is_ok() {}
        self.signal("-CONT")?;
        // What was computed when it was stopped has the other's turn in it.
        self.rates.recv().map_err(|_| Failure::new("a program that is measured has ended"))?;
        let rates = self.compute(TURN)?;
        self.signal("-STOP")?;
        if rates.is_empty() {
            return Err(Failure::new(format!("nothing was measured in a turn of {} s", TURN.as_secs())));
        }
        Ok(median(rates))
    }

    /// What it measures in so much time.
    fn compute(&self, time: Duration) -> Result<Vec<f64>, Failure> {
        let end = Instant::now() + time;
        let mut rates = Vec::new();
        loop {
            match self.rates.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(rate) => rates.push(rate),
                Err(RecvTimeoutError::Timeout) => return Ok(rates),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::new("a program that is measured has ended"));
                }
            }
        }
    }

    fn signal(&self, signal: &str) -> Result<(), Failure> {
        let status = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::new(format!("`kill {signal}` failed ({status})"))),
            Err(error) => Err(Failure::new(format!("cannot run `kill`: {error}"))),
        }
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Of a line with tokens and seconds.
fn rate(line: &str) -> Option<f64> {
    let (tokens, seconds) = line.split_once(' ')?;
    Some(tokens.parse::<f64>().ok()? / seconds.parse::<f64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_tokens_and_seconds() {
        assert!(rate("32 0.5").is_some_and(|rate| (rate - 64.0).abs() < 1e-9));
        assert_eq!(rate("a warning"), None);
    }
}
