//! A checksum of the rows of each stage that is finished, by which bytes that were flipped and rows that are gone are found.
//!
//! It covers the names and values of all columns but those without a value, and does not depend on the order of rows. So a
//! migration may add columns that older rows have no value in, and tables that an older stage has no rows in ([`ADDED`]).

use rusqlite::{Connection, types::ValueRef};
use sha2::{Digest, Sha256};

use super::Ledger;
use crate::{error::EvolveError, stage::Stage};

/// The tables that a stage writes to, each with the condition by which its rows are found; `?1` is the iteration.
const SEALED: [(Stage, &[(&str, &str)]); 11] = [
    (
        Stage::Import,
        &[
            ("reject", "?1 = 0"),
            ("record", "iteration = ?1"),
            ("pool", "iteration = ?1 + 1"),
            ("verdict", "iteration = ?1"),
        ],
    ),
    (Stage::Calibrate, &[("calibration", "iteration = ?1")]),
    (
        Stage::ReviewSeeds,
        &[("review", "iteration = ?1 AND record IN (SELECT record FROM pool WHERE iteration <= ?1)")],
    ),
    (Stage::Generate, &[("sample", "iteration = ?1"), ("record", "iteration = ?1")]),
    (Stage::Clean, &[("verdict", "iteration = ?1")]),
    (
        Stage::ReviewNew,
        &[("review", "iteration = ?1 AND record IN (SELECT key FROM record WHERE iteration = ?1)")],
    ),
    (Stage::Annotate, &[("sft", "iteration = ?1"), ("pair", "iteration = ?1")]),
    (
        Stage::Sft,
        &[
            ("step", "iteration = ?1 AND phase = 'sft'"),
            ("step_example", "iteration = ?1 AND phase = 'sft'"),
            ("held_out", "iteration = ?1 AND phase = 'sft'"),
            ("set_aside", "iteration = ?1 AND phase = 'sft'"),
        ],
    ),
    (
        Stage::Preference,
        &[
            ("reference", "iteration = ?1"),
            ("step", "iteration = ?1 AND phase = 'preference'"),
            ("step_example", "iteration = ?1 AND phase = 'preference'"),
            ("held_out", "iteration = ?1 AND phase = 'preference'"),
            ("set_aside", "iteration = ?1 AND phase = 'preference'"),
        ],
    ),
    (Stage::Evaluate, &[("evaluation", "iteration = ?1")]),
    (Stage::Merge, &[("pool", "iteration = ?1 + 1"), ("start", "iteration = ?1 + 1")]),
];

/// The tables whose rows belong to no stage, or change after it.
pub(crate) const UNSEALED: [&str; 8] =
    ["commits", "hashed", "input", "judgement", "meta", "model", "stage", "timing"];

/// Tables that came after the first seals: where they have no rows, a seal is what it was without them.
const ADDED: [&str; 1] = ["step_example"];

impl Ledger {
    /// The checksum of a stage's rows as they are now.
    pub(crate) fn seal(&self, iteration: u32, stage: Stage) -> Result<String, EvolveError> {
        self.query(|connection| of(connection, iteration, stage))
    }

    /// The stages that are finished, each with the checksum of its rows from then; none where an older lancer finished it.
    pub(crate) fn sealed(&self) -> Result<Vec<(u32, Stage, Option<String>)>, EvolveError> {
        let rows = self.rows("SELECT iteration, stage, sha256 FROM stage", [], |row| {
            let stage = Stage::from_name(&row.get::<_, String>(1)?);
            Ok(stage.map(|stage| (row.get(0), stage, row.get(2))))
        })?;
        let mut sealed = Vec::new();
        for (iteration, stage, sha256) in rows.into_iter().flatten() {
            let failed = || super::failed(self.path(), "read");
            sealed.push((iteration.map_err(failed())?, stage, sha256.map_err(failed())?));
        }
        sealed.sort_by_key(|(iteration, stage, _)| (*iteration, *stage));
        Ok(sealed)
    }
}

fn of(connection: &Connection, iteration: u32, stage: Stage) -> rusqlite::Result<String> {
    let parts = SEALED.iter().filter(|(of, _)| *of == stage).flat_map(|(_, parts)| *parts);
    let mut seal = Sha256::new();
    for (table, condition) in parts {
        let mut statement = connection.prepare_cached(&format!("SELECT * FROM {table} WHERE {condition}"))?;
        let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
        let mut rows = statement.query([iteration])?;
        let mut digests: Vec<[u8; 32]> = Vec::new();
        while let Some(row) = rows.next()? {
            let mut digest = Sha256::new();
            for (column, name) in names.iter().enumerate() {
                add(&mut digest, name, row.get_ref(column)?);
            }
            digests.push(digest.finalize().into());
        }
        if digests.is_empty() && ADDED.contains(table) {
            continue;
        }
        digests.sort_unstable();
        seal.update(table.as_bytes());
        seal.update((digests.len() as u64).to_le_bytes());
        for digest in &digests {
            seal.update(digest);
        }
    }
    Ok(format!("{:x}", seal.finalize()))
}

fn add(digest: &mut Sha256, name: &str, value: ValueRef<'_>) {
    let mut part = |kind: u8, bytes: &[u8]| {
        digest.update([kind]);
        for part in [name.as_bytes(), bytes] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
    };
    match value {
        ValueRef::Null => {}
        ValueRef::Integer(value) => part(1, &value.to_le_bytes()),
        ValueRef::Real(value) => part(2, &value.to_bits().to_le_bytes()),
        ValueRef::Text(text) => part(3, text),
        ValueRef::Blob(bytes) => part(4, bytes),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{SEALED, UNSEALED};
    use crate::{ledger::expected_tables, stage::Stage, summary::hand_filled};

    #[test]
    fn every_table_is_sealed_or_said_not_to_be() {
        let sealed = SEALED.iter().flat_map(|(_, parts)| *parts).map(|(table, _)| *table);
        let listed: BTreeSet<String> = sealed.chain(UNSEALED).map(str::to_owned).collect();
        let there: BTreeSet<String> = expected_tables().unwrap().into_keys().collect();
        assert_eq!(listed, there, "name each table in SEALED, with the stage that writes it, or in UNSEALED");
    }

    #[test]
    fn a_seal_sees_a_changed_value_and_a_missing_row() {
        let run = hand_filled::whole();
        let seal = |stage| run.ledger.seal(1, stage).unwrap();
        let before = Stage::ITERATION.map(seal);
        let change = |sql: &str| run.ledger.query(|connection| connection.execute_batch(sql)).unwrap();
        change("UPDATE sample SET text = text || 'x' WHERE key = 'a/1/w0'");
        change("DELETE FROM held_out WHERE step = 10");
        change("UPDATE review SET score = 3.500001 WHERE record = 'a/1/w0'");
        for (stage, before) in Stage::ITERATION.into_iter().zip(before) {
            let is_changed = matches!(stage, Stage::Generate | Stage::Sft | Stage::ReviewNew);
            assert_eq!(seal(stage) != before, is_changed, "{stage}");
        }
    }
}
