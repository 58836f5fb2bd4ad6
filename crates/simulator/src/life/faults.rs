//! What goes wrong within the engines of a life.

use std::{
    cell::{Cell, RefCell},
    env, fmt,
    fs::{File, OpenOptions},
    io::Write,
    process,
    str::FromStr,
    time::Duration,
};

use super::{ENGINE_FAULT, TICK, WORK, variable};

/// Something that an engine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EnginePoint {
    /// A sample has been written.
    Sample,
    /// A text has been scored.
    Score,
    /// A batch has gone forward.
    Forward,
    /// A step has been made.
    Step,
    /// A checkpoint is to be written.
    Checkpoint,
    /// A model is to be written.
    Export,
    /// A model is to be loaded.
    Load,
}

/// How it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EngineAction {
    /// The engine panics.
    Panic,
    /// The engine says that it has no memory.
    OutOfMemory,
    /// The system ends the process, since it has no memory.
    Abort,
    /// A model is written in part, then the engine fails.
    Truncated,
    /// The user asks to stop.
    Interrupt,
    /// The process is killed.
    Kill,
}

/// One fault of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EngineFault {
    pub(crate) point: EnginePoint,
    /// How many such points are passed first.
    pub(crate) after: u32,
    pub(crate) action: EngineAction,
}

const POINTS: [(EnginePoint, &str); 7] = [
    (EnginePoint::Sample, "sample"),
    (EnginePoint::Score, "score"),
    (EnginePoint::Forward, "forward"),
    (EnginePoint::Step, "step"),
    (EnginePoint::Checkpoint, "checkpoint"),
    (EnginePoint::Export, "export"),
    (EnginePoint::Load, "load"),
];

const ACTIONS: [(EngineAction, &str); 6] = [
    (EngineAction::Panic, "panic"),
    (EngineAction::OutOfMemory, "out-of-memory"),
    (EngineAction::Abort, "abort"),
    (EngineAction::Truncated, "truncated"),
    (EngineAction::Interrupt, "interrupt"),
    (EngineAction::Kill, "kill"),
];

/// The name of a value in a table of names.
fn name<T: PartialEq + Copy>(table: &'static [(T, &'static str)], of: T) -> &'static str {
    table.iter().find(|(value, _)| *value == of).map_or("", |(_, name)| name)
}

/// The value of a name in a table of names.
fn named<T: Copy>(table: &[(T, &str)], name: &str) -> Option<T> {
    table.iter().find(|(_, other)| *other == name).map(|(value, _)| *value)
}

impl fmt::Display for EnginePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(&POINTS, *self))
    }
}

impl fmt::Display for EngineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.point, self.after, name(&ACTIONS, self.action))
    }
}

impl FromStr for EngineFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let mut parts = text.split(' ');
            Some(Self {
                point: named(&POINTS, parts.next()?)?,
                after: parts.next()?.parse().ok()?,
                action: named(&ACTIONS, parts.next()?)?,
            })
        };
        read().ok_or_else(|| format!("no fault of an engine: {text}"))
    }
}

/// What the engines of a life share: the fault, the time that an answer takes, the list of what was done.
pub(crate) struct Engine {
    fault: Option<EngineFault>,
    met: Cell<u32>,
    tick: Duration,
    work: RefCell<Option<File>>,
}

impl Engine {
    pub(super) fn from_environment() -> Self {
        let work =
            env::var_os(WORK).and_then(|path| OpenOptions::new().create(true).append(true).open(path).ok());
        Self {
            fault: variable(ENGINE_FAULT),
            met: Cell::new(0),
            tick: Duration::from_micros(variable(TICK).unwrap_or(0)),
            work: RefCell::new(work),
        }
    }

    /// Writes a line into the list of what was done.
    pub(super) fn note(&self, line: &str) {
        if let Some(file) = self.work.borrow_mut().as_mut() {
            // The list is for checks alone.
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }

    /// An engine has come to a point, which took its time. What goes wrong there and does not end the process is returned.
    pub(super) fn at(&self, point: EnginePoint, what: &str) -> Option<EngineAction> {
        self.note(&format!("{point} {what}"));
        lancer_faults::advance(self.tick);
        let fault = self.fault.filter(|fault| fault.point == point)?;
        let met = self.met.get();
        self.met.set(met + 1);
        if met != fault.after {
            return None;
        }
        self.note(&format!("fault {fault}"));
        match fault.action {
            EngineAction::Panic => panic!("a scripted engine panics"),
            EngineAction::Abort => process::abort(),
            EngineAction::Interrupt => lancer_faults::raise(2),
            EngineAction::Kill => lancer_faults::raise(9),
            EngineAction::OutOfMemory | EngineAction::Truncated => {
                return Some(fault.action);
            }
        }
        None
    }
}
