//! One run from its first life to its end.

mod checks;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use lancer_faults::{Clock, Plan, VARIABLE, record};

use self::checks::{Before, Doings};
use crate::{
    damage::Damage,
    draw::Draw,
    ending::Ending,
    folder::{self, Files},
    incident::{Incident, Trouble},
    invariant::{Broken, Invariant},
    ledger, life, power,
    process::{self, Life},
    reference::{self, Reference},
    world::{self, World},
};

/// Where a run is made: its inputs, its folder, and what is written down of it.
pub(crate) struct Place {
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
}

/// A life that has ended.
pub(crate) struct Lived {
    pub(crate) ending: Ending,
    /// What its engines did.
    doings: Doings,
}

impl Place {
    pub(crate) fn inputs(&self) -> PathBuf {
        self.folder.join("inputs")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.folder.join("run")
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        self.folder.join("scratch")
    }

    /// Where the calls of the last life are written down.
    pub(crate) fn record(&self) -> PathBuf {
        self.scratch().join("record")
    }

    /// Makes it new: inputs, and no run.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        fs::create_dir_all(self.scratch())?;
        world::write_inputs(&self.inputs())
    }

    /// The program, to be started for a life.
    fn command(
        &self,
        world: World,
        seed: u64,
        tick: u64,
        incident: Option<&Incident>,
        data: bool,
    ) -> Command {
        let plan = Plan {
            folder: self.run(),
            record: Some(self.record()),
            with_data: data,
            clock: Clock::Virtual,
            seed: Some(seed),
            faults: incident.map(|incident| incident.faults.clone()).unwrap_or_default(),
        };
        let mut command = Command::new(&self.program);
        command.arg("life").args([self.inputs(), self.run()]).arg(world.to_string());
        command.env(VARIABLE, plan.to_string()).env(life::TICK, tick.to_string());
        command.env(life::WORK, self.scratch().join("work")).env("RAYON_NUM_THREADS", "1");
        command.env("POLARS_MAX_THREADS", "1").env("RUST_BACKTRACE", "0");
        match incident.and_then(|incident| incident.engine) {
            Some(fault) => command.env(life::ENGINE_FAULT, fault.to_string()),
            None => command.env_remove(life::ENGINE_FAULT),
        };
        command
    }

    /// Lives one life.
    pub(crate) fn live(
        &self,
        world: World,
        seed: u64,
        tick: u64,
        incident: Option<&Incident>,
        data: bool,
    ) -> io::Result<Lived> {
        self.forget_doings()?;
        let mut command = self.command(world, seed, tick, incident, data);
        let mut life = process::start(&mut command, &self.scratch().join("errors"))?;
        self.lived(&mut life)
    }

    fn forget_doings(&self) -> io::Result<()> {
        for file in [self.scratch().join("work"), self.record()] {
            if file.exists() {
                fs::remove_file(file)?;
            }
        }
        Ok(())
    }

    fn lived(&self, life: &mut Life) -> io::Result<Lived> {
        let ending = life.wait()?;
        let work = fs::read(self.scratch().join("work")).unwrap_or_default();
        Ok(Lived { ending, doings: Doings::read(&String::from_utf8_lossy(&work)) })
    }
}

/// The uninterrupted runs.
pub(crate) type References = BTreeMap<World, Reference>;

/// A run to be made: its world and the troubles of its first lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Course {
    pub(crate) seed: u64,
    pub(crate) world: World,
    /// Microseconds that an answer of an engine takes: how many rows are written together depends on it.
    tick: u64,
    pub(crate) incidents: Vec<Incident>,
}

/// What has happened in a run, a line for each life, and what was broken.
pub(crate) struct Report {
    pub(crate) lines: Vec<String>,
    pub(crate) lives: usize,
    pub(crate) result: Result<(), Broken>,
}

/// What is on its way through a run.
struct Passage<'a> {
    course: &'a Course,
    place: &'a Place,
    reference: &'a Reference,
    lines: Vec<String>,
    lives: usize,
    /// What a damaged run was before, and which file was damaged.
    undamaged: Option<(Files, String)>,
    /// Whether what was on the disk may have gone with the power.
    has_lost_power: bool,
}

impl Course {
    /// The run of a seed, with troubles of these kinds.
    pub(crate) fn draw(seed: u64, troubles: &[Trouble], references: &References) -> Self {
        let mut draw = Draw::new(seed, "torture");
        let world = draw.one(&World::ALL);
        let tick = draw.one(&[100, 3_000, 20_000, 60_000, 250_000]);
        let calls = references.get(&world).map(|reference| reference.calls.as_slice()).unwrap_or_default();
        let count = draw.one(&[1, 1, 2, 3, 4]);
        let incidents = (0..count).map(|_| Incident::draw(draw.one(troubles), calls, &mut draw)).collect();
        Self { seed, world, tick, incidents }
    }

