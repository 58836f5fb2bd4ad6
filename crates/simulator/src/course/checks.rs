//! What is checked after a life.

use std::{collections::BTreeSet, path::Path};

use crate::{
    ending::Ending,
    folder::Files,
    incident::Trouble,
    invariant::{Broken, Invariant},
    ledger::{self, Tables},
};

/// What was there before a life.
pub(super) struct Before {
    pub(super) rows: Tables,
    pub(super) files: Files,
}

impl Before {
    /// Whether the run knows its inputs and has begun to work on them.
    pub(super) fn has_begun(&self) -> bool {
        self.rows.get("stage").is_some_and(|rows| !rows.is_empty())
    }

    /// The last checkpoint of a phase of training, as the number of steps.
    fn checkpoint(&self, iteration: &str, phase: &str) -> Option<u64> {
        let within = format!("models/m{iteration}-{phase}-checkpoints/step-");
        let steps = self.files.keys().filter_map(|name| {
            // A folder that is being written has another ending.
            name.strip_prefix(&within)?.split_once('/')?.0.parse().ok()
        });
        steps.max()
    }
}

/// What a life did, by the list that it wrote.
pub(crate) struct Doings {
    lines: Vec<String>,
}

impl Doings {
    pub(super) fn read(text: &str) -> Self {
        Self { lines: text.lines().map(str::to_owned).collect() }
    }

    /// The first thing that an engine made, if it made any.
    pub(super) fn first_work(&self) -> Option<&str> {
        let is_work = |line: &&String| {
            ["sample ", "score ", "forward ", "step ", "checkpoint ", "export "]
                .iter()
                .any(|start| line.starts_with(start))
        };
        self.lines.iter().find(is_work).map(String::as_str)
    }
}

/// Whether a life may end so.
pub(super) fn ending(
    trouble: Option<Trouble>,
    ending: &Ending,
    run: &Path,
    inputs: &Path,
) -> Result<(), Broken> {
    let wrong = || Err(Broken::new(Invariant::EndsAsItMust, ending.to_string()));
    match (ending, trouble) {
        (Ending::Finished, _)
        | (
            Ending::Killed(9),
            Some(Trouble::Kill | Trouble::TornWrite | Trouble::KillInEngine | Trouble::PowerLoss),
        )
        | (Ending::Killed(6), Some(Trouble::EngineAborts))
        | (Ending::Panicked(_), Some(Trouble::EnginePanics))
        | (Ending::Interrupted, Some(Trouble::Interrupt | Trouble::Terminate)) => Ok(()),
        (Ending::Failed(text), Some(trouble)) => match says(trouble) {
            None => wrong(),
            Some(Said::WhichFile) => {
                let names = [run, inputs].iter().any(|folder| text.contains(&folder.display().to_string()));
                let detail = || format!("no file is named: {text}");
                if names { Ok(()) } else { Err(Broken::new(Invariant::SaysWhat, detail())) }
            }
            Some(Said::What(words)) => {
                let detail = || format!("`{words}` is not said: {text}");
                if text.contains(words) { Ok(()) } else { Err(Broken::new(Invariant::SaysWhat, detail())) }
            }
        },
        (Ending::Failed(text), None) => {
            Err(Broken::new(Invariant::GoesOn, format!("without trouble it failed: {text}")))
        }
        _ => wrong(),
    }
}

/// What an error must say.
enum Said {
    /// The path of a file.
    WhichFile,
    /// These words.
    What(&'static str),
}

/// What the error of a trouble must say; `None` where a careful program has no error.
fn says(trouble: Trouble) -> Option<Said> {
    match trouble {
        Trouble::FullDisk
        | Trouble::SyncFails
        | Trouble::RenameFails
        | Trouble::RemoveFails
        | Trouble::WriteFails
        | Trouble::ReadOnly => Some(Said::WhichFile),
        Trouble::EngineOutOfMemory | Trouble::TruncatedExport => Some(Said::What("out of memory")),
        _ => None,
    }
}

/// Whether an error says what to do.
pub(super) fn advises(text: &str) -> bool {
    const ADVICE: [&str; 18] = [
        "start a new run",
        "put it back",
        "put them back",
        "put back",
        "put the ledger back",
        "put run.toml back",
        "put together what belongs together",
        "Put both files back",
        "the same command",
        "remove",
        "delete",
        "give another",
        "restore",
        "make room",
        "lancer check",
        "from a backup",
        "from the backup",
        "run it again",
    ];
    ADVICE.iter().any(|words| text.contains(words))
}

/// No row of before is gone or another.
pub(super) fn nothing_lost(before: &Before, after: &Tables) -> Result<(), Broken> {
    let may_change = |name: &str| name == "meta" || ledger::OF_TIME.contains(&name);
    for (name, rows) in before.rows.iter().filter(|(name, _)| !may_change(name)) {
        let found = after.get(name);
        let lost = rows.iter().find(|row| !found.is_some_and(|found| found.contains(*row)));
        if let Some(row) = lost {
            let detail = format!("table {name}: {}", ledger::shown(row));
            return Err(Broken::new(Invariant::NothingLost, detail));
        }
    }
    Ok(())
}

/// No finished stage began again, no text that was in the ledger was written again, no step of a checkpoint was made again.
pub(super) fn nothing_twice(before: &Before, doings: &Doings) -> Result<(), Broken> {
    let wrong = |detail: String| Err(Broken::new(Invariant::NothingTwice, detail));
    let column = |table: &str, place: usize| -> BTreeSet<&str> {
        let rows = before.rows.get(table).into_iter().flatten();
        rows.filter_map(|row| row.get(place)?.strip_prefix("Text(\"")?.strip_suffix("\")")).collect()
    };
    let stages: BTreeSet<(String, &str)> = before
        .rows
        .get("stage")
        .into_iter()
        .flatten()
        .filter_map(|row| {
            let iteration = row.first()?.strip_prefix("Integer(")?.strip_suffix(')')?.to_owned();
            Some((iteration, row.get(1)?.strip_prefix("Text(\"")?.strip_suffix("\")")?))
        })
        .collect();
    let texts = column("sample", 5);
    let mut stage = "";
    for line in &doings.lines {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["begin", iteration, name, done, _, unit @ ..] => {
                stage = name;
                if stages.contains(&((*iteration).to_owned(), *name)) {
                    return wrong(format!("the finished stage {name} of iteration {iteration} begins again"));
                }
                if *unit == ["steps"]
                    && let Some(saved) = before.checkpoint(iteration, name)
                    && done.parse::<u64>().is_ok_and(|done| done < saved)
                {
                    return wrong(format!(
                        "{name} of iteration {iteration} begins at step {done}, with a checkpoint of step {saved}"
                    ));
                }
            }
            ["sample", ..] if stage == "generate" => {
                let text = &line["sample ".len()..];
                if texts.contains(text) {
                    return wrong(format!("this text is in the ledger and is written again: {text}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}
