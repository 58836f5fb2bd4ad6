//! Records page by page: filtered, searched and sorted by queries that go on after the last row of the page before.

use std::{fmt::Write, sync::mpsc, thread, time::Duration};

use rusqlite::{ErrorCode, params_from_iter, types::Value};
use serde::{Deserialize, Serialize};

use super::excerpt;
use crate::{
    error::EvolveError,
    ledger::{Ledger, Origin},
};

/// A page has at most so many rows.
const MOST: usize = 500;
/// Characters of a prompt or response in a list.
const EXCERPT: usize = 160;
/// A search through texts ends after this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// In which order records come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// By key.
    #[default]
    Key,
    /// The newest iteration first.
    Newest,
    /// The lowest score first; records without a score are left out.
    LowestScore,
    /// The highest score first; records without a score are left out.
    HighestScore,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Cleaning kept it.
    Kept,
    /// Cleaning dropped it.
    Dropped,
    /// It is in the pool of seeds.
    Pool,
    /// It was an example for fine-tuning.
    Sft,
    /// It was the chosen side of a pair.
    Chosen,
    /// It was the rejected side of a pair.
    Rejected,
    /// A person has judged it.
    Judged,
    /// Its last review gave no score.
    Unscored,
}

impl Fate {
    fn condition(self) -> &'static str {
        match self {
            Self::Kept => "verdict.record IS NOT NULL AND verdict.rule IS NULL",
            Self::Dropped => "verdict.rule IS NOT NULL",
            Self::Pool => "EXISTS (SELECT 1 FROM pool WHERE pool.record = record.key)",
            Self::Sft => "record.key IN (SELECT record FROM sft)",
            Self::Chosen => "record.key IN (SELECT record FROM pair)",
            Self::Rejected => "record.key IN (SELECT rejected_record FROM pair)",
            Self::Judged => "record.key IN (SELECT key FROM judgement WHERE subject = 'record')",
            Self::Unscored => {
                "EXISTS (SELECT 1 FROM review WHERE review.record = record.key AND review.score IS NULL)"
            }
        }
    }
}

/// Which records are wanted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordFilter {
    /// Words that are in the key, the prompt or the response, in any order.
    pub text: String,
    /// Where it comes from.
    pub origin: Option<Origin>,
    /// The iteration that made it; 0 for seeds.
    pub iteration: Option<u32>,
    /// What became of it.
    pub fate: Option<Fate>,
    /// The rule by which cleaning dropped it.
    pub rule: Option<String>,
    /// The iteration whose reviews the scores are from; the newest of each record where it is absent, or, where records are
    /// sorted by score, the newest that reviewed.
    pub reviewed: Option<u32>,
    /// The lowest score.
    pub least: Option<f64>,
    /// Scores below this one.
    pub below: Option<f64>,
    /// In which order.
    pub sort: Sort,
    /// Goes on after a page whose [`RecordPage::next`] this is.
    pub after: Option<String>,
    /// Rows of a page; 50 where it is absent, at most 500.
    pub limit: Option<usize>,
}

/// A record in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecordRow {
    /// Its key.
    pub key: String,
    /// The iteration that made it.
    pub iteration: u32,
    /// Where it comes from.
    pub origin: String,
    /// Its score.
    pub score: Option<f64>,
    /// The rule by which cleaning dropped it.
    pub rule: Option<String>,
    /// The beginning of its prompt.
    pub prompt: String,
    /// The beginning of its response.
    pub response: String,
    /// What a person decided last.
    pub judgement: Option<String>,
}

/// Some records.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecordPage {
    /// The records.
    pub rows: Vec<RecordRow>,
    /// What the next page is asked with; `None` at the end.
    pub next: Option<String>,
}

/// The records of a run that fit `filter`, a page of them.
///
/// # Errors
/// [`EvolveError::Query`] where the place to go on from is not one that a page gave, or a search takes too long; what reading the
/// ledger gives.
pub fn record_page(ledger: &Ledger, filter: &RecordFilter) -> Result<RecordPage, EvolveError> {
    let limit = filter.limit.unwrap_or(50).clamp(1, MOST);
    let reviewed = match (filter.reviewed, filter.sort) {
        (Some(iteration), _) => Some(iteration),
        (None, Sort::LowestScore | Sort::HighestScore) => {
            ledger.value("SELECT max(iteration) FROM review", [])?.flatten()
        }
        (None, _) => None,
    };
    let (sql, values) = statement(filter, reviewed, limit)?;
    let mut rows = bounded(ledger, &sql, &values)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = more.then(|| rows.last().map(|row| cursor(filter.sort, row))).flatten();
    Ok(RecordPage { rows, next })
}

