//! The page that is part of the program is built from the sources beside it.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{fs, path::Path};

use sha2::{Digest, Sha256};

#[test]
fn the_built_page_is_that_of_the_sources() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
    let report = Path::new(env!("CARGO_MANIFEST_DIR")).join("../evolve/src/report");
    let listed = fs::read_to_string(page.join("dist/SOURCES")).unwrap();
    let mut names = Vec::new();
    for line in listed.lines() {
        let (hash, name) = line.split_once("  ").unwrap();
        let file = match name.strip_prefix("report/") {
            Some(name) => report.join(name),
            None => page.join("src").join(name),
        };
        let found = format!("{:x}", Sha256::digest(fs::read(&file).unwrap()));
        assert_eq!(found, hash, "{name} has changed: run `npm ci && npm run build` in crates/serve/page");
        names.push(name.to_owned());
    }
    for entry in fs::read_dir(page.join("src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name), "{name} is new: run `npm ci && npm run build` in crates/serve/page");
    }
    let script = fs::read_to_string(page.join("dist/page.js")).unwrap();
    for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "document.write", "https://"] {
        assert!(!script.contains(forbidden), "{forbidden}");
    }
}
