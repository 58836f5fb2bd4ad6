//! Troubles of a life, drawn at random.

use std::fmt;

use lancer_faults::{Action, Fault, Kinds, record::Record};

use crate::{
    damage::{Damage, Input},
    draw::Draw,
    life::{EngineAction, EngineFault, EnginePoint},
};

// Linux's error numbers and signals.
const EINTR: i32 = 4;
const EIO: i32 = 5;
const EACCES: i32 = 13;
const EXDEV: i32 = 18;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Trouble {
    Kill,
    TornWrite,
    KillInEngine,
    PowerLoss,
    Interrupt,
    Terminate,
    FullDisk,
    ShortWrites,
    SyncFails,
    RenameFails,
    RemoveFails,
    WriteFails,
    ReadOnly,
    InterruptedCalls,
    ClockJumps,
    EnginePanics,
    EngineOutOfMemory,
    EngineAborts,
    TruncatedExport,
    TwoProcesses,
    ChangedInput,
    DamagedLedger,
    DamagedCheckpoint,
    DamagedModel,
    LostFile,
}

impl Trouble {
    pub(crate) const ALL: [(Self, &'static str); 25] = [
        (Self::Kill, "kill"),
        (Self::TornWrite, "torn-write"),
        (Self::KillInEngine, "kill-in-engine"),
        (Self::PowerLoss, "power-loss"),
        (Self::Interrupt, "interrupt"),
        (Self::Terminate, "terminate"),
        (Self::FullDisk, "full-disk"),
        (Self::ShortWrites, "short-writes"),
        (Self::SyncFails, "sync-fails"),
        (Self::RenameFails, "rename-fails"),
        (Self::RemoveFails, "remove-fails"),
        (Self::WriteFails, "write-fails"),
        (Self::ReadOnly, "read-only"),
        (Self::InterruptedCalls, "interrupted-calls"),
        (Self::ClockJumps, "clock-jumps"),
        (Self::EnginePanics, "engine-panics"),
        (Self::EngineOutOfMemory, "engine-out-of-memory"),
        (Self::EngineAborts, "engine-aborts"),
        (Self::TruncatedExport, "truncated-export"),
        (Self::TwoProcesses, "two-processes"),
        (Self::ChangedInput, "changed-input"),
        (Self::DamagedLedger, "damaged-ledger"),
        (Self::DamagedCheckpoint, "damaged-checkpoint"),
        (Self::DamagedModel, "damaged-model"),
        (Self::LostFile, "lost-file"),
    ];

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(trouble, _)| *trouble == self).map_or("", |(_, name)| name)
    }

    /// The kind of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, other)| *other == name).map(|(trouble, _)| *trouble)
    }
}

/// What befalls one life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incident {
    pub(crate) trouble: Trouble,
    /// In its system calls.
    pub(crate) faults: Vec<Fault>,
    /// In its engines.
    pub(crate) engine: Option<EngineFault>,
    /// To its files, before it begins.
    pub(crate) damage: Option<Damage>,
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.trouble.name())?;
        for fault in &self.faults {
            write!(f, " [{fault}]")?;
        }
        if let Some(engine) = &self.engine {
            write!(f, " [{engine}]")?;
        }
        if let Some(damage) = &self.damage {
            write!(f, " [{damage}]")?;
        }
        Ok(())
    }
}

/// The parts of a run's folder, by what their files' paths contain.
const PARTS: [&str; 8] = ["", "", "", "ledger.sqlite", "models/", "checkpoints", "exports/", "report.html"];

