//! What is to go wrong in one life of a program, as text.

use std::{fmt, path::PathBuf, str::FromStr};

/// The environment variable that holds a plan.
pub const VARIABLE: &str = "LANCER_FAULTS";

/// What is to go wrong in one life of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Only calls on files within this folder are counted.
    pub folder: PathBuf,
    /// Where calls are written down; outside of `folder`.
    pub record: Option<PathBuf>,
    /// Whether the bytes that are written are written down too.
    pub with_data: bool,
    /// Whose time it is.
    pub clock: Clock,
    /// Decides what the system's source of random numbers gives; `None` leaves it.
    pub seed: Option<u64>,
    /// What goes wrong, in the order in which a call is compared with them.
    pub faults: Vec<Fault>,
}

/// Whose time a program sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The system's.
    Real,
    /// A time that passes only where the program or the plan says so.
    Virtual,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The calls that it may hit.
    pub kinds: Kinds,
    /// What a call's path within the folder must contain; empty for every file.
    pub within: String,
    /// How many such calls are left alone first.
    pub after: u32,
    /// How many are hit from then on.
    pub times: u32,
    /// What happens to these.
    pub action: Action,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The process is killed in its place.
    KillBefore,
    /// The process is killed after it.
    KillAfter,
    /// So many thousandths of the bytes are written, then the process is killed.
    Torn(u32),
    /// It fails with this error number.
    Fail(i32),
    /// So many thousandths of the bytes are read or written, at least one, and the caller is told so.
    Short(u32),
    /// The process gets this signal, then the call is made.
    Signal(i32),
    /// The process stops until it gets SIGCONT, then makes the call.
    Pause,
    /// So many milliseconds pass at once, then the call is made.
    Jump(u64),
}

/// A set of kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(pub u16);

impl Kinds {
    /// Opening a file to write it.
    pub const OPEN: Self = Self(1);
    /// Reading from a file.
    pub const READ: Self = Self(2);
    /// Writing to a file.
    pub const WRITE: Self = Self(4);
    /// `fsync` and its like.
    pub const SYNC: Self = Self(8);
    /// Changing a file's length.
    pub const TRUNCATE: Self = Self(16);
    /// Renaming and linking.
    pub const RENAME: Self = Self(32);
    /// Removing a file or a folder.
    pub const REMOVE: Self = Self(64);
    /// Making a folder.
    pub const FOLDER: Self = Self(128);
    /// Whatever takes room on the disk: new files and folders, and writes that make a file longer.
    pub const GROW: Self = Self(256);

    /// Every call that changes something on the disk.
    pub const CHANGES: Self = Self(1 | 4 | 8 | 16 | 32 | 64 | 128);

    const NAMES: [(Self, &'static str); 9] = [
        (Self::OPEN, "open"),
        (Self::READ, "read"),
        (Self::WRITE, "write"),
        (Self::SYNC, "sync"),
        (Self::TRUNCATE, "truncate"),
        (Self::RENAME, "rename"),
        (Self::REMOVE, "remove"),
        (Self::FOLDER, "folder"),
        (Self::GROW, "grow"),
    ];

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets have a kind in common.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A plan's text could not be read.
#[derive(Debug)]
pub struct PlanError(String);

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a plan of faults has the line `{}`, which means nothing", self.0)
    }
}

impl std::error::Error for PlanError {}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "folder {}", self.folder.display())?;
        if let Some(record) = &self.record {
            writeln!(f, "record {}", record.display())?;
        }
        if self.with_data {
            writeln!(f, "with-data ")?;
        }
        if self.clock == Clock::Virtual {
            writeln!(f, "virtual-clock ")?;
        }
        if let Some(seed) = self.seed {
            writeln!(f, "seed {seed}")?;
        }
        self.faults.iter().try_for_each(|fault| writeln!(f, "fault {fault}"))
    }
}

