//! Tests that were skipped: each appends its name and the reason to a file, and `cargo xtask test` prints them at its end.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use crate::process::Failure;

/// The environment variable that names the file; `lancer-skipped` reads it.
pub(crate) const VARIABLE: &str = "LANCER_SKIPPED_TESTS";

/// What was skipped in a run of all checks.
pub(crate) struct Skipped {
    file: PathBuf,
    /// What no test could say, since it was not even compiled or started.
    whole: Vec<String>,
}

impl Skipped {
    /// Begins with an empty file in the target folder.
    pub(crate) fn begin(target: &Path) -> Result<Self, Failure> {
        let file = target.join("skipped-tests.txt");
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Failure::new(format!("cannot remove {}: {error}", file.display())))
            }
            _ => Ok(Self { file, whole: Vec::new() }),
        }
    }

    /// The file that tests append to.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Notes that a group of tests is left out.
    pub(crate) fn leave_out(&mut self, tests: &str, reason: &str) {
        self.whole.push(format!("{tests}: {reason}"));
    }

    /// A line for each test that was skipped, in order; empty where all were run.
    pub(crate) fn lines(&self) -> Vec<String> {
        let named = fs::read_to_string(&self.file).unwrap_or_default();
        let lines: BTreeSet<String> =
            self.whole.iter().cloned().chain(named.lines().map(str::to_owned)).collect();
        lines.into_iter().map(|line| format!("skipped: {line}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_is_named_once() {
        let folder = std::env::temp_dir().join(format!("lancer-skipped-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("skipped-tests.txt"), "of an earlier run: gone\n").unwrap();
        let mut skipped = Skipped::begin(&folder).unwrap();
        assert!(skipped.lines().is_empty());
        fs::write(skipped.file(), "b: no model\na: no AMX\nb: no model\n").unwrap();
        skipped.leave_out("wgpu", "no driver");
        assert_eq!(
            skipped.lines(),
            ["skipped: a: no AMX", "skipped: b: no model", "skipped: wgpu: no driver"]
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}
