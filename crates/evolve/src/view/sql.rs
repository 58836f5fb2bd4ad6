//! A read-only query over a ledger, ended when it takes too long.

use std::fmt::Write as _;
use std::{path::Path, sync::mpsc, thread, time::Duration};

use rusqlite::{ErrorCode, types::ValueRef};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{error::EvolveError, ledger::Ledger};

/// What a query gave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Value>>,
    /// Whether there are more rows than were asked for.
    pub is_cut: bool,
}

/// What one query over the ledger in `path` gives: at most `most` rows, within `limit` of time.
///
/// Nothing can be written: the file is opened for reading alone, and only a statement that gives columns and reads is run.
///
/// # Errors
/// [`EvolveError::Query`] with what `SQLite` says of the query, or that it took too long; what opening the ledger gives.
pub fn query(path: &Path, sql: &str, limit: Duration, most: usize) -> Result<Answer, EvolveError> {
    let ledger = Ledger::read(path)?;
    let (done, is_done) = mpsc::channel::<()>();
    let handle = ledger.query(|connection| Ok(connection.get_interrupt_handle()))?;
    let watch = thread::spawn(move || {
        if is_done.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            handle.interrupt();
        }
    });
    let answer = ledger.query(|connection| {
        connection.execute_batch("PRAGMA query_only = ON")?;
        let mut statement = connection.prepare(sql)?;
        if statement.column_count() == 0 || !statement.readonly() {
            return Ok(None);
        }
        let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
        let mut found = statement.query([])?;
        let mut rows = Vec::new();
        let mut is_cut = false;
        while let Some(row) = found.next()? {
            if rows.len() == most {
                is_cut = true;
                break;
            }
            let cells = (0..columns.len()).map(|column| row.get_ref(column).map(value));
            rows.push(cells.collect::<rusqlite::Result<Vec<Value>>>()?);
        }
        Ok(Some(Answer { columns, rows, is_cut }))
    });
    drop(done);
    let _ = watch.join();
    let refused = |reason: String| EvolveError::Query { reason };
    match answer {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(refused("it reads nothing; give one SELECT".into())),
        Err(EvolveError::Ledger { source, .. }) => Err(refused(match source.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => {
                format!("it took longer than {} s; narrow it down, or give more time", limit.as_secs_f64())
            }
            _ => source.to_string(),
        })),
        Err(error) => Err(error),
    }
}

fn value(cell: ValueRef<'_>) -> Value {
    match cell {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => json!(number),
        ValueRef::Real(number) => json!(number),
        ValueRef::Text(text) => Value::String(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::String(bytes.iter().fold(String::new(), |mut text, byte| {
            // A string takes all that is written to it.
            let _ = write!(text, "{byte:02x}");
            text
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::hand_filled;

    const LIMIT: Duration = Duration::from_mins(1);

    #[test]
    fn a_query_reads_and_nothing_else() {
        let run = hand_filled::whole();
        run.ledger.flush().unwrap();
        let path = run.ledger.path();
        let answer = query(path, "SELECT key, iteration FROM record ORDER BY key LIMIT 3", LIMIT, 2).unwrap();
        assert_eq!(answer.columns, ["key", "iteration"]);
        assert_eq!((answer.rows.len(), answer.is_cut), (2, true));
        let elsewhere = run.folder.path().join("stolen.sqlite");
        for sql in [
            "DELETE FROM record",
            "UPDATE record SET prompt = '' RETURNING key",
            "INSERT INTO meta VALUES ('a', 'b')",
            "DROP TABLE record",
            "PRAGMA journal_mode = DELETE",
            "ATTACH 'other.sqlite' AS other",
            &format!("VACUUM INTO '{}'", elsewhere.display()),
            "BEGIN IMMEDIATE",
            "not sql",
            "",
        ] {
            let result = query(path, sql, LIMIT, 10);
            let harmless = sql.starts_with("PRAGMA");
            assert!(result.is_err() || harmless, "{sql}: {result:?}");
        }
        assert!(!elsewhere.exists());
        assert_eq!(run.ledger.records(0).unwrap().len(), 4);
        let mode: String = run.ledger.value("PRAGMA journal_mode", []).unwrap().unwrap();
        assert_eq!(mode, "wal");
    }

    #[test]
    fn a_query_without_end_is_ended() {
        let run = hand_filled::whole();
        run.ledger.flush().unwrap();
        let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n";
        let error = query(run.ledger.path(), endless, Duration::from_millis(50), 10).unwrap_err();
        assert!(error.to_string().contains("took longer than"), "{error}");
    }
}
