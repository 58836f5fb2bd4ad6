//! Seeds, samples, records, cleaning, and the pool.

use lancer_backend::Conversation;
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Ledger, from_json, json};
use crate::{error::EvolveError, recipe::PoolRule, summary};

/// Where a record comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The user's data.
    Seed,
    /// A new prompt and a response to it.
    NewPrompt,
    /// A response to another record's prompt that is meant to be worse than that record's.
    WorseResponse,
}

impl Origin {
    /// Its name in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::NewPrompt => "new_prompt",
            Self::WorseResponse => "worse_response",
        }
    }

    fn from_name(name: &str) -> Self {
        match name {
            "new_prompt" => Self::NewPrompt,
            "worse_response" => Self::WorseResponse,
            _ => Self::Seed,
        }
    }
}

/// A conversation that ends with a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Names it within the run.
    pub key: String,
    /// The iteration that made it; 0 for seeds.
    pub iteration: u32,
    /// Where it comes from.
    pub origin: Origin,
    /// The record it was written from.
    pub source: Option<String>,
    /// The seed it descends from.
    pub seed: String,
    /// The sample that holds the response.
    pub sample: Option<String>,
    /// What the user wrote.
    pub prompt: String,
    /// The answer, without thoughts.
    pub response: String,
    /// The whole, where it is more than these two texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<Conversation>,
    /// What else the row of a seed holds.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
}

impl Record {
    /// The whole conversation.
    pub fn chat(&self) -> Conversation {
        match &self.conversation {
            Some(conversation) => conversation.clone(),
            None => Conversation::of_pair(&self.prompt, &self.response),
        }
    }
}

/// A text that was generated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Names it within the run.
    pub key: String,
    /// The iteration that made it.
    pub iteration: u32,
    /// `new_prompt`, `response` or `worse_response`.
    pub writing: String,
    /// The record, or for a response the prompt's sample, that it was written from.
    pub parent: String,
    /// Its number among its siblings, from 0.
    pub number: usize,
    /// What was written.
    pub text: String,
    /// Why it is not used.
    pub unusable: Option<String>,
    /// Number of its tokens.
    pub tokens: usize,
    /// Why it ended.
    pub finish: String,
}

/// What cleaning decided about a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerdictRow {
    /// The record.
    pub record: String,
    /// The iteration.
    pub iteration: u32,
    /// The rule that dropped it; `None` where it is kept.
    pub rule: Option<String>,
    /// The record that it is too like.
    pub resembles: Option<String>,
    /// What the rule measured.
    pub detail: Option<String>,
}

/// A line of a file of seeds that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RejectRow {
    /// The file.
    pub file: String,
    /// Line or row, from 1.
    pub place: u64,
    /// Why.
    pub reason: String,
    /// The beginning of the line.
    pub text: String,
}

const RECORD: &str = "SELECT record.key, record.iteration, origin, source, seed, sample, prompt, response, conversation, fields FROM record";

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        key: row.get(0)?,
        iteration: row.get(1)?,
        origin: Origin::from_name(&row.get::<_, String>(2)?),
        source: row.get(3)?,
        seed: row.get(4)?,
        sample: row.get(5)?,
        prompt: row.get(6)?,
        response: row.get(7)?,
        conversation: row.get::<_, Option<String>>(8)?.map(|text| from_json(&text, 8)).transpose()?,
        fields: row
            .get::<_, Option<String>>(9)?
            .map(|text| from_json(&text, 9))
            .transpose()?
            .unwrap_or_default(),
    })
}

const SAMPLE: &str =
    "SELECT key, iteration, writing, parent, number, text, unusable, tokens, finish FROM sample";

fn sample(row: &Row<'_>) -> rusqlite::Result<Sample> {
    Ok(Sample {
        key: row.get(0)?,
        iteration: row.get(1)?,
        writing: row.get(2)?,
        parent: row.get(3)?,
        number: row.get(4)?,
        text: row.get(5)?,
        unusable: row.get(6)?,
        tokens: row.get(7)?,
        finish: row.get(8)?,
    })
}

impl Ledger {
    pub(crate) fn add_reject(&self, row: &RejectRow) -> Result<(), EvolveError> {
        self.write(
            "INSERT OR REPLACE INTO reject VALUES (?1, ?2, ?3, ?4)",
            (&row.file, row.place, &row.reason, &row.text),
        )
    }

    /// Lines of the files of seeds that could not be used.
    pub fn rejects(&self) -> Result<Vec<RejectRow>, EvolveError> {
        self.rows("SELECT file, place, reason, text FROM reject ORDER BY file, place", [], |row| {
            Ok(RejectRow { file: row.get(0)?, place: row.get(1)?, reason: row.get(2)?, text: row.get(3)? })
        })
    }

