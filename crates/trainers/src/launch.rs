//! The words of the command that starts a training, and the script that runs it elsewhere or by hand.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::{
    error::TrainerError,
    plan::{Paths, Plan},
    settings::Trainer,
    trl,
};

/// How a training is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launch {
    /// The program and its arguments.
    pub(crate) words: Vec<String>,
    /// What the environment has besides.
    pub(crate) environment: Vec<(String, String)>,
    /// What is started here: the same words, or those that submit the script.
    pub(crate) started: Vec<String>,
}

impl Launch {
    /// The command of a plan, with the trainer of the environment that `python` belongs to.
    pub(crate) fn of(plan: &Plan<'_>, python: &Path) -> Result<Self, TrainerError> {
        let config = Paths::text(&plan.paths.config());
        let job = plan.job;
        let module = |module: &str, arguments: &[&str]| {
            let mut words = job.launch.clone();
            words.extend(["-m".to_owned(), module.to_owned()]);
            words.extend(arguments.iter().map(|&word| word.to_owned()));
            words
        };
        let own = |program: &str, arguments: &[&str]| {
            let mut words = vec![beside(python, program)];
            words.extend(arguments.iter().map(|&word| word.to_owned()));
            words
        };
        let processes = job.processes.to_string();
        let words = match (plan.trainer, job.launch.is_empty()) {
            (Trainer::Trl, true) => {
                let mut words = own("trl", &[trl::subcommand(plan), "--config", &config]);
                if let Some(accelerate) = &job.accelerate_config {
                    words.extend(["--accelerate_config".into(), accelerate.clone()]);
                }
                words.extend(["--num_processes".into(), processes]);
                words
            }
            (Trainer::Trl, false) => {
                module(&format!("trl.scripts.{}", trl::subcommand(plan)), &["--config", &config])
            }
            (Trainer::LlamaFactory, true) => own("llamafactory-cli", &["train", &config]),
            (Trainer::LlamaFactory, false) => module("llamafactory.launcher", &[&config]),
            (Trainer::Axolotl, true) => own("axolotl", &["train", &config, "--num-processes", &processes]),
            (Trainer::Axolotl, false) => module("axolotl.cli.train", &[&config]),
            (Trainer::Command, _) => {
                let path = Paths::text(&plan.paths.description());
                let words = job.launch.iter().chain(&job.command);
                words.map(|word| word.replace("{job}", &path)).collect()
            }
        };
        if words.is_empty() {
            return Err(TrainerError::setting(
                "job.command",
                "it is empty; give the program and its arguments",
            ));
        }
        let started = submitted(&job.submit, &plan.paths.script()).unwrap_or_else(|| words.clone());
        Ok(Self { words, environment: environment(plan), started })
    }

    /// The command as a line for a shell.
    pub(crate) fn line(&self) -> String {
        self.words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }

    /// A script that makes the training and writes its log.
    pub(crate) fn script(&self, paths: &Paths) -> String {
        let mut exports = String::new();
        for (name, value) in &self.environment {
            // A string takes all that is written to it.
            let _ = writeln!(exports, "export {name}={}", quoted(value));
        }
        format!(
            "#!/bin/sh\n# lancer wrote this. It makes the training in this folder; its log goes to trainer.log.\n{exports}cd {} && exec \
             {} >> trainer.log 2>&1\n",
            quoted(&Paths::text(&paths.folder)),
            self.line()
        )
    }
}

/// The words that submit a script, where there are any.
fn submitted(submit: &[String], script: &Path) -> Option<Vec<String>> {
    if submit.is_empty() {
        return None;
    }
    let script = Paths::text(script);
    let mut words: Vec<String> = submit.iter().map(|word| word.replace("{script}", &script)).collect();
    if !submit.iter().any(|word| word.contains("{script}")) {
        words.extend(["bash".to_owned(), script]);
    }
    Some(words)
}

/// What keeps a trainer quiet, away from networks, and writing as it goes.
fn environment(plan: &Plan<'_>) -> Vec<(String, String)> {
    let mut set = vec![
        ("PYTHONUNBUFFERED", "1".to_owned()),
        ("TOKENIZERS_PARALLELISM", "false".to_owned()),
        ("HF_HUB_OFFLINE", "1".to_owned()),
        ("HF_HUB_DISABLE_TELEMETRY", "1".to_owned()),
        ("HF_DATASETS_CACHE", Paths::text(&plan.paths.folder.join("cache"))),
    ];
    if plan.trainer == Trainer::LlamaFactory {
        set.push(("DISABLE_VERSION_CHECK", "1".to_owned()));
        if plan.job.processes > 1 && plan.job.launch.is_empty() {
            set.push(("FORCE_TORCHRUN", "1".to_owned()));
            set.push(("NPROC_PER_NODE", plan.job.processes.to_string()));
        }
    }
    if plan.trainer == Trainer::Axolotl {
        set.push(("AXOLOTL_DO_NOT_TRACK", "1".to_owned()));
    }
    set.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A program of the environment that a Python belongs to, or where that is a bare name the program's.
fn beside(python: &Path, program: &str) -> String {
    match folder_of(python) {
        Some(folder) => folder.join(program).display().to_string(),
        None => program.to_owned(),
    }
}

/// The folder of an environment's programs, where the Python was given with one.
pub(crate) fn folder_of(python: &Path) -> Option<PathBuf> {
    python.parent().filter(|folder| !folder.as_os_str().is_empty()).map(Path::to_path_buf)
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./=:,+@%".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{quoted, submitted};

    #[test]
    fn words_are_quoted_where_a_shell_would_cut_them() {
        assert_eq!(quoted("--config=/a/b.yaml"), "--config=/a/b.yaml");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn a_script_takes_its_place_or_comes_last() {
        let script = Path::new("/job/run.sh");
        let of = |words: &[&str]| {
            submitted(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>(), script)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["sbatch", "--wait", "{script}"]).unwrap(), ["sbatch", "--wait", "/job/run.sh"]);
        assert_eq!(of(&["ray", "job", "submit", "--"]).unwrap()[4..], ["bash", "/job/run.sh"]);
    }
}
