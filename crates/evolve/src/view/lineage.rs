//! Where a record comes from, and what came of it.

use serde::Serialize;

use super::{InIteration, excerpt};
use crate::{
    error::EvolveError,
    ledger::{
        Judgement, Ledger, PairRow, Phase, Record, ReviewRow, Sample, SftKind, SftRow, Subject, VerdictRow,
    },
};

/// At most so many records and samples that were written from one are listed.
const MOST_DESCENDANTS: usize = 200;

/// Everything that a run knows of a record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lineage {
    /// The record.
    pub record: Record,
    /// The records that it descends from: its source first, the seed last.
    pub ancestors: Vec<Record>,
    /// The sample that holds its response, as the model wrote it.
    pub sample: Option<Sample>,
    /// The sample that holds its prompt, where the model wrote that too.
    pub prompt_sample: Option<Sample>,
    /// Its reviews, by iteration.
    pub reviews: Vec<ReviewRow>,
    /// What cleaning decided about it.
    pub verdict: Option<VerdictRow>,
    /// The record that it was dropped for being too like.
    pub resembles: Option<Record>,
    /// What people decided about it, the last one last.
    pub judgements: Vec<Judgement>,
    /// The first iteration in whose pool of seeds it is.
    pub pool: Option<u32>,
    /// The examples for fine-tuning that were made from it.
    pub sft: Vec<InIteration<SftRow>>,
    /// The pairs of which it is the chosen side.
    pub chosen: Vec<InIteration<PairRow>>,
    /// The pairs of which it is the rejected side.
    pub rejected: Vec<InIteration<PairRow>>,
    /// The optimizer steps that trained on these examples and pairs.
    pub steps: Vec<StepUse>,
    /// The records that were written from it, the first 200.
    pub descendants: Vec<Link>,
    /// The samples that were written from it and could not be used, the first 200.
    pub unusable: Vec<Sample>,
}

/// A record, by its key and its first words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Link {
    /// Its key.
    pub key: String,
    /// The iteration that made it.
    pub iteration: u32,
    /// Where it comes from.
    pub origin: &'static str,
    /// What tells it from its siblings.
    pub words: String,
}

/// A step that trained on an example.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepUse {
    /// The iteration.
    pub iteration: u32,
    /// The phase: `sft` or `preference`.
    pub phase: &'static str,
    /// The step, from 1.
    pub step: u64,
    /// The example or pair.
    pub key: String,
    /// Its loss before the step.
    pub loss: f64,
    /// Chosen less rejected implicit reward before the step, of a pair.
    pub margin: Option<f64>,
}

/// The lineage of a record; `None` where there is no record of this key.
///
/// # Errors
/// What reading the ledger gives.
pub fn lineage(ledger: &Ledger, key: &str) -> Result<Option<Lineage>, EvolveError> {
    let Some(record) = ledger.record(key)? else { return Ok(None) };
    let sample = record.sample.as_deref().map_or(Ok(None), |key| ledger.sample(key))?;
    let prompt_sample = match &sample {
        Some(sample) if sample.writing == "response" => ledger.sample(&sample.parent)?,
        _ => None,
    };
    let verdict = ledger.verdict(key)?;
    let resembles = match verdict.as_ref().and_then(|verdict| verdict.resembles.as_deref()) {
        Some(other) => ledger.record(other)?,
        None => None,
    };
    let (sft, chosen, rejected) = (ledger.sft_of(key)?, ledger.pairs_of(key)?, ledger.pairs_rejecting(key)?);
    let mut steps = Vec::new();
    for example in &sft {
        steps.extend(ledger.steps_with(example.iteration, Phase::Sft, &example.row.key)?);
    }
    for pair in chosen.iter().chain(&rejected) {
        steps.extend(ledger.steps_with(pair.iteration, Phase::Preference, &pair.row.key)?);
    }
    Ok(Some(Lineage {
        ancestors: ancestors(ledger, &record)?,
        sample,
        prompt_sample,
        reviews: ledger.reviews_of(key)?,
        verdict,
        resembles,
        judgements: ledger.judgements_of(Subject::Record, key)?,
        pool: ledger.value("SELECT iteration FROM pool WHERE record = ?1", [key])?,
        sft,
        chosen,
        rejected,
        steps,
        descendants: ledger
            .records_from(key)?
            .into_iter()
            .take(MOST_DESCENDANTS)
            .map(|record| Link {
                words: excerpt(
                    if record.origin.as_str() == "worse_response" {
                        &record.response
                    } else {
                        &record.prompt
                    },
                    80,
                ),
                key: record.key,
                iteration: record.iteration,
                origin: record.origin.as_str(),
            })
            .collect(),
        unusable: unusable(ledger, key)?,
        record,
    }))
}

