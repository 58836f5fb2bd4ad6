//! Counts agree: samples, records, verdicts, reviews, and the tokens that were written.

use super::{
    Check, Promise,
    rules::{Rule, broken},
};
use crate::{error::EvolveError, ledger::Ledger};

/// The iterations in which a stage is finished.
macro_rules! finished {
    ($stage:literal) => {
        concat!("(SELECT iteration FROM stage WHERE stage = '", $stage, "')")
    };
}

const RULES: &[Rule] = &[
    Rule {
        table: "sample",
        wrong: "it is usable, and has no record",
        query: concat!(
            "SELECT sample.key FROM sample LEFT JOIN sample AS prompt ON prompt.key = sample.parent
             WHERE sample.unusable IS NULL AND prompt.unusable IS NULL AND sample.writing <> 'new_prompt'
             AND sample.key NOT IN (SELECT sample FROM record WHERE sample IS NOT NULL)
             AND sample.iteration IN ",
            finished!("generate"),
            " ORDER BY sample.key"
        ),
    },
    Rule {
        table: "record",
        wrong: "cleaning is finished, and has decided nothing about it",
        query: concat!(
            "SELECT key FROM record WHERE iteration > 0 AND key NOT IN (SELECT record FROM verdict)
             AND iteration IN ",
            finished!("clean"),
            " ORDER BY key"
        ),
    },
    Rule {
        table: "record",
        wrong: "it is a seed, and neither in the pool nor left out",
        query: concat!(
            "SELECT key FROM record WHERE iteration = 0 AND key NOT IN (SELECT record FROM pool)
             AND key NOT IN (SELECT record FROM verdict) AND 0 IN ",
            finished!("import"),
            " ORDER BY key"
        ),
    },
    Rule {
        table: "verdict",
        wrong: "it is about a record of another iteration",
        query: "SELECT record FROM verdict JOIN record ON record.key = verdict.record
                WHERE verdict.iteration <> record.iteration ORDER BY record",
    },
    Rule {
        table: "pool",
        wrong: "cleaning has dropped the record",
        query: "SELECT record FROM pool JOIN verdict USING (record) WHERE rule IS NOT NULL ORDER BY record",
    },
    Rule {
        table: "pool",
        wrong: "the seeds are reviewed, and it has no review",
        query: concat!(
            "SELECT calibration.iteration || ' ' || pool.record FROM calibration
             JOIN pool ON pool.iteration <= calibration.iteration
             WHERE calibration.iteration IN ",
            finished!("review_seeds"),
            " AND NOT EXISTS (SELECT 1 FROM review WHERE review.iteration = calibration.iteration
                              AND review.record = pool.record)
             ORDER BY calibration.iteration, pool.record"
        ),
    },
    Rule {
        table: "record",
        wrong: "the new records are reviewed, and it was kept and has no review",
        query: concat!(
            "SELECT record.key FROM record JOIN verdict ON verdict.record = record.key AND verdict.rule IS NULL
             JOIN calibration ON calibration.iteration = record.iteration
             WHERE record.iteration IN ",
            finished!("review_new"),
            " AND NOT EXISTS (SELECT 1 FROM review WHERE review.iteration = record.iteration
                              AND review.record = record.key)
             ORDER BY record.key"
        ),
    },
    Rule {
        table: "evaluation",
        wrong: "its task has a gap in its items",
        query: "SELECT iteration || ' ' || task FROM evaluation GROUP BY iteration, task
                HAVING min(item) <> 0 OR max(item) + 1 <> count(*) ORDER BY iteration, task",
    },
    Rule {
        table: "evaluation",
        wrong: "its task has another number of items than the first model's",
        query: concat!(
            "SELECT evaluation.iteration || ' ' || evaluation.task FROM evaluation
             WHERE evaluation.iteration IN ",
            finished!("evaluate"),
            " GROUP BY evaluation.iteration, evaluation.task
             HAVING count(*) <> (SELECT count(*) FROM evaluation AS first
                                 WHERE first.iteration = 0 AND first.task = evaluation.task)
             ORDER BY evaluation.iteration, evaluation.task"
        ),
    },
    Rule {
        table: "step",
        wrong: "the phase has a gap in its steps",
        // A step of which every example was set aside, by then or earlier, is not made.
        query: "SELECT DISTINCT iteration || ' ' || phase FROM step
                WHERE step > 1
                AND NOT EXISTS (SELECT 1 FROM step AS made
                                WHERE made.iteration = step.iteration AND made.phase = step.phase
                                AND made.step = step.step - 1)
                AND NOT EXISTS (SELECT 1 FROM set_aside
                                WHERE set_aside.iteration = step.iteration AND set_aside.phase = step.phase
                                AND set_aside.step < step.step)
                ORDER BY iteration, phase",
    },
    Rule {
        table: "held_out",
        wrong: "it comes after the phase's last step",
        query: "SELECT iteration || ' ' || phase || ' ' || step FROM held_out
                WHERE NOT EXISTS (SELECT 1 FROM set_aside WHERE set_aside.iteration = held_out.iteration
                                  AND set_aside.phase = held_out.phase)
                AND step > (SELECT coalesce(max(step), 0) FROM step
                              WHERE step.iteration = held_out.iteration AND step.phase = held_out.phase)
                ORDER BY iteration, phase, step",
    },
    Rule {
        table: "timing",
        wrong: "its stage wrote another number of tokens than its samples have",
        // Before version 2, tokens of interrupted invocations were not counted.
        query: concat!(
            "SELECT CAST(iteration AS TEXT) FROM timing WHERE stage = 'generate' AND iteration IN ",
            finished!("generate"),
            " AND NOT EXISTS (SELECT 1 FROM meta WHERE name = 'begun_with_version')
             AND generated <> (SELECT coalesce(sum(tokens), 0) FROM sample
                               WHERE sample.iteration = timing.iteration)
             ORDER BY iteration"
        ),
    },
];

pub(super) fn check(ledger: &Ledger) -> Result<Check, EvolveError> {
    let mut check = Check::new(Promise::Counts);
    check.tested = ledger.value("SELECT count(*) FROM stage", [])?.unwrap_or(0);
    check.broken = broken(ledger, RULES)?;
    Ok(check)
}