    /// Makes the run.
    pub(crate) fn run(&self, place: &Place, reference: &Reference) -> Report {
        let mut passage = Passage {
            course: self,
            place,
            reference,
            lines: Vec::new(),
            lives: 0,
            undamaged: None,
            has_lost_power: false,
        };
        let result = passage.go();
        Report { lines: passage.lines, lives: passage.lives, result }
    }
}

/// What the disk or the system does that no invariant speaks of.
#[expect(clippy::needless_pass_by_value, reason = "it is for `map_err`")]
fn outside(error: io::Error) -> Broken {
    Broken::new(Invariant::GoesOn, format!("the simulator itself: {error}"))
}

impl Passage<'_> {
    fn go(&mut self) -> Result<(), Broken> {
        self.place.prepare().map_err(outside)?;
        let mut is_finished = false;
        for incident in &self.course.incidents {
            is_finished = self.live(Some(incident))?;
            if is_finished {
                break;
            }
        }
        self.finish(is_finished)?;
        // Rows of finished stages are not read again, so a bit of them that was flipped comes to light here.
        if let Some(found) = reference::checked(self.place)?
            && let Some((files, _)) = self.undamaged.take()
        {
            self.lines.push(format!("lancer check: {found}"));
            folder::write(&self.place.run(), &files).map_err(outside)?;
            self.finish(false)?;
        }
        self.put_back_what_nobody_missed()?;
        self.reference.compare(self.place)?;
        // Once more, it does nothing.
        let again = self.start(None, false)?;
        if again.ending != Ending::Finished {
            return Err(Broken::new(Invariant::GoesOn, format!("the finished run, again: {}", again.ending)));
        }
        match again.doings.first_work() {
            Some(work) => {
                Err(Broken::new(Invariant::NothingTwice, format!("the finished run, again: {work}")))
            }
            None => self.reference.compare(self.place),
        }
    }

    /// A life without trouble finishes the run; where a damage comes to light in it, another.
    fn finish(&mut self, mut is_finished: bool) -> Result<(), Broken> {
        for _ in 0..2 {
            if !is_finished {
                is_finished = self.live(None)?;
            }
        }
        if is_finished {
            return Ok(());
        }
        Err(Broken::new(Invariant::GoesOn, "two lives without trouble did not finish the run"))
    }

    /// A model before the last that is gone is no harm once nothing needs it: the user removed it.
    fn put_back_what_nobody_missed(&self) -> Result<(), Broken> {
        let Some((files, file)) = &self.undamaged else { return Ok(()) };
        let path = self.place.run().join(file);
        let is_older = file.starts_with("models/m0") || file.starts_with("models/m1");
        if !is_older || path.exists() {
            return Ok(());
        }
        let Some(folder) = path.parent() else { return Ok(()) };
        // What only an iteration needed is gone with it.
        if folder.exists() && self.reference.has(file) {
            fs::write(path, &files[file]).map_err(outside)?;
        }
        Ok(())
    }

    fn start(&mut self, incident: Option<&Incident>, with_data: bool) -> Result<Lived, Broken> {
        self.lives += 1;
        let seed = self.course.seed.wrapping_mul(1000) + self.lives as u64;
        self.place.live(self.course.world, seed, self.course.tick, incident, with_data).map_err(outside)
    }

    fn before(&self) -> Result<Before, Broken> {
        let rows = ledger::rows(&self.place.run(), &self.place.inputs(), &self.place.scratch())
            .map_err(|error| Broken::new(Invariant::LedgerWhole, error))?;
        Ok(Before { rows, files: folder::read(&self.place.run()).map_err(outside)? })
    }

    /// A life with a trouble or without one; whether it finished the run.
    fn live(&mut self, incident: Option<&Incident>) -> Result<bool, Broken> {
        let before = self.before()?;
        let damaged = match incident.and_then(|incident| incident.damage.as_ref()) {
            Some(damage) if before.has_begun() => {
                let (run, inputs) = (self.place.run(), self.place.inputs());
                damage.apply(&run, &inputs, &before.files).map_err(outside)?
            }
            _ => None,
        };
        let trouble = incident.map(|incident| incident.trouble);
        let lived = match trouble {
            Some(Trouble::TwoProcesses) => self.two_processes(incident)?,
            _ => self.start(incident, trouble == Some(Trouble::PowerLoss))?,
        };
        let name = incident.map_or("no trouble".to_owned(), ToString::to_string);
        let file = damaged.as_ref().map(|file| format!(" ({file})")).unwrap_or_default();
        self.lines.push(format!("{name}{file}: {}", lived.ending));
        if let Some(file) = damaged {
            if let Some(Incident { damage: Some(Damage::Changed(_)), .. }) = incident {
                return self.changed(&file, &lived.ending);
            }
            self.undamaged.get_or_insert((before.files.clone(), file));
        }
        let is_doubtful = self.undamaged.is_some() || self.has_lost_power;
        if let Ending::Failed(text) = &lived.ending
            && self.undamaged.is_some()
        {
            return self.noticed(text);
        }
        checks::ending(trouble, &lived.ending, &self.place.run(), &self.place.inputs())?;
        if !is_doubtful {
            checks::nothing_twice(&before, &lived.doings)?;
        }
        if trouble == Some(Trouble::PowerLoss) && matches!(lived.ending, Ending::Killed(_)) {
            let calls = record::read(&self.place.record()).map_err(outside)?;
            let mut draw = Draw::new(self.course.seed, &format!("power {}", self.lives));
            let left = power::files_left(&before.files, &calls, &mut draw);
            folder::write(&self.place.run(), &left).map_err(outside)?;
            self.has_lost_power = true;
            return Ok(false);
        }
        if !is_doubtful {
            let after = ledger::rows(&self.place.run(), &self.place.inputs(), &self.place.scratch())
                .map_err(|error| Broken::new(Invariant::LedgerWhole, error))?;
            checks::nothing_lost(&before, &after)?;
        }
        Ok(lived.ending == Ending::Finished)
    }

    /// An input is another: the run must say so; then it is put back.
    fn changed(&mut self, file: &str, ending: &Ending) -> Result<bool, Broken> {
        world::write_inputs(&self.place.inputs()).map_err(outside)?;
        match ending {
            Ending::Failed(text) if text.contains(file) && checks::advises(text) => Ok(false),
            Ending::Failed(text) => {
                Err(Broken::new(Invariant::SaysWhat, format!("{file} was changed; {text}")))
            }
            other => Err(Broken::new(Invariant::NoticesChange, format!("{file} was changed; {other}"))),
        }
    }

    /// A damage has come to light: the error must name the file or its folder and say what to do, and with the file put back the
    /// run goes on.
    fn noticed(&mut self, text: &str) -> Result<bool, Broken> {
        let Some((files, file)) = self.undamaged.take() else { return Ok(false) };
        let folder = Path::new(&file).parent().and_then(Path::to_str).unwrap_or_default();
        // A ledger is one file and what SQLite keeps beside it.
        let file_named = file.strip_suffix("-wal").or(file.strip_suffix("-shm")).unwrap_or(&file);
        if !(text.contains(file_named) || !folder.is_empty() && text.contains(folder))
            || !checks::advises(text)
        {
            return Err(Broken::new(Invariant::SaysWhat, format!("{file} was damaged; {text}")));
        }
        folder::write(&self.place.run(), &files).map_err(outside)?;
        Ok(false)
    }

    /// A second process comes while the first is in the middle of a call.
    fn two_processes(&mut self, incident: Option<&Incident>) -> Result<Lived, Broken> {
        self.place.forget_doings().map_err(outside)?;
        let (world, seed, tick) = (self.course.world, self.course.seed, self.course.tick);
        let errors = |name: &str| self.place.scratch().join(name);
        let mut first = self.place.command(world, seed, tick, incident, false);
        let mut first = process::start(&mut first, &errors("errors")).map_err(outside)?;
        self.lives += 1;
        if first.wait_until_paused() {
            let result = self.second();
            first.go_on().map_err(outside)?;
            if result.is_err() {
                first.kill().map_err(outside)?;
                first.wait().map_err(outside)?;
                result?;
            }
        }
        self.place.lived(&mut first).map_err(outside)
    }

    fn second(&mut self) -> Result<(), Broken> {
        let before = folder::read(&self.place.run()).map_err(outside)?;
        let mut command = Command::new(&self.place.program);
        command.arg("life").args([self.place.inputs(), self.place.run()]).arg(self.course.world.to_string());
        command.env_remove(VARIABLE);
        let mut second =
            process::start(&mut command, &self.place.scratch().join("errors-2")).map_err(outside)?;
        self.lives += 1;
        let ending = second.wait().map_err(outside)?;
        let after = folder::read(&self.place.run()).map_err(outside)?;
        let is_told = matches!(&ending, Ending::Failed(text) if text.contains("another process"));
        // Until the first process has taken the lock, the second may be the one that works.
        let calls = record::read(&self.place.record()).unwrap_or_default();
        let holds = calls.iter().any(|call| call.path.strip_suffix("ledger.lock").is_some());
        if holds && !is_told {
            return Err(Broken::new(Invariant::OneProcess, format!("the second process: {ending}")));
        }
        let ours = |files: &Files| -> Files {
            files
                .iter()
                .filter(|(name, _)| !name.ends_with("-shm"))
                .map(|(n, b)| (n.clone(), b.clone()))
                .collect()
        };
        if is_told && ours(&before) != ours(&after) {
            return Err(Broken::new(Invariant::OneProcess, "the second process changed files"));
        }
        Ok(())
    }
}
