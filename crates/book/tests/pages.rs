//! README.md, CONTRIBUTING.md and the book in docs/.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use lancer_book::{BrokenLink, broken_links, missing_pages, pages};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All pages whose links are checked.
fn checked() -> Vec<PathBuf> {
    let mut checked = pages(&root().join("docs")).unwrap();
    assert!(checked.len() > 20, "{checked:?}");
    checked.extend(
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(|page| root().join(page)),
    );
    checked
}

#[test]
fn every_link_leads_somewhere() {
    let book = root().join("docs");
    let broken: Vec<BrokenLink> =
        checked().iter().flat_map(|page| broken_links(page, &book).unwrap()).collect();
    let lines: Vec<String> = broken.iter().map(ToString::to_string).collect();
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", lines.join("\n"));
}

#[test]
fn the_table_of_contents_has_every_page() {
    let missing = missing_pages(&root().join("docs")).unwrap();
    assert!(missing.is_empty(), "docs/SUMMARY.md lacks {missing:?}");
}

/// Doc tests are made of the pages that `src/lib.rs` includes.
#[test]
fn every_page_with_a_rust_example_is_a_doc_test() {
    let included = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for page in checked() {
        if fs::read_to_string(&page).unwrap().contains("```rust") {
            let name = page.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            assert!(included.contains(&format!("include_str!(\"../../../{name}\")")), "{name} is not tested");
        }
    }
}
