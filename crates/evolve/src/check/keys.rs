//! Keys and texts derive from what caused them.

use super::{
    Check, Promise,
    rules::{Rule, broken, sentence},
};
use crate::{error::EvolveError, ledger::Ledger, stages::sample_key};

const RULES: &[Rule] = &[
    Rule {
        table: "record",
        wrong: "its key is not that of its sample",
        query: "SELECT key FROM record WHERE sample IS NOT NULL AND sample <> key ORDER BY key",
    },
    Rule {
        table: "record",
        wrong: "its response is not the text of its sample",
        query: "SELECT record.key FROM record JOIN sample ON sample.key = record.sample
                WHERE sample.text <> record.response OR sample.unusable IS NOT NULL
                   OR sample.iteration <> record.iteration ORDER BY record.key",
    },
    Rule {
        table: "record",
        wrong: "its prompt is not the one that was written for it",
        query: "SELECT record.key FROM record JOIN sample AS response ON response.key = record.sample
                JOIN sample AS prompt ON prompt.key = response.parent
                WHERE origin = 'new_prompt' AND prompt.text <> record.prompt ORDER BY record.key",
    },
    Rule {
        table: "record",
        wrong: "its prompt or its seed is not its source's",
        query: "SELECT record.key FROM record JOIN record AS source ON source.key = record.source
                WHERE source.seed <> record.seed
                   OR (record.origin = 'worse_response' AND source.prompt <> record.prompt) ORDER BY record.key",
    },
    Rule {
        table: "record",
        wrong: "it is a seed of the user's, and is said to come from elsewhere",
        query: "SELECT key FROM record WHERE (iteration = 0) <> (origin = 'seed')
                OR (iteration = 0 AND (seed <> key OR source IS NOT NULL OR sample IS NOT NULL)) ORDER BY key",
    },
    Rule {
        table: "sft",
        wrong: "its key or its texts are not its record's",
        query: "SELECT sft.iteration || ' ' || sft.key FROM sft JOIN record ON record.key = sft.record
                WHERE (kind = 'response' AND judgement IS NULL AND (sft.key <> record.key OR sft.prompt <> record.prompt
                                              OR sft.response <> record.response))
                   OR (kind = 'review' AND sft.key <> record.key || '/review') ORDER BY sft.iteration, sft.key",
    },
    Rule {
        table: "pair",
        wrong: "its key or its chosen side is not its record's",
        query: "SELECT pair.iteration || ' ' || pair.key FROM pair JOIN record ON record.key = pair.record
                WHERE pair.judgement IS NULL AND (pair.prompt <> record.prompt OR pair.chosen <> record.response
                   OR substr(pair.key, 1, length(record.key) + 1) <> record.key || '>')
                ORDER BY pair.iteration, pair.key",
    },
    Rule {
        table: "pair",
        wrong: "its key or its rejected side is not its record's",
        query: "SELECT pair.iteration || ' ' || pair.key FROM pair JOIN record ON record.key = pair.rejected_record
                WHERE pair.judgement IS NULL
                  AND (pair.rejected <> record.response OR pair.key <> pair.record || '>' || record.key)
                ORDER BY pair.iteration, pair.key",
    },
];

pub(super) fn check(ledger: &Ledger) -> Result<Check, EvolveError> {
    let mut check = Check::new(Promise::Keys);
    let rows = ledger.rows(
        "SELECT key, parent, iteration, writing, number FROM sample ORDER BY key",
        [],
        |row| -> rusqlite::Result<(String, String, u32, String, usize)> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        },
    )?;
    let wrong: Vec<&String> = rows
        .iter()
        .filter(|(key, parent, iteration, writing, number)| {
            sample_key(parent, *iteration, writing, *number).as_ref() != Some(key)
        })
        .map(|(key, ..)| key)
        .collect();
    if let Some(first) = wrong.first() {
        check.broken.push(sentence(
            "sample",
            "its key is not made of its parent, its iteration and its number",
            wrong.len(),
            first,
        ));
    }
    check.broken.extend(broken(ledger, RULES)?);
    check.tested = super::count_rows(ledger)?;
    Ok(check)
}
