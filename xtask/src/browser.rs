//! What the test of the page needs: a browser, Node, and two packages of npm in the target folder.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::process::{Failure, output};

/// What the test is told by its environment.
pub(crate) type Variables = Vec<(&'static str, PathBuf)>;

/// The packages, in the versions that the test was written with.
const PACKAGES: &str = r#"{ "private": true, "dependencies": { "axe-core": "4.14.1", "playwright-core": "1.65.1" } }
"#;

/// Names under which a browser is looked for, after the one that `LANCER_BROWSER` names.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Gets what is missing; a sentence where there is no browser, or no Node.
///
/// # Errors
/// Where the packages cannot be got or written.
pub(crate) fn prepare(target: &Path) -> Result<Result<Variables, String>, Failure> {
    let named = env::var_os("LANCER_BROWSER").map(PathBuf::from);
    let Some(browser) = named.or_else(|| BROWSERS.iter().find_map(|name| on_path(name))) else {
        return Ok(Err("there is no Chromium; `apt-get install chromium` gets one on Debian".into()));
    };
    if on_path("node").is_none() || on_path("npm").is_none() {
        return Ok(Err("there is no Node with npm".into()));
    }
    let tools = target.join("tools/browser");
    let description = tools.join("package.json");
    let is_there = fs::read_to_string(&description).is_ok_and(|found| found == PACKAGES);
    if !is_there || !tools.join("node_modules/playwright-core").exists() {
        let failed =
            |error: std::io::Error| Failure::new(format!("cannot write {}: {error}", tools.display()));
        fs::create_dir_all(&tools).map_err(failed)?;
        fs::write(&description, PACKAGES).map_err(failed)?;
        let got =
            output(Command::new("npm").args(["install", "--no-audit", "--no-fund"]).current_dir(&tools));
        if got.is_none() {
            fs::remove_file(&description).map_err(failed)?;
            return Ok(Err("npm cannot get playwright-core and axe-core".into()));
        }
    }
    Ok(Ok(vec![("LANCER_BROWSER", browser), ("LANCER_BROWSER_TOOLS", tools)]))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(name)).find(|file| file.is_file())
}
