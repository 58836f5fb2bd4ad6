//! The scalars of a run in files that other tools show, written from its ledger while it goes on.
//!
//! The files are made anew when a session begins and hold all that the ledger has by then, so that they are the same however often
//! the run was stopped.

mod tensorboard;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use lancer_eval::weighted_mean;
use serde_json::json;

use crate::{
    error::EvolveError,
    files,
    ledger::{Ledger, Phase},
    progress::Progress,
    stage::Stage,
};

/// New rows are looked for so often.
const EVERY: Duration = Duration::from_secs(2);

/// The form of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackFormat {
    /// Event files, in `track/tensorboard` within the run's folder.
    TensorBoard,
    /// A line of JSON for each scalar, `track/scalars.jsonl`.
    Jsonl,
}

/// A number at a step.
struct Scalar {
    /// `1/sft/loss`: the iteration, the phase, what it is.
    tag: String,
    step: u64,
    value: f64,
}

/// Writes the scalars of a run as its rows are written.
pub struct Tracker {
    ledger: Ledger,
    file: File,
    path: PathBuf,
    format: TrackFormat,
    /// The last step of each phase, and of its held-out examples, that is written.
    written: BTreeMap<(u32, &'static str, bool), u64>,
    /// The models whose evaluation is written.
    evaluated: u32,
    looked: Instant,
}

impl Tracker {
    /// Begins the file of the run in a folder; what an earlier session wrote of the same form is replaced.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn begin(run: &Path, format: TrackFormat) -> Result<Self, EvolveError> {
        let track = run.join("track");
        let folder = if format == TrackFormat::TensorBoard { track.join("tensorboard") } else { track };
        let name = match format {
            TrackFormat::TensorBoard => {
                files::remove(&folder)?;
                // TensorBoard takes what has this in its name.
                format!("events.out.tfevents.{}.lancer", since_1970().as_secs())
            }
            TrackFormat::Jsonl => "scalars.jsonl".to_owned(),
        };
        let path = folder.join(name);
        let failed = |source| EvolveError::Io { action: "write", path: path.clone(), source };
        fs::create_dir_all(&folder).map_err(failed)?;
        let mut file = File::create(&path).map_err(failed)?;
        if format == TrackFormat::TensorBoard {
            file.write_all(&tensorboard::version(since_1970().as_secs_f64())).map_err(failed)?;
        }
        let ledger = Ledger::read(&run.join(crate::Run::LEDGER))?;
        let (written, looked) = (BTreeMap::new(), Instant::now());
        Ok(Self { ledger, file, path, format, written, evaluated: 0, looked })
    }

    /// Writes what is new in the ledger.
    ///
    /// # Errors
    /// Where the ledger cannot be read or the file cannot be written.
    pub fn update(&mut self) -> Result<(), EvolveError> {
        self.looked = Instant::now();
        let ledger = &self.ledger;
        let last = ledger.value("SELECT max(iteration) FROM timing", [])?.flatten().unwrap_or(0);
        let mut scalars = Vec::new();
        for iteration in 1..=last {
            for phase in [Phase::Sft, Phase::Preference] {
                steps(ledger, (iteration, phase), &mut self.written, &mut scalars)?;
            }
        }
        while self.evaluated <= last && ledger.is_finished(self.evaluated, Stage::Evaluate)? {
            let mut tasks: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
            for row in ledger.evaluations(self.evaluated)? {
                tasks.entry(row.task).or_default().push((row.value, row.weight));
            }
            scalars.extend(tasks.into_iter().map(|(task, values)| Scalar {
                tag: format!("evaluation/{task}"),
                step: self.evaluated.into(),
                value: weighted_mean(values.into_iter()),
            }));
            self.evaluated += 1;
        }
        let mut bytes = Vec::new();
        for scalar in &scalars {
            match self.format {
                TrackFormat::TensorBoard => {
                    let wall = since_1970().as_secs_f64();
                    bytes.extend(tensorboard::scalar(wall, scalar.step, &scalar.tag, scalar.value as f32));
                }
                TrackFormat::Jsonl => {
                    let line = json!({ "tag": scalar.tag, "step": scalar.step, "value": scalar.value });
                    bytes.extend(format!("{line}\n").into_bytes());
                }
            }
        }
        let written = self.file.write_all(&bytes).and_then(|()| self.file.flush());
        written.map_err(|source: io::Error| EvolveError::Io {
            action: "write",
            path: self.path.clone(),
            source,
        })
    }
}

/// The scalars of the rows that are not in `written` yet.
fn steps(
    ledger: &Ledger,
    (iteration, phase): (u32, Phase),
    written: &mut BTreeMap<(u32, &'static str, bool), u64>,
    scalars: &mut Vec<Scalar>,
) -> Result<(), EvolveError> {
    let name = phase.as_str();
    let mut add = |step: u64, what: &str, value: f64| {
        scalars.push(Scalar { tag: format!("{iteration}/{name}/{what}"), step, value });
    };
    let after = written.entry((iteration, name, false)).or_insert(0);
    for row in ledger.steps(iteration, phase)? {
        if row.step <= *after {
            continue;
        }
        *after = row.step;
        add(row.step, "loss", row.loss);
        add(row.step, "learning_rate", row.learning_rate);
        add(row.step, "gradient_norm", row.gradient_norm);
        if let Some(pairs) = row.preference {
            add(row.step, "chosen_reward", pairs.chosen_reward);
            add(row.step, "rejected_reward", pairs.rejected_reward);
            add(row.step, "reward_margin", pairs.reward_margin);
            add(row.step, "accuracy", pairs.accuracy);
        }
    }
    // The first is at step 0.
    let after = written.entry((iteration, name, true)).or_insert(0);
    for row in ledger.held_out(iteration, phase)? {
        if row.step + 1 > *after {
            *after = row.step + 1;
            add(row.step, "held_out_loss", row.loss);
        }
    }
    Ok(())
}

/// Passes all progress on to another watcher, and writes the ledger's new rows into a file.
pub struct Tracked<'a> {
    watcher: &'a mut dyn Progress,
    tracker: Tracker,
}

impl<'a> Tracked<'a> {
    /// With a file that was begun.
    pub fn new(watcher: &'a mut dyn Progress, tracker: Tracker) -> Self {
        Self { watcher, tracker }
    }

    /// Writes the last rows.
    ///
    /// # Errors
    /// As [`Tracker::update`].
    pub fn end(mut self) -> Result<(), EvolveError> {
        self.tracker.update()
    }

    /// A run goes on where its file cannot be written; that is said.
    fn look(&mut self) {
        if let Err(error) = self.tracker.update() {
            self.watcher.note(&format!("the scalars were not written: {error}"));
        }
    }
}

impl Progress for Tracked<'_> {
    fn begin(&mut self, iteration: u32, stage: Stage, unit: &'static str, done: usize, total: usize) {
        self.watcher.begin(iteration, stage, unit, done, total);
    }

    fn advance(&mut self, units: usize, tokens: usize) -> ControlFlow<()> {
        if self.tracker.looked.elapsed() >= EVERY {
            self.look();
        }
        self.watcher.advance(units, tokens)
    }

    fn end(&mut self) {
        self.watcher.end();
        self.look();
    }

    fn note(&mut self, text: &str) {
        self.watcher.note(text);
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
