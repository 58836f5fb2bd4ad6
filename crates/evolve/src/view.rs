//! Views of runs for people and programs: what the terminal, the page and the report show.
//!
//! A view reads the ledger and changes nothing. Those that are asked often (a page of records, a lineage, the examples of a
//! step) read through indices, so that their cost does not grow with the run.

mod agreement;
mod batch;
mod difference;
mod lineage;
mod queue;
mod record_page;
mod run;
mod runs;
mod sql;

use serde::Serialize;

pub use self::{
    agreement::{Agreement, Area, agreement},
    batch::{Batch, BatchExample, batch},
    difference::{RunDifference, SettingDifference, TaskDifference, difference},
    lineage::{Lineage, Link, StepUse, lineage},
    queue::{JudgeItem, Queue, queue, threshold},
    record_page::{Fate, RecordFilter, RecordPage, RecordRow, Sort, record_page},
    run::{Curves, RunView},
    runs::{RunOverview, Status, find_runs, overview, run_name, runs},
    sql::{Answer, query},
};

/// A row with the iteration that made it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InIteration<T> {
    /// The iteration.
    pub iteration: u32,
    /// The row.
    #[serde(flatten)]
    pub row: T,
}

/// The beginning of a text on one line, at most `length` characters.
fn excerpt(text: &str, length: usize) -> String {
    let mut words = String::new();
    for word in text.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        if words.len() > 4 * length {
            break;
        }
    }
    if words.chars().count() > length {
        words = words.chars().take(length.saturating_sub(1)).collect();
        words.push('…');
    }
    words
}
