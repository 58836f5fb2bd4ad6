//! Well-known benchmarks: the task files of `tasks/`, over data that the user brings.

use std::path::Path;

use crate::{EvalError, TaskSpec};

/// A benchmark whose task file is a part of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownTask {
    /// Its name, such as `piqa`.
    pub name: &'static str,
    text: &'static str,
}

macro_rules! known {
    ($($name:literal),*) => {
        [$(KnownTask { name: $name, text: include_str!(concat!("../tasks/", $name, ".toml")) }),*]
    };
}

/// All of them, by name.
const ALL: [KnownTask; 19] = known![
    "arc_challenge",
    "arc_easy",
    "bbh_boolean_expressions",
    "bbh_causal_judgement",
    "bbh_date_understanding",
    "bbh_hyperbaton",
    "bbh_navigate",
    "bbh_object_counting",
    "bbh_sports_understanding",
    "bbh_web_of_lies",
    "gsm8k",
    "gsm8k_flexible",
    "hellaswag",
    "ifeval",
    "mmlu",
    "piqa",
    "truthfulqa_mc1",
    "truthfulqa_mc2",
    "user_oriented"
];

impl KnownTask {
    /// All of them, in the order of their names.
    pub fn all() -> &'static [Self] {
        &ALL
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|task| task.name == name)
    }

    /// The first lines of its file: the benchmark, what it measures, and the fields of its records.
    pub fn description(self) -> String {
        let lines = self.text.lines().map_while(|line| line.strip_prefix('#'));
        lines.map(str::trim).collect::<Vec<_>>().join(" ")
    }

    /// Its specification, over the data of this file.
    ///
    /// # Errors
    /// [`EvalError`] where its file cannot be read, which a test rules out.
    pub fn over(self, data: &Path) -> Result<TaskSpec, EvalError> {
        let path = Path::new(self.name).with_extension("toml");
        Ok(TaskSpec::parse(self.text, &path)?.with_data(data))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::KnownTask;

    #[test]
    fn every_file_is_known_and_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tasks");
        let mut files: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let names: Vec<&str> = KnownTask::all().iter().map(|task| task.name).collect();
        assert_eq!(names, files);
        for task in KnownTask::all() {
            let spec = task.over(Path::new("mine.jsonl")).unwrap();
            assert_eq!((spec.name(), spec.data()), (task.name, Path::new("mine.jsonl")));
            assert!(task.description().len() > 20, "{}", task.name);
        }
        assert_eq!(KnownTask::named("none"), None);
    }
}
