//! Rules that are queries: what breaks one is what its query finds.

use crate::{error::EvolveError, ledger::Ledger};

/// A rule over the rows of a table.
pub(super) struct Rule {
    /// The table.
    pub(super) table: &'static str,
    /// What is wrong with the rows that the query finds, such as `has no record`.
    pub(super) wrong: &'static str,
    /// Finds them: one column that names a row.
    pub(super) query: &'static str,
}

/// The rules that are broken, a sentence each with the number of rows and the first of them.
pub(super) fn broken(ledger: &Ledger, rules: &[Rule]) -> Result<Vec<String>, EvolveError> {
    let mut broken = Vec::new();
    for rule in rules {
        let rows: Vec<String> = ledger.rows(rule.query, [], |row| row.get(0))?;
        if let Some(first) = rows.first() {
            broken.push(sentence(rule.table, rule.wrong, rows.len(), first));
        }
    }
    Ok(broken)
}

/// `3 rows of record: the sample is missing; the first is s1/1/p0/r0`.
pub(super) fn sentence(table: &str, wrong: &str, rows: usize, first: &str) -> String {
    match rows {
        1 => format!("1 row of `{table}`, {first}: {wrong}"),
        rows => format!("{rows} rows of `{table}`: {wrong}; the first is {first}"),
    }
}
