//! Every row's parents exist.

use super::{
    Check, Promise,
    rules::{Rule, broken},
};
use crate::{error::EvolveError, ledger::Ledger};

const RULES: &[Rule] = &[
    Rule {
        table: "record",
        wrong: "the seed that it descends from is missing",
        query: "SELECT key FROM record WHERE seed NOT IN (SELECT key FROM record WHERE iteration = 0) ORDER BY key",
    },
    Rule {
        table: "record",
        wrong: "the record that it was written from is missing",
        query: "SELECT key FROM record WHERE iteration > 0
                AND (source IS NULL OR source NOT IN (SELECT key FROM record)) ORDER BY key",
    },
    Rule {
        table: "record",
        wrong: "the sample that holds its response is missing",
        query: "SELECT key FROM record WHERE iteration > 0
                AND (sample IS NULL OR sample NOT IN (SELECT key FROM sample)) ORDER BY key",
    },
    Rule {
        table: "sample",
        wrong: "the record that it was written from is missing",
        query: "SELECT key FROM sample WHERE writing <> 'response' AND parent NOT IN (SELECT key FROM record)
                ORDER BY key",
    },
    Rule {
        table: "sample",
        wrong: "the prompt that it responds to is missing",
        query: "SELECT key FROM sample WHERE writing = 'response'
                AND parent NOT IN (SELECT key FROM sample WHERE writing = 'new_prompt') ORDER BY key",
    },
    Rule {
        table: "pool",
        wrong: "the record is missing",
        query: "SELECT record FROM pool WHERE record NOT IN (SELECT key FROM record) ORDER BY record",
    },
    Rule {
        table: "review",
        wrong: "the record is missing",
        query: "SELECT iteration || ' ' || record FROM review WHERE record NOT IN (SELECT key FROM record)
                ORDER BY iteration, record",
    },
    Rule {
        table: "review",
        wrong: "the calibration of its reviewer is missing",
        query: "SELECT iteration || ' ' || record FROM review
                WHERE iteration NOT IN (SELECT iteration FROM calibration) ORDER BY iteration, record",
    },
    Rule {
        table: "verdict",
        wrong: "the record is missing",
        query: "SELECT record FROM verdict WHERE record NOT IN (SELECT key FROM record) ORDER BY record",
    },
    Rule {
        table: "sft",
        wrong: "the record is missing",
        query: "SELECT iteration || ' ' || key FROM sft WHERE record NOT IN (SELECT key FROM record)
                ORDER BY iteration, key",
    },
    Rule {
        table: "pair",
        wrong: "the record of the chosen response is missing",
        query: "SELECT iteration || ' ' || key FROM pair WHERE record NOT IN (SELECT key FROM record)
                ORDER BY iteration, key",
    },
    Rule {
        table: "pair",
        wrong: "the record of the rejected response is missing",
        query: "SELECT iteration || ' ' || key FROM pair WHERE rejected_record IS NOT NULL
                AND rejected_record NOT IN (SELECT key FROM record) ORDER BY iteration, key",
    },
    Rule {
        table: "sft",
        wrong: "the person's judgement that made it is missing",
        query: "SELECT iteration || ' ' || key FROM sft WHERE judgement IS NOT NULL
                AND judgement NOT IN (SELECT number FROM judgement) ORDER BY iteration, key",
    },
    Rule {
        table: "pair",
        wrong: "the person's judgement that made it is missing",
        query: "SELECT iteration || ' ' || key FROM pair WHERE judgement IS NOT NULL
                AND judgement NOT IN (SELECT number FROM judgement) ORDER BY iteration, key",
    },
    Rule {
        table: "step_example",
        wrong: "the example or the pair is missing",
        query: "SELECT iteration || ' ' || phase || ' ' || step || ' ' || key FROM step_example
                WHERE (phase = 'sft' AND key NOT IN (SELECT key FROM sft WHERE sft.iteration = step_example.iteration))
                   OR (phase = 'preference'
                       AND key NOT IN (SELECT key FROM pair WHERE pair.iteration = step_example.iteration))
                ORDER BY iteration, phase, step, place",
    },
    Rule {
        table: "reference",
        wrong: "the pair is missing",
        query: "SELECT iteration || ' ' || pair FROM reference
                WHERE pair NOT IN (SELECT key FROM pair WHERE pair.iteration = reference.iteration)
                ORDER BY iteration, pair",
    },
    Rule {
        table: "start",
        wrong: "the model that the iteration starts from comes after it",
        query: "SELECT CAST(iteration AS TEXT) FROM start WHERE model >= iteration ORDER BY iteration",
    },
];

pub(super) fn check(ledger: &Ledger) -> Result<Check, EvolveError> {
    let mut check = Check::new(Promise::Parents);
    check.tested = super::count_rows(ledger)?;
    check.broken = broken(ledger, RULES)?;
    Ok(check)
}