impl Incident {
    /// Draws a trouble of this kind. `calls` are those of an uninterrupted run, by which it knows how many there are.
    #[expect(clippy::too_many_lines, reason = "an arm for each trouble, which have nothing in common")]
    pub(crate) fn draw(trouble: Trouble, calls: &[Record], draw: &mut Draw) -> Self {
        let mut incident = Self { trouble, faults: Vec::new(), engine: None, damage: None };
        match trouble {
            Trouble::Kill => {
                let action = draw.one(&[Action::KillBefore, Action::KillAfter]);
                incident.faults.push(fault(Kinds::CHANGES, action, 1, calls, draw));
            }
            Trouble::TornWrite => {
                let action = Action::Torn(draw.below(1000) as u32);
                incident.faults.push(fault(Kinds::WRITE, action, 1, calls, draw));
            }
            Trouble::PowerLoss => {
                incident.faults.push(fault(Kinds::CHANGES, Action::KillBefore, 1, calls, draw));
            }
            Trouble::Interrupt | Trouble::Terminate => {
                let signal = if trouble == Trouble::Interrupt { SIGINT } else { SIGTERM };
                if draw.below(2) == 0 {
                    incident.faults.push(fault(Kinds::CHANGES, Action::Signal(signal), 1, calls, draw));
                } else {
                    incident.engine = Some(engine(None, EngineAction::Interrupt, draw));
                }
            }
            Trouble::FullDisk => {
                let times = draw.one(&[1, 3, 20, u32::MAX]);
                incident.faults.push(fault(Kinds::GROW, Action::Fail(ENOSPC), times, calls, draw));
                if draw.below(2) == 0 {
                    // The last bytes of the disk take a part of a write.
                    let last = Fault { times: 1, action: Action::Short(300), ..incident.faults[0].clone() };
                    incident.faults[0].after += 1;
                    incident.faults.insert(0, last);
                }
            }
            Trouble::ShortWrites => {
                let times = draw.one(&[1, 5, u32::MAX]);
                let action = Action::Short(draw.one(&[1, 300, 999]));
                incident.faults.push(fault(Kinds::WRITE, action, times, calls, draw));
            }
            Trouble::SyncFails => {
                let times = draw.one(&[1, u32::MAX]);
                incident.faults.push(fault(Kinds::SYNC, Action::Fail(EIO), times, calls, draw));
            }
            Trouble::RenameFails => {
                let error = draw.one(&[EIO, EACCES, EXDEV, ENOSPC]);
                incident.faults.push(fault(Kinds::RENAME, Action::Fail(error), 1, calls, draw));
            }
            Trouble::RemoveFails => {
                let error = draw.one(&[EIO, EACCES]);
                let times = draw.one(&[1, u32::MAX]);
                incident.faults.push(fault(Kinds::REMOVE, Action::Fail(error), times, calls, draw));
            }
            Trouble::WriteFails => {
                let times = draw.one(&[1, 4, u32::MAX]);
                incident.faults.push(fault(Kinds::WRITE, Action::Fail(EIO), times, calls, draw));
            }
            Trouble::ReadOnly => {
                let kinds = Kinds(Kinds::CHANGES.0 & !Kinds::WRITE.0 & !Kinds::SYNC.0);
                let mut whole = fault(kinds, Action::Fail(EROFS), u32::MAX, calls, draw);
                if draw.below(2) == 0 {
                    whole.after = 0;
                }
                whole.within.clear();
                incident.faults.push(whole);
            }
            Trouble::InterruptedCalls => {
                let kinds = draw.one(&[
                    Kinds::READ,
                    Kinds::WRITE,
                    Kinds::OPEN,
                    Kinds::READ.and(Kinds::WRITE).and(Kinds::OPEN).and(Kinds::TRUNCATE),
                ]);
                incident.faults.push(fault(kinds, Action::Fail(EINTR), 1, calls, draw));
                // And now and then again.
                for _ in 0..3 {
                    incident.faults.push(fault(kinds, Action::Fail(EINTR), 1, calls, draw));
                }
            }
            Trouble::ClockJumps => {
                for _ in 0..2 {
                    let jump = Action::Jump(draw.one(&[250, 5_000, 3_600_000, 86_400_000 * 400]));
                    incident.faults.push(fault(Kinds::CHANGES, jump, 1, calls, draw));
                }
            }
            Trouble::TwoProcesses => {
                incident.faults.push(fault(Kinds::CHANGES, Action::Pause, 1, calls, draw));
            }
            Trouble::KillInEngine => incident.engine = Some(engine(None, EngineAction::Kill, draw)),
            Trouble::EnginePanics => incident.engine = Some(engine(None, EngineAction::Panic, draw)),
            Trouble::EngineOutOfMemory => {
                incident.engine = Some(engine(None, EngineAction::OutOfMemory, draw));
            }
            Trouble::EngineAborts => incident.engine = Some(engine(None, EngineAction::Abort, draw)),
            Trouble::TruncatedExport => {
                incident.engine = Some(engine(Some(EnginePoint::Export), EngineAction::Truncated, draw));
            }
            Trouble::ChangedInput => {
                let input = draw.one(&[Input::Seeds, Input::Model, Input::Task, Input::TaskData]);
                incident.damage = Some(Damage::Changed(input));
            }
            Trouble::DamagedLedger => incident.damage = Some(flip("ledger.sqlite", draw)),
            Trouble::DamagedCheckpoint => incident.damage = Some(flip("checkpoints/", draw)),
            Trouble::DamagedModel => incident.damage = Some(flip("models/m", draw)),
            Trouble::LostFile => {
                let within = draw.one(&["ledger.sqlite", "models/m", "checkpoints/", "run.toml"]);
                incident.damage = Some(Damage::Lost { within, which: draw.number() });
            }
        }
        incident
    }
}