/// The rows of a statement that is ended when it takes too long.
fn bounded(ledger: &Ledger, sql: &str, values: &[Value]) -> Result<Vec<RecordRow>, EvolveError> {
    let (done, is_done) = mpsc::channel::<()>();
    let handle = ledger.query(|connection| Ok(connection.get_interrupt_handle()))?;
    let watch = thread::spawn(move || {
        if is_done.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            handle.interrupt();
        }
    });
    let rows = ledger.rows(sql, params_from_iter(values.iter()), |row| {
        Ok(RecordRow {
            key: row.get(0)?,
            iteration: row.get(1)?,
            origin: row.get(2)?,
            score: row.get(3)?,
            rule: row.get(4)?,
            prompt: excerpt(&row.get::<_, String>(5)?, EXCERPT),
            response: excerpt(&row.get::<_, String>(6)?, EXCERPT),
            judgement: row.get(7)?,
        })
    });
    drop(done);
    let _ = watch.join();
    rows.map_err(|error| match &error {
        EvolveError::Ledger { source, .. }
            if source.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) =>
        {
            let seconds = PATIENCE.as_secs();
            EvolveError::Query {
                reason: format!(
                    "the search took longer than {seconds} s; narrow it down with another filter"
                ),
            }
        }
        _ => error,
    })
}

fn statement(
    filter: &RecordFilter,
    reviewed: Option<u32>,
    limit: usize,
) -> Result<(String, Vec<Value>), EvolveError> {
    let mut values: Vec<Value> = Vec::new();
    let mut conditions: Vec<String> = Vec::new();
    let by_score = matches!(filter.sort, Sort::LowestScore | Sort::HighestScore);
    let mut put = |value: Value| {
        values.push(value);
        format!("?{}", values.len())
    };
    let (from, score) = match reviewed {
        Some(iteration) => {
            let place = put(Value::Integer(iteration.into()));
            // The outer table comes first in a cross join: by score the review's index gives the order.
            let join = if by_score {
                "review CROSS JOIN record ON record.key = review.record"
            } else {
                "record JOIN review ON review.record = record.key"
            };
            conditions.push(format!("review.iteration = {place}"));
            (join.to_owned(), "review.score".to_owned())
        }
        None => (
            "record".to_owned(),
            "(SELECT score FROM review WHERE review.record = record.key ORDER BY iteration DESC LIMIT 1)"
                .to_owned(),
        ),
    };
    if by_score {
        conditions.push("review.score IS NOT NULL".into());
        if reviewed.is_none() {
            // Nothing was reviewed.
            return Ok((format!("{COLUMNS_OF_NOTHING} WHERE 0"), Vec::new()));
        }
    }
    for word in filter.text.split_whitespace() {
        let place = put(Value::Text(format!("%{}%", escaped(word))));
        let like = ["record.key", "record.prompt", "record.response"]
            .map(|column| format!("{column} LIKE {place} ESCAPE '\\'"));
        conditions.push(format!("({})", like.join(" OR ")));
    }
    if let Some(origin) = filter.origin {
        conditions.push(format!("record.origin = {}", put(Value::Text(origin.as_str().into()))));
    }
    if let Some(iteration) = filter.iteration {
        conditions.push(format!("record.iteration = {}", put(Value::Integer(iteration.into()))));
    }
    if let Some(rule) = &filter.rule {
        conditions.push(format!("verdict.rule = {}", put(Value::Text(rule.clone()))));
    }
    conditions.extend(filter.fate.map(|fate| fate.condition().to_owned()));
    if let Some(least) = filter.least {
        conditions.push(format!("{score} >= {}", put(Value::Real(least))));
    }
    if let Some(below) = filter.below {
        conditions.push(format!("{score} < {}", put(Value::Real(below))));
    }
    // The same key by another name, where the index of another table gives the order.
    let key_column = if filter.rule.is_some() { "verdict.record" } else { "record.key" };
    let order = match filter.sort {
        Sort::Key => key_column,
        Sort::Newest => "record.iteration DESC, record.key DESC",
        Sort::LowestScore => "review.score, review.record",
        Sort::HighestScore => "review.score DESC, review.record DESC",
    };
    if let Some(after) = &filter.after {
        let wrong = || EvolveError::Query { reason: "there is no such place to go on from".into() };
        let (number, key): (f64, String) = serde_json::from_str(after).map_err(|_| wrong())?;
        let key = put(Value::Text(key));
        conditions.push(match filter.sort {
            Sort::Key => format!("{key_column} > {key}"),
            Sort::Newest => {
                format!("(record.iteration, record.key) < ({}, {key})", put(Value::Integer(number as i64)))
            }
            Sort::LowestScore => {
                format!("(review.score, review.record) > ({}, {key})", put(Value::Real(number)))
            }
            Sort::HighestScore => {
                format!("(review.score, review.record) < ({}, {key})", put(Value::Real(number)))
            }
        });
    }
    let mut sql = format!(
        "SELECT record.key, record.iteration, record.origin, {score}, verdict.rule,
             substr(record.prompt, 1, 700), substr(record.response, 1, 700), (SELECT action FROM judgement
             WHERE subject = 'record' AND judgement.key = record.key ORDER BY number DESC LIMIT 1)
         FROM {from} LEFT JOIN verdict ON verdict.record = record.key"
    );
    if !conditions.is_empty() {
        // A string takes all that is written to it.
        let _ = write!(sql, " WHERE {}", conditions.join(" AND "));
    }
    let _ = write!(sql, " ORDER BY {order} LIMIT {}", limit + 1);
    Ok((sql, values))
}

