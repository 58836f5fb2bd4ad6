//! What a person decided about records and preference pairs.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

use super::{Ledger, damage::failed, migrations, open_to_read};
use crate::error::EvolveError;

/// How long a judgement waits for the rows that a run is writing.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A record: a prompt and its response.
    Record,
    /// A preference pair.
    Pair,
}

/// What a person decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is good: a record has the highest score, a pair is trained on as it is.
    Accept,
    /// It is not: a record has the lowest score, a pair is not trained on.
    Reject,
    /// The person wrote the response, or the chosen side, anew.
    Edit,
    /// The rejected side of a pair is the better one.
    Flip,
    /// The score of a record.
    Score,
    /// What was decided before does not count any more.
    Withdraw,
}

/// A judgement that is to be written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewJudgement {
    /// What is judged.
    pub subject: Subject,
    /// The iteration that made the record or the pair.
    pub iteration: u32,
    /// Its key.
    pub key: String,
    /// What was decided.
    pub action: Action,
    /// 0 to 10, of [`Action::Score`] alone.
    #[serde(default)]
    pub score: Option<f64>,
    /// Of [`Action::Edit`] alone.
    #[serde(default)]
    pub response: Option<String>,
    /// Who decided it.
    pub person: String,
}

/// A judgement in the ledger.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// Its number, in the order in which judgements were made.
    pub number: u64,
    /// What was decided, about what, by whom.
    #[serde(flatten)]
    pub judgement: NewJudgement,
    /// When: RFC 3339, UTC.
    pub at: String,
}

impl Subject {
    /// Its name in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Pair => "pair",
        }
    }
}

impl Action {
    const ALL: [Self; 6] = [Self::Accept, Self::Reject, Self::Edit, Self::Flip, Self::Score, Self::Withdraw];

    /// Its name in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Edit => "edit",
            Self::Flip => "flip",
            Self::Score => "score",
            Self::Withdraw => "withdraw",
        }
    }
}

impl NewJudgement {
    /// Checks that the parts belong together.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what it may be.
    pub fn validate(&self) -> Result<(), String> {
        if self.person.trim().is_empty() {
            return Err("person: who judges has to be named".into());
        }
        match (self.subject, self.action) {
            (Subject::Record, Action::Flip) => return Err("action: only a pair can be flipped".into()),
            (Subject::Pair, Action::Score) => return Err("action: only a record can be scored".into()),
            _ => {}
        }
        match (self.action, self.score) {
            (Action::Score, Some(score)) if (0.0..=10.0).contains(&score) => {}
            (Action::Score, _) => return Err("score: a number from 0 to 10 is needed".into()),
            (_, None) => {}
            (_, Some(_)) => return Err("score: only the action `score` has one".into()),
        }
        match (self.action, &self.response) {
            (Action::Edit, Some(text)) if !text.trim().is_empty() => Ok(()),
            (Action::Edit, _) => Err("response: what was written instead is needed".into()),
            (_, None) => Ok(()),
            (_, Some(_)) => Err("response: only the action `edit` has one".into()),
        }
    }
}

/// Writes a judgement into the ledger of a run, which may be at work, and gives its number.
///
/// The run's own process holds the ledger's lock, so this writes through a connection of its own, in one transaction that counts
/// as a commit. A ledger of an older version is brought up to this one first.
///
/// # Errors
/// [`EvolveError::Judgement`] where the judgement makes no sense or is about nothing in the ledger; what opening and writing the
/// ledger gives.
pub fn judge(ledger: &Path, new: &NewJudgement) -> Result<u64, EvolveError> {
    let wrong = |reason: String| EvolveError::Judgement { key: new.key.clone(), reason };
    new.validate().map_err(wrong)?;
    bring_up(ledger)?;
    let connection = Connection::open_with_flags(ledger, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .map_err(failed(ledger, "open"))?;
    let written = (|| {
        connection.busy_timeout(PATIENCE)?;
        connection.execute_batch("PRAGMA synchronous = FULL; BEGIN IMMEDIATE")?;
        if !exists(&connection, new)? {
            return Ok(None);
        }
        connection.execute("UPDATE commits SET number = number + 1", [])?;
        connection.execute(
            "INSERT INTO judgement (subject, iteration, key, action, score, response, person, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
            (
                new.subject.as_str(),
                new.iteration,
                &new.key,
                new.action.as_str(),
                new.score,
                &new.response,
                new.person.trim(),
            ),
        )?;
        let number = connection.last_insert_rowid() as u64;
        connection.execute_batch("COMMIT")?;
        Ok(Some(number))
    })();
    // A transaction that is not committed ends with its connection.
    written
        .map_err(failed(ledger, "write to"))?
        .ok_or_else(|| wrong(format!("iteration {} has no such {}", new.iteration, new.subject.as_str())))
}

/// Brings a ledger of an older version up to this one.
fn bring_up(ledger: &Path) -> Result<(), EvolveError> {
    let version = {
        let connection = open_to_read(ledger).map_err(failed(ledger, "open"))?;
        migrations::version(&connection, ledger)?
    };
    if version != Some(migrations::VERSION) {
        drop(Ledger::open(ledger)?);
    }
    Ok(())
}

fn exists(connection: &Connection, new: &NewJudgement) -> rusqlite::Result<bool> {
    let sql = match new.subject {
        Subject::Record => "SELECT count(*) FROM record WHERE key = ?1 AND iteration = ?2",
        Subject::Pair => "SELECT count(*) FROM pair WHERE key = ?1 AND iteration = ?2",
    };
    connection.query_row(sql, (&new.key, new.iteration), |row| row.get::<_, u32>(0)).map(|rows| rows > 0)
}

const JUDGEMENT: &str =
    "SELECT number, subject, iteration, key, action, score, response, person, at FROM judgement";

impl Ledger {
    /// The last judgement about each record and pair, in the order in which they were made; what was withdrawn is left out.
    pub fn judgements(&self) -> Result<Vec<Judgement>, EvolveError> {
        let last = "WHERE number IN (SELECT max(number) FROM judgement GROUP BY subject, iteration, key)";
        self.rows(&format!("{JUDGEMENT} {last} AND action <> 'withdraw' ORDER BY number"), [], judgement)
    }

    /// Every judgement about a record or a pair, also those that later ones replaced.
    pub fn judgements_of(&self, subject: Subject, key: &str) -> Result<Vec<Judgement>, EvolveError> {
        self.rows(
            &format!("{JUDGEMENT} WHERE subject = ?1 AND key = ?2 ORDER BY number"),
            (subject.as_str(), key),
            judgement,
        )
    }
}

fn judgement(row: &rusqlite::Row<'_>) -> rusqlite::Result<Judgement> {
    let subject: String = row.get(1)?;
    let action: String = row.get(4)?;
    Ok(Judgement {
        number: row.get(0)?,
        judgement: NewJudgement {
            subject: if subject == Subject::Pair.as_str() { Subject::Pair } else { Subject::Record },
            iteration: row.get(2)?,
            key: row.get(3)?,
            action: Action::ALL
                .into_iter()
                .find(|known| known.as_str() == action)
                .unwrap_or(Action::Withdraw),
            score: row.get(5)?,
            response: row.get(6)?,
            person: row.get(7)?,
        },
        at: row.get(8)?,
    })
}
