//! Starting, stopping and resuming runs, and the command that each of these is.

use std::{ffi::OsString, path::Path};

use serde::{Deserialize, Serialize};

use super::OfRun;
use crate::{
    app::App,
    error::ApiError,
    http::{Reply, Request},
};

/// A run that is to be started, as the form has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NewRun {
    /// Its name below the folder of runs.
    run: String,
    recipe: String,
    model: String,
    seeds: String,
    /// Task files.
    tasks: Vec<String>,
    iterations: Option<u32>,
    seed: Option<u64>,
    review: String,
    /// Settings, each `NAME=VALUE`.
    set: Vec<String>,
}

#[derive(Serialize)]
struct CommandLine {
    /// As one would type it.
    command: String,
}

impl NewRun {
    /// The arguments of `lancer`. Each value belongs to its option by `=`, so that none can be an option itself.
    fn arguments(&self, place: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["evolve".into()];
        let mut option = |name: &str, value: &std::ffi::OsStr| {
            let mut argument = OsString::from(format!("--{name}="));
            argument.push(value);
            arguments.push(argument);
        };
        option("run", place.as_os_str());
        let single = [
            ("recipe", &self.recipe),
            ("model", &self.model),
            ("seeds", &self.seeds),
            ("review", &self.review),
        ];
        for (name, value) in single.into_iter().filter(|(_, value)| !value.trim().is_empty()) {
            option(name, value.trim().as_ref());
        }
        for (name, number) in [("iterations", self.iterations.map(u64::from)), ("seed", self.seed)] {
            if let Some(number) = number {
                option(name, number.to_string().as_ref());
            }
        }
        for (name, values) in [("task", &self.tasks), ("set", &self.set)] {
            for value in values.iter().filter(|value| !value.trim().is_empty()) {
                option(name, value.trim().as_ref());
            }
        }
        arguments
    }
}

pub(super) fn command(app: &App, request: &Request) -> Result<Reply, ApiError> {
    let new: NewRun = request.told()?;
    let place = app.place(&new.run)?;
    Reply::json(&CommandLine { command: line(&new.arguments(&place)) })
}

pub(super) fn start(app: &App, request: &Request) -> Result<Reply, ApiError> {
    let new: NewRun = request.told()?;
    let place = app.place(&new.run)?;
    if app.run(&new.run).is_ok() {
        return Err(ApiError::new(409, "there is a run of this name; resume it, or give another name"));
    }
    begin(app, &place, &new)
}

pub(super) fn resume(app: &App, request: &Request) -> Result<Reply, ApiError> {
    let OfRun { run } = request.told()?;
    let place = app.run(&run)?;
    begin(app, &place, &NewRun::default())
}

pub(super) fn stop(app: &App, request: &Request) -> Result<Reply, ApiError> {
    let OfRun { run } = request.told()?;
    let place = app.place(&run)?;
    let process = app.started.process(&place).ok_or_else(|| {
        let text = "this page did not start the run's process; stop it where it was started, with Ctrl-C";
        ApiError::new(409, text)
    })?;
    app.program.interrupt(process).map_err(|error| ApiError::new(500, error.to_string()))?;
    Ok(Reply { status: 202, ..Reply::of("application/json", "null") })
}

fn begin(app: &App, place: &Path, new: &NewRun) -> Result<Reply, ApiError> {
    let arguments = new.arguments(place);
    let begun =
        app.program.executable().and_then(|executable| app.started.start(place, &executable, &arguments));
    begun.map_err(|error| {
        let status = if error.kind() == std::io::ErrorKind::AlreadyExists { 409 } else { 500 };
        ApiError::new(status, error.to_string())
    })?;
    Reply::json(&CommandLine { command: line(&arguments) })
}

/// The arguments as one would type them after `lancer`, quoted for a shell where that is needed.
fn line(arguments: &[OsString]) -> String {
    let mut line = String::from("lancer");
    for argument in arguments {
        let text = argument.to_string_lossy();
        let is_plain = text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "-_=./,:@+".contains(character));
        line.push(' ');
        if is_plain {
            line.push_str(&text);
        } else {
            line.push('\'');
            line.push_str(&text.replace('\'', "'\\''"));
            line.push('\'');
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_becomes_an_option_or_leaves_its_quotes() {
        let new = NewRun {
            run: "a".into(),
            model: "--large-pages=off".into(),
            seeds: "it's; rm -rf x".into(),
            set: vec!["sft.train.epochs=2".into(), String::new()],
            iterations: Some(2),
            ..NewRun::default()
        };
        let arguments = new.arguments(Path::new("/runs/a"));
        assert_eq!(
            line(&arguments),
            "lancer evolve --run=/runs/a --model=--large-pages=off '--seeds=it'\\''s; rm -rf x' --iterations=2 \
             --set=sft.train.epochs=2"
        );
    }
}