/// The columns of a page without a row.
const COLUMNS_OF_NOTHING: &str = "SELECT '', 0, '', NULL, NULL, '', '', NULL";

/// A word in which `%` and `_` mean themselves.
fn escaped(word: &str) -> String {
    word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

fn cursor(sort: Sort, row: &RecordRow) -> String {
    let number = match sort {
        Sort::Key => 0.0,
        Sort::Newest => f64::from(row.iteration),
        Sort::LowestScore | Sort::HighestScore => row.score.unwrap_or_default(),
    };
    crate::ledger::json(&(number, &row.key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::hand_filled;

    /// All keys, by pages of two.
    fn keys(ledger: &Ledger, filter: &RecordFilter) -> Vec<String> {
        let mut filter = RecordFilter { limit: Some(2), ..filter.clone() };
        let mut keys = Vec::new();
        loop {
            let page = record_page(ledger, &filter).unwrap();
            keys.extend(page.rows.into_iter().map(|row| row.key));
            match page.next {
                Some(next) => filter.after = Some(next),
                None => return keys,
            }
        }
    }

    #[test]
    fn pages_together_are_all_records_in_every_order() {
        let run = hand_filled::whole();
        let all = |sort| keys(&run.ledger, &RecordFilter { sort, ..RecordFilter::default() });
        let by_key = all(Sort::Key);
        assert_eq!(by_key.len(), 10);
        assert!(by_key.is_sorted());
        let mut newest = all(Sort::Newest);
        newest.sort();
        assert_eq!(newest, by_key);
        let lowest = all(Sort::LowestScore);
        let mut highest = all(Sort::HighestScore);
        highest.reverse();
        assert_eq!(lowest, highest);
        assert!(!lowest.is_empty() && lowest.len() < 10, "{lowest:?}");
    }

    #[test]
    fn filters_are_those_of_the_tables() {
        let run = hand_filled::whole();
        let count = |filter: RecordFilter| keys(&run.ledger, &filter).len() as u64;
        let rows = |sql: &str| run.ledger.value::<u64>(sql, []).unwrap().unwrap();
        let fate = |fate| RecordFilter { fate: Some(fate), ..RecordFilter::default() };
        assert_eq!(count(fate(Fate::Dropped)), rows("SELECT count(*) FROM verdict WHERE rule IS NOT NULL"));
        assert_eq!(count(fate(Fate::Kept)), rows("SELECT count(*) FROM verdict WHERE rule IS NULL"));
        assert_eq!(count(fate(Fate::Rejected)), 1);
        let seeds = RecordFilter { origin: Some(Origin::Seed), ..RecordFilter::default() };
        assert_eq!(count(seeds), 4);
        let text = |text: &str| RecordFilter { text: text.into(), ..RecordFilter::default() };
        assert_eq!(count(text("of a/1 RESPONSE")), 2);
        assert_eq!(count(text("a%1")), 0, "a percent sign means itself");
        let score = RecordFilter { least: Some(3.0), below: Some(4.0), ..RecordFilter::default() };
        assert_eq!(
            count(score.clone()),
            keys(&run.ledger, &RecordFilter { reviewed: Some(1), ..score }).len() as u64
        );
    }

    #[test]
    fn a_place_that_no_page_gave_is_an_error() {
        let run = hand_filled::whole();
        let filter = RecordFilter { after: Some("'; DROP TABLE record".into()), ..RecordFilter::default() };
        assert!(matches!(record_page(&run.ledger, &filter), Err(EvolveError::Query { .. })));
    }
}