fn ancestors(ledger: &Ledger, record: &Record) -> Result<Vec<Record>, EvolveError> {
    let mut ancestors: Vec<Record> = Vec::new();
    let mut source = record.source.clone();
    while let Some(key) = source.take() {
        // A ledger that was damaged may lead in a circle.
        if key == record.key || ancestors.iter().any(|known| known.key == key) {
            break;
        }
        let Some(found) = ledger.record(&key)? else { break };
        source.clone_from(&found.source);
        ancestors.push(found);
    }
    Ok(ancestors)
}

/// The samples from a record that are not used, also those for prompts that were written from it.
fn unusable(ledger: &Ledger, key: &str) -> Result<Vec<Sample>, EvolveError> {
    let mut found = Vec::new();
    for sample in ledger.samples_from(key)? {
        if sample.writing == "new_prompt" {
            found.extend(
                ledger.samples_from(&sample.key)?.into_iter().filter(|sample| sample.unusable.is_some()),
            );
        }
        if sample.unusable.is_some() {
            found.push(sample);
        }
        if found.len() >= MOST_DESCENDANTS {
            break;
        }
    }
    found.truncate(MOST_DESCENDANTS);
    Ok(found)
}

impl Ledger {
    fn sft_of(&self, record: &str) -> Result<Vec<InIteration<SftRow>>, EvolveError> {
        self.rows(
            "SELECT iteration, key, kind, record, score, prompt, response, judgement FROM sft
             WHERE record = ?1 ORDER BY iteration, key",
            [record],
            |row| {
                let kind: String = row.get(2)?;
                let kind = if kind == SftKind::Review.as_str() { SftKind::Review } else { SftKind::Response };
                let (key, record, score) = (row.get(1)?, row.get(3)?, row.get(4)?);
                let (prompt, response, judgement) = (row.get(5)?, row.get(6)?, row.get(7)?);
                let example = SftRow { key, kind, record, score, prompt, response, judgement };
                Ok(InIteration { iteration: row.get(0)?, row: example })
            },
        )
    }

    fn pairs_of(&self, record: &str) -> Result<Vec<InIteration<PairRow>>, EvolveError> {
        self.pairs_with("SELECT iteration, key FROM pair WHERE record = ?1 ORDER BY iteration, key", record)
    }

    fn pairs_rejecting(&self, record: &str) -> Result<Vec<InIteration<PairRow>>, EvolveError> {
        self.pairs_with(
            "SELECT iteration, key FROM pair WHERE rejected_record = ?1 ORDER BY iteration, key",
            record,
        )
    }

    fn pairs_with(&self, sql: &str, record: &str) -> Result<Vec<InIteration<PairRow>>, EvolveError> {
        let keys: Vec<(u32, String)> = self.rows(sql, [record], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut pairs = Vec::with_capacity(keys.len());
        for (iteration, key) in keys {
            pairs.extend(self.pair(iteration, &key)?.map(|row| InIteration { iteration, row }));
        }
        Ok(pairs)
    }

    /// The steps that trained on an example.
    fn steps_with(&self, iteration: u32, phase: Phase, key: &str) -> Result<Vec<StepUse>, EvolveError> {
        self.rows(
            "SELECT step, loss, margin FROM step_example WHERE phase = ?1 AND key = ?2 AND iteration = ?3
             ORDER BY step",
            (phase.as_str(), key, iteration),
            |row| {
                let (step, loss, margin) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(StepUse { iteration, phase: phase.as_str(), step, key: key.to_owned(), loss, margin })
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::lineage;
    use crate::summary::hand_filled;

    #[test]
    fn a_lineage_leads_to_the_seed_and_to_the_pairs() {
        let run = hand_filled::whole();
        let found = lineage(&run.ledger, "a/1/w0").unwrap().unwrap();
        assert_eq!(found.ancestors.iter().map(|record| record.key.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(found.rejected.len(), 1);
        assert_eq!(found.rejected[0].row.key, "a>w0");
        assert!(!found.reviews.is_empty() && found.sample.is_some());
        let seed = lineage(&run.ledger, "a").unwrap().unwrap();
        assert_eq!(seed.chosen.len(), 2);
        assert!(seed.descendants.iter().any(|link| link.key == "a/1/w0"));
        assert!(lineage(&run.ledger, "nothing").unwrap().is_none());
    }
}
