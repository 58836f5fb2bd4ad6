//! Which versions of a trainer's packages an environment has.

use std::{collections::BTreeMap, path::Path, process::Command};

use crate::{error::TrainerError, settings::Trainer};

/// Asks for the versions of the packages that are there; nothing of them is loaded.
const ASK: &str = "
import importlib.metadata, json, platform, sys
found = {'python': platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
";

/// The versions of a trainer's packages, by name.
///
/// # Errors
/// [`TrainerError::NotInstalled`] where the Python cannot be run or lacks the trainer.
pub(crate) fn versions(trainer: Trainer, python: &Path) -> Result<BTreeMap<String, String>, TrainerError> {
    let missing =
        |reason: String| TrainerError::NotInstalled { trainer, python: python.display().to_string(), reason };
    let packages = trainer.packages();
    let Some(first) = packages.first() else { return Ok(BTreeMap::new()) };
    let output = Command::new(python)
        .arg("-c")
        .arg(ASK)
        .args(packages)
        .output()
        .map_err(|error| missing(format!("it cannot be run: {error}")))?;
    if !output.status.success() {
        return Err(missing(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let found: BTreeMap<String, String> = serde_json::from_slice(&output.stdout)
        .map_err(|error| missing(format!("it does not say which packages it has: {error}")))?;
    if found.contains_key(*first) {
        Ok(found)
    } else {
        Err(missing(format!("its environment has no package `{first}`")))
    }
}
