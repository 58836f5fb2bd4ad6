//! The command line as it is documented: docs/reference/cli.md, completions, manual pages, and the option that turns large
//! pages off.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod program;

use std::{
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use program::{command, lancer, text};

/// Writes the file anew where it is set.
const RENEW: &str = "LANCER_RENEW_REFERENCE";

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/cli.md")
}

/// The help of a command, as one sees it in a window of 100 columns.
fn help(path: &[String]) -> String {
    let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
    arguments.push("--help");
    // Without a terminal on any side, lines have 100 columns.
    let output = command(&arguments).stdin(Stdio::null()).env_remove("COLUMNS").output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    text(&output.stdout).lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

/// The commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(Into::into)
        .collect()
}

/// A section for a command and each below it.
fn sections(path: &[String], document: &mut String) {
    let help = help(path);
    let name: Vec<&str> = std::iter::once("lancer").chain(path.iter().map(String::as_str)).collect();
    write!(document, "\n## {}\n\n```text\n{}\n```\n", name.join(" "), help.trim_end()).unwrap();
    for command in commands(&help) {
        sections(&[path, &[command]].concat(), document);
    }
}

#[test]
fn the_reference_is_what_the_program_says() {
    let mut document = String::from(
        "# Command line\n\nWhat `lancer --help` says, of every command. `tests/reference.rs` holds this file against the program.\n",
    );
    sections(&[], &mut document);
    assert!(document.matches("\n## lancer ").count() >= 12, "{document}");
    let file = reference();
    if env::var_os(RENEW).is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &document).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    let differs = written.lines().zip(document.lines()).find(|(written, now)| written != now);
    assert!(
        written == document,
        "docs/reference/cli.md is not what the program says; the first line that differs: {differs:?}. Renew it: {RENEW}=1 \
         cargo nextest run --release --workspace --features lancer-data/lazy,lancer/burn-wgpu,lancer/onnx-webgpu --test reference"
    );
}

#[test]
fn shells_complete_every_command() {
    let all = commands(&help(&[]));
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = lancer(&["completions", shell]);
        assert!(output.status.success(), "{shell}");
        let script = text(&output.stdout);
        for name in &all {
            assert!(script.contains(name.as_str()), "{shell}: {name}");
        }
        assert!(script.contains("large-pages"), "{shell}");
    }
    assert_eq!(lancer(&["completions", "tcsh"]).status.code(), Some(2));
}

#[test]
fn every_command_has_a_manual_page() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("share/man1");
    assert!(lancer(&["man", "--out", folder.to_str().unwrap()]).status.success());
    for name in commands(&help(&[])) {
        let page = fs::read_to_string(folder.join(format!("lancer-{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{name}");
    }
    assert!(folder.join("lancer.1").exists() && folder.join("lancer-train-sft.1").exists());
    // A file is in the way.
    fs::write(scratch.path().join("file"), "").unwrap();
    let failed = lancer(&["man", "--out", scratch.path().join("file/man1").to_str().unwrap()]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stderr).contains("file/man1"));
}

#[test]
fn a_wrong_word_for_large_pages_is_named_before_anything_is_done() {
    let failed = lancer(&["report", "nothing", "--large-pages", "maybe"]);
    assert_eq!(failed.status.code(), Some(2));
    assert!(text(&failed.stderr).contains("maybe"));
    let variable = |value: &str, arguments: &[&str]| {
        command(arguments).env("LANCER_LARGE_PAGES", value).output().unwrap()
    };
    let failed = variable("maybe", &["report", "nothing"]);
    let said = text(&failed.stderr);
    assert_eq!(failed.status.code(), Some(2), "{said}");
    assert!(said.contains("LANCER_LARGE_PAGES") && said.contains("maybe"), "{said}");
    // What is right goes on to what comes after it; the command line comes before the environment.
    for (value, arguments) in
        [("0", &["report", "nothing"][..]), ("maybe", &["--large-pages", "off", "report", "nothing"])]
    {
        let failed = variable(value, arguments);
        let said = text(&failed.stderr);
        assert_eq!(failed.status.code(), Some(1), "{said}");
        assert!(said.contains("nothing is no run"), "{said}");
    }
}