    pub(crate) fn add_record(&self, row: &Record) -> Result<(), EvolveError> {
        self.write(
            "INSERT OR REPLACE INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            (
                &row.key,
                row.iteration,
                row.origin.as_str(),
                &row.source,
                &row.seed,
                &row.sample,
                &row.prompt,
                &row.response,
                row.conversation.as_ref().map(json),
                (!row.fields.is_empty()).then(|| json(&row.fields)),
            ),
        )
    }

    /// The records that an iteration made; 0 gives the seeds.
    pub fn records(&self, iteration: u32) -> Result<Vec<Record>, EvolveError> {
        self.rows(&format!("{RECORD} WHERE record.iteration = ?1 ORDER BY record.key"), [iteration], record)
    }

    /// The keys of the records that an iteration made, and where each comes from, without their texts.
    pub(crate) fn origins(&self, iteration: u32) -> Result<Vec<(String, Origin)>, EvolveError> {
        self.rows("SELECT key, origin FROM record WHERE iteration = ?1", [iteration], |row| {
            Ok((row.get(0)?, Origin::from_name(&row.get::<_, String>(1)?)))
        })
    }

    /// The keys of the records in the pool of an iteration.
    pub(crate) fn pool_keys(&self, iteration: u32) -> Result<Vec<String>, EvolveError> {
        let rule = self.pool_rule()?;
        self.rows(&format!("SELECT record FROM pool WHERE {rule}"), [iteration], |row| row.get(0))
    }

    /// The keys of the records of an iteration that cleaning kept.
    pub(crate) fn kept_keys(&self, iteration: u32) -> Result<Vec<String>, EvolveError> {
        self.rows("SELECT record FROM verdict WHERE iteration = ?1 AND rule IS NULL", [iteration], |row| {
            row.get(0)
        })
    }

    /// A record by its key.
    pub fn record(&self, key: &str) -> Result<Option<Record>, EvolveError> {
        let mut rows = self.rows(&format!("{RECORD} WHERE record.key = ?1"), [key], record)?;
        Ok(rows.pop())
    }

    /// The records that were written from a record.
    pub fn records_from(&self, source: &str) -> Result<Vec<Record>, EvolveError> {
        self.rows(&format!("{RECORD} WHERE record.source = ?1 ORDER BY record.key"), [source], record)
    }

    /// The records of an iteration that cleaning kept.
    pub fn kept_records(&self, iteration: u32) -> Result<Vec<Record>, EvolveError> {
        self.rows(
            &format!(
                "{RECORD} JOIN verdict ON verdict.record = record.key
                 WHERE record.iteration = ?1 AND verdict.rule IS NULL ORDER BY record.key"
            ),
            [iteration],
            record,
        )
    }

    /// The pool of seeds of an iteration.
    pub fn pool(&self, iteration: u32) -> Result<Vec<Record>, EvolveError> {
        let rule = self.pool_rule()?;
        self.rows(
            &format!("{RECORD} JOIN pool ON pool.record = record.key WHERE {rule} ORDER BY record.key"),
            [iteration],
            record,
        )
    }

    /// Which rows of `pool` are in the pool of iteration `?1`, in SQL.
    fn pool_rule(&self) -> Result<&'static str, EvolveError> {
        Ok(match summary::recipe(self)?.merge.pool {
            PoolRule::Grows => "pool.iteration <= ?1",
            // The user's seeds joined for the first iteration.
            PoolRule::SeedsAndNewest => "pool.iteration IN (1, ?1)",
        })
    }

    /// Every record.
    pub(crate) fn all_records(&self) -> Result<Vec<Record>, EvolveError> {
        self.rows(RECORD, [], record)
    }

    pub(crate) fn add_to_pool(&self, record: &str, iteration: u32) -> Result<(), EvolveError> {
        self.write("INSERT OR IGNORE INTO pool VALUES (?1, ?2)", (record, iteration))
    }

    pub(crate) fn add_sample(&self, row: &Sample) -> Result<(), EvolveError> {
        self.write(
            "INSERT OR REPLACE INTO sample VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            (
                &row.key,
                row.iteration,
                &row.writing,
                &row.parent,
                row.number,
                &row.text,
                &row.unusable,
                row.tokens,
                &row.finish,
            ),
        )
    }

    /// What an iteration has generated, by key.
    pub fn samples(&self, iteration: u32) -> Result<Vec<Sample>, EvolveError> {
        self.rows(&format!("{SAMPLE} WHERE iteration = ?1 ORDER BY key"), [iteration], sample)
    }

    /// A sample by its key.
    pub fn sample(&self, key: &str) -> Result<Option<Sample>, EvolveError> {
        Ok(self.rows(&format!("{SAMPLE} WHERE key = ?1"), [key], sample)?.pop())
    }

    /// The samples that were written from a record or from a prompt's sample.
    pub fn samples_from(&self, parent: &str) -> Result<Vec<Sample>, EvolveError> {
        self.rows(&format!("{SAMPLE} WHERE parent = ?1 ORDER BY key"), [parent], sample)
    }

    pub(crate) fn add_verdict(&self, row: &VerdictRow) -> Result<(), EvolveError> {
        self.write(
            "INSERT OR REPLACE INTO verdict VALUES (?1, ?2, ?3, ?4, ?5)",
            (&row.record, row.iteration, &row.rule, &row.resembles, &row.detail),
        )
    }

    /// What cleaning decided in an iteration.
    pub fn verdicts(&self, iteration: u32) -> Result<Vec<VerdictRow>, EvolveError> {
        self.rows(&format!("{VERDICT} WHERE iteration = ?1 ORDER BY record"), [iteration], verdict)
    }

    /// What cleaning decided about a record.
    pub fn verdict(&self, record: &str) -> Result<Option<VerdictRow>, EvolveError> {
        Ok(self.rows(&format!("{VERDICT} WHERE record = ?1"), [record], verdict)?.pop())
    }
}

const VERDICT: &str = "SELECT record, iteration, rule, resembles, detail FROM verdict";

fn verdict(row: &Row<'_>) -> rusqlite::Result<VerdictRow> {
    Ok(VerdictRow {
        record: row.get(0)?,
        iteration: row.get(1)?,
        rule: row.get(2)?,
        resembles: row.get(3)?,
        detail: row.get(4)?,
    })
}