fn flip(within: &'static str, draw: &mut Draw) -> Damage {
    Damage::Flipped { within, which: draw.number(), place: draw.number(), bit: draw.below(8) as u8 }
}

/// A fault at some call of an uninterrupted run.
fn fault(kinds: Kinds, action: Action, times: u32, calls: &[Record], draw: &mut Draw) -> Fault {
    let within = draw.one(&PARTS).to_owned();
    let count = |within: &str| {
        let matches = |call: &&Record| {
            kinds_of(call).meets(kinds) && (call.path.contains(within) || call.to.contains(within))
        };
        calls.iter().filter(matches).count() as u64
    };
    let (within, count) = match count(&within) {
        0 => (String::new(), count("")),
        some => (within, some),
    };
    Fault { kinds, within, after: draw.early(count) as u32, times, action }
}

fn kinds_of(call: &Record) -> Kinds {
    use lancer_faults::record::Kind;
    match call.kind {
        Kind::Open | Kind::OpenEmpty => Kinds::OPEN.and(Kinds::GROW),
        // Calls that read are not written down; there are as many as calls that write, more or less.
        Kind::Read | Kind::Write => Kinds::WRITE.and(Kinds::GROW).and(Kinds::READ),
        Kind::Sync => Kinds::SYNC,
        Kind::Truncate => Kinds::TRUNCATE,
        Kind::Rename | Kind::Link => Kinds::RENAME,
        Kind::Remove | Kind::RemoveFolder => Kinds::REMOVE,
        Kind::Folder => Kinds::FOLDER.and(Kinds::GROW),
    }
}

/// A fault at some point of the engines, of which an uninterrupted run has about so many.
fn engine(point: Option<EnginePoint>, action: EngineAction, draw: &mut Draw) -> EngineFault {
    let points = [
        (EnginePoint::Sample, 120),
        (EnginePoint::Score, 60),
        (EnginePoint::Forward, 60),
        (EnginePoint::Step, 40),
        (EnginePoint::Checkpoint, 16),
        (EnginePoint::Export, 6),
        (EnginePoint::Load, 12),
    ];
    let point = point.unwrap_or_else(|| draw.one(&points).0);
    let count = points.iter().find(|(other, _)| *other == point).map_or(1, |(_, count)| *count);
    EngineFault { point, after: draw.early(count) as u32, action }
}
