//! `lancer cache`: models that were converted for an engine and are kept for the next time.

use std::{path::PathBuf, time::UNIX_EPOCH};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    converted::{CacheFolder, Cleared},
    failure::Failure,
    output::Output,
};

/// Show the models that were converted for an engine and are kept for the next time.
///
/// They are in the folder `converted` of the user's cache folder, or of the one that `LANCER_CACHE` names, and may take 20 GB
/// together, or what `LANCER_CACHE_LIMIT` says, such as 5G; those go first that were used longest ago.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Clone, Copy, Subcommand)]
enum Action {
    /// Remove them all, but those that a running lancer uses.
    Clear,
}

#[derive(Serialize)]
struct Shown {
    folder: PathBuf,
    /// Bytes that may be kept.
    limit: u64,
    /// Bytes that are kept.
    bytes: u64,
    entries: Vec<ShownEntry>,
}

#[derive(Serialize)]
struct ShownEntry {
    source: String,
    path: PathBuf,
    bytes: u64,
    /// Seconds since 1970.
    last_used: u64,
    in_use: bool,
}

#[derive(Serialize)]
struct ClearedReport {
    folder: PathBuf,
    removed: usize,
    bytes: u64,
    /// Left, since a process uses them.
    in_use: usize,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let folder = CacheFolder::open()?;
    match arguments.action {
        None => show(&folder, output),
        Some(Action::Clear) => clear(&folder, output),
    }
}

fn show(folder: &CacheFolder, output: Output) -> Result<(), Failure> {
    let entries: Vec<ShownEntry> = folder
        .entries()?
        .into_iter()
        .filter(|entry| entry.path().exists())
        .map(|entry| ShownEntry {
            source: entry.source(),
            path: entry.path().to_path_buf(),
            bytes: entry.bytes(),
            last_used: entry.last_used().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            in_use: entry.is_in_use(),
        })
        .collect();
    let bytes = entries.iter().map(|entry| entry.bytes).sum();
    let shown = Shown { folder: folder.path().to_path_buf(), limit: folder.limit(), bytes, entries };
    output.print(&shown, |shown| {
        for entry in &shown.entries {
            let in_use = if entry.in_use { ", in use" } else { "" };
            outln!("{:>9} of {}{in_use}", megabytes(entry.bytes), entry.source);
        }
        let (count, folder) = (shown.entries.len(), shown.folder.display());
        outln!("{folder}: {count} models, {} of at most {}", megabytes(shown.bytes), megabytes(shown.limit));
    });
    Ok(())
}

fn clear(folder: &CacheFolder, output: Output) -> Result<(), Failure> {
    let cleared = folder.clear()?;
    let removed = || cleared.iter().filter(|(bytes, what)| *what == Cleared::Removed && *bytes > 0);
    let report = ClearedReport {
        folder: folder.path().to_path_buf(),
        removed: removed().count(),
        bytes: removed().map(|(bytes, _)| bytes).sum(),
        in_use: cleared.iter().filter(|(_, what)| *what == Cleared::InUse).count(),
    };
    output.print(&report, |report| {
        let folder = report.folder.display();
        outln!("{folder}: {} models removed, {}", report.removed, megabytes(report.bytes));
        if report.in_use > 0 {
            outln!("  {} are in use and were left", report.in_use);
        }
    });
    Ok(())
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