impl FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let mut plan = Self {
            folder: PathBuf::new(),
            record: None,
            with_data: false,
            clock: Clock::Real,
            seed: None,
            faults: Vec::new(),
        };
        for line in text.lines() {
            let wrong = || PlanError(line.into());
            let (name, value) = line.split_once(' ').ok_or_else(wrong)?;
            match name {
                "folder" => plan.folder = value.into(),
                "record" => plan.record = Some(value.into()),
                "with-data" => plan.with_data = true,
                "virtual-clock" => plan.clock = Clock::Virtual,
                "seed" => plan.seed = Some(value.parse().map_err(|_| wrong())?),
                "fault" => plan.faults.push(value.parse().map_err(|_: PlanError| wrong())?),
                _ => return Err(wrong()),
            }
        }
        Ok(plan)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kinds, within, after, times, action } = self;
        write!(f, "{kinds} {after} {times} {action} {within}")
    }
}

impl FromStr for Fault {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let wrong = || PlanError(text.into());
        let mut parts = text.splitn(5, ' ');
        let mut next = || parts.next().ok_or_else(wrong);
        Ok(Self {
            kinds: next()?.parse()?,
            after: next()?.parse().map_err(|_| wrong())?,
            times: next()?.parse().map_err(|_| wrong())?,
            action: next()?.parse()?,
            within: next()?.into(),
        })
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> =
            Self::NAMES.iter().filter(|(kind, _)| self.meets(*kind)).map(|(_, name)| *name).collect();
        f.write_str(&names.join("+"))
    }
}

impl FromStr for Kinds {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        text.split('+').try_fold(Self(0), |kinds, name| {
            let found = Self::NAMES.iter().find(|(_, other)| *other == name);
            found.map(|(kind, _)| kinds.and(*kind)).ok_or_else(|| PlanError(text.into()))
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillBefore => f.write_str("kill-before"),
            Self::KillAfter => f.write_str("kill-after"),
            Self::Torn(part) => write!(f, "torn:{part}"),
            Self::Fail(error) => write!(f, "fail:{error}"),
            Self::Short(part) => write!(f, "short:{part}"),
            Self::Signal(signal) => write!(f, "signal:{signal}"),
            Self::Pause => f.write_str("pause"),
            Self::Jump(milliseconds) => write!(f, "jump:{milliseconds}"),
        }
    }
}

impl FromStr for Action {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        fn number<T: FromStr>(text: &str) -> Result<T, PlanError> {
            text.parse().map_err(|_| PlanError(text.into()))
        }
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        match name {
            "kill-before" => Ok(Self::KillBefore),
            "kill-after" => Ok(Self::KillAfter),
            "torn" => number(value).map(Self::Torn),
            "fail" => number(value).map(Self::Fail),
            "short" => number(value).map(Self::Short),
            "signal" => number(value).map(Self::Signal),
            "pause" => Ok(Self::Pause),
            "jump" => number(value).map(Self::Jump),
            _ => Err(PlanError(text.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Clock, Fault, Kinds, Plan};

    #[test]
    fn a_plan_reads_back() {
        let fault = |kinds, action| Fault { kinds, within: "models/m1 x".into(), after: 3, times: 9, action };
        let plan = Plan {
            folder: "/a folder/run".into(),
            record: Some("/else where".into()),
            with_data: true,
            clock: Clock::Virtual,
            seed: Some(u64::MAX),
            faults: vec![
                fault(Kinds::CHANGES, Action::KillBefore),
                fault(Kinds::GROW, Action::Fail(28)),
                fault(Kinds::WRITE.and(Kinds::READ), Action::Short(500)),
                fault(Kinds::WRITE, Action::Torn(1)),
                fault(Kinds::OPEN, Action::Signal(15)),
                fault(Kinds::SYNC, Action::Jump(3_600_000)),
                Fault { within: String::new(), ..fault(Kinds::FOLDER, Action::Pause) },
            ],
        };
        let text = plan.to_string();
        assert_eq!(text.parse::<Plan>().unwrap(), plan, "{text}");
        assert!("folder /x\nfault write 1 1 explode ".parse::<Plan>().is_err());
    }
}
