//! `cargo xtask bench data`: `lancer-data` against the Python packages for the same work, and how its time grows with the
//! number of texts. Writes `docs/lab/bench/data.md` and the plot beside it.

mod agreement;
mod duplicates;
mod growth;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use super::{programs, result::machine, rivals};
use crate::{
    process::{Failure, run as run_program},
    setup::{Environment, WORKSPACE, root},
};

/// What the parts of this benchmark work with.
struct Workplace {
    /// The example of `lancer-data` that makes inputs and measures.
    scale: PathBuf,
    /// Python with the packages to compare with.
    python: PathBuf,
    /// Real texts.
    texts: PathBuf,
    /// Where inputs and results stand.
    folder: PathBuf,
    rounds: usize,
}

impl Workplace {
    fn scale(&self) -> Command {
        Command::new(&self.scale)
    }

    fn rival(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(programs::rival("data.py")).arg(name);
        command
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Texts made from the real ones, where they are not made yet.
    fn made(&self, kind: &str, count: usize) -> Result<PathBuf, Failure> {
        let path = self.file(&format!("{kind}-{count}.jsonl"));
        if !path.exists() {
            run_program(self.scale().arg(kind).arg(&self.texts).arg(count.to_string()).arg(&path))?;
        }
        Ok(path)
    }
}

/// A part's findings: a section of the page, and JSON.
struct Section {
    text: String,
    found: serde_json::Value,
}

pub(crate) fn run(rounds: usize) -> Result<(), Failure> {
    let environment = Environment::prepare()?;
    run_program(environment.cargo().arg("build").args(WORKSPACE).arg("--examples"))?;
    let folder = environment.target().join("bench/data");
    fs::create_dir_all(&folder)
        .map_err(|error| Failure::new(format!("cannot make {}: {error}", folder.display())))?;
    let workplace = Workplace {
        scale: environment.target().join("release/examples/scale"),
        python: rivals::python(&environment)?,
        texts: root().join("../shared/data"),
        folder,
        rounds,
    };
    let docs = root().join("docs/lab/bench");
    let agreement = agreement::measure(&workplace)?;
    let duplicates = duplicates::measure(&workplace)?;
    let growth = growth::measure(&workplace, &docs)?;
    let mut page = format!(
        "# What `cargo xtask bench data` measured\n\nWritten by that command (`--rounds {rounds}`) on {}. Texts: the real ones of \
         `../shared/data`, or made from them by `crates/data/examples/scale`.\n",
        machine()
    );
    for section in [&agreement, &duplicates, &growth] {
        let _ = write!(page, "\n{}", section.text);
    }
    println!("{page}");
    write(&docs.join("data.md"), &page)?;
    let found = json!({
        "agreement": agreement.found,
        "duplicates": duplicates.found,
        "growth": growth.found,
    });
    write(&environment.target().join("bench/data.json"), &format!("{found:#}\n"))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    programs::write(path, text)?;
    println!("{}", path.display());
    Ok(())
}
