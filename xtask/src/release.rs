//! `cargo xtask release --dry-run`: whether every crate could be published.

use std::{path::Path, process::Command};

use serde_json::Value;

use crate::{
    parts::Parts,
    process::{Failure, output, run as run_program},
    setup::{Environment, WORKSPACE, root},
};

/// crates.io takes no more keywords than that.
const MOST_KEYWORDS: usize = 5;

/// Checks what crates.io and docs.rs show, packages all crates in the order of their dependencies, makes the documentation
/// with warnings as errors, and asks cargo-deny of licences, sources and duplicates.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let verifies = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--dry-run"] => false,
        ["--dry-run", "--verify"] | ["--verify", "--dry-run"] => true,
        _ => {
            return Err(Failure::usage(
                "`cargo xtask release --dry-run` publishes nothing; with `--verify` it builds each package too. \
                 `cargo publish --workspace` publishes",
            ));
        }
    };
    let mut parts = Parts::default();
    let environment = parts.run("set-up", Environment::prepare)?;
    let result = checks(&environment, verifies, &mut parts);
    eprintln!("{}", parts.times());
    result
}

fn checks(environment: &Environment, verifies: bool, parts: &mut Parts) -> Result<(), Failure> {
    parts.run("what crates.io shows", || {
        let metadata = output(environment.cargo().args(["metadata", "--no-deps", "--format-version", "1"]));
        let metadata = metadata.and_then(|text| serde_json::from_str(&text).ok());
        complete(&metadata.ok_or_else(|| Failure::new("`cargo metadata` gives no JSON"))?)
    })?;
    parts.run("packages", || {
        let mut publish = environment.cargo();
        publish.args(["publish", "--workspace", "--dry-run"]);
        if !verifies {
            publish.arg("--no-verify");
        }
        run_program(&mut publish)
    })?;
    parts.run("documentation", || {
        let mut doc = environment.cargo();
        doc.arg("doc").args(WORKSPACE).arg("--no-deps").env("RUSTDOCFLAGS", "-D warnings");
        run_program(&mut doc)
    })?;
    parts.run("licences, sources, duplicates", || {
        if output(Command::new("cargo-deny").arg("--version")).is_none() {
            eprintln!(
                "note: cargo-deny is not installed (`cargo install cargo-deny`), so deny.toml was not checked"
            );
            return Ok(());
        }
        let mut deny = Command::new("cargo-deny");
        run_program(deny.current_dir(root()).args(["--workspace", "check", "licenses", "bans", "sources"]))
    })
}

/// Whether each crate that is published says all that crates.io and docs.rs show of it.
fn complete(metadata: &Value) -> Result<(), Failure> {
    let mut faults = Vec::new();
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    // `publish = false` is an empty list of registries here.
    let published: Vec<&Value> =
        packages.iter().filter(|package| !package["publish"].as_array().is_some_and(Vec::is_empty)).collect();
    for package in &published {
        let name = package["name"].as_str().unwrap_or_default();
        for field in ["description", "license", "repository", "readme", "rust_version"] {
            if package[field].as_str().is_none_or(str::is_empty) {
                faults.push(format!("{name} has no {field}"));
            }
        }
        let readme = package["readme"].as_str().unwrap_or_default();
        let folder = package["manifest_path"].as_str().map(Path::new).and_then(Path::parent);
        if !folder.is_some_and(|folder| folder.join(readme).is_file()) {
            faults.push(format!("{name} has no {readme} in its folder"));
        }
        let count = |field: &str| package[field].as_array().map_or(0, Vec::len);
        if !(1..=MOST_KEYWORDS).contains(&count("keywords")) {
            faults.push(format!("{name} has {} keywords, not 1 to {MOST_KEYWORDS}", count("keywords")));
        }
        if count("categories") == 0 {
            faults.push(format!("{name} has no category"));
        }
        for dependency in package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default() {
            // A dependency of tests alone is left out of the package where it has a path and no version.
            let is_needed = dependency["kind"].as_str() != Some("dev") && dependency["path"].is_string();
            if is_needed && dependency["req"].as_str() == Some("*") {
                faults.push(format!("{name} names no version of {}", dependency["name"]));
            }
        }
    }
    if published.is_empty() {
        faults.push("no crate is published".into());
    }
    if faults.is_empty() {
        eprintln!("{} crates say all that crates.io shows", published.len());
        return Ok(());
    }
    Err(Failure::new(faults.join("\n       ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package() -> Value {
        json!({
            "name": "one", "description": "d", "license": "MIT", "repository": "r", "readme": "Cargo.toml",
            "rust_version": "1.95", "keywords": ["a"], "categories": ["science"], "publish": null,
            "manifest_path": root().join("Cargo.toml"), "dependencies": [],
        })
    }

    fn faults(package: &Value) -> String {
        complete(&json!({ "packages": [package] }))
            .map_or_else(|failure| failure.to_string(), |()| String::new())
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(faults(&package()), "");
        let changed = |field: &str, value: Value| {
            let mut package = package();
            package[field] = value;
            faults(&package)
        };
        assert_eq!(changed("description", Value::Null), "one has no description");
        assert_eq!(changed("readme", json!("absent.md")), "one has no absent.md in its folder");
        assert_eq!(
            changed("keywords", json!(["a", "b", "c", "d", "e", "f"])),
            "one has 6 keywords, not 1 to 5"
        );
        assert_eq!(changed("categories", json!([])), "one has no category");
        let dependency = |kind: Value| json!([{ "name": "two", "req": "*", "path": "/two", "kind": kind }]);
        assert_eq!(changed("dependencies", dependency(Value::Null)), "one names no version of \"two\"");
        assert_eq!(changed("dependencies", dependency(json!("dev"))), "");
        // What is not published needs nothing, but something is to be published.
        assert_eq!(changed("publish", json!([])), "no crate is published");
    }
}
