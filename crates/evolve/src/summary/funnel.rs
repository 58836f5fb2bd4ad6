//! The funnel of records: what went into each stage of an iteration, what came out, what became of the rest.

mod rows;

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

pub use self::rows::FunnelRow;
use crate::{
    error::EvolveError,
    ledger::{Ledger, Origin, ReviewRow, Sample},
    recipe::Recipe,
};

/// How often something was found, by its name.
pub type Counts = BTreeMap<String, usize>;

/// The funnel of an iteration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Funnel {
    /// The review of the pool of seeds.
    pub review_seeds: ReviewCounts,
    /// Generation.
    pub generate: GenerateCounts,
    /// Cleaning.
    pub clean: CleanCounts,
    /// The review of what cleaning kept.
    pub review_new: ReviewCounts,
    /// What training examples were made.
    pub annotate: AnnotateCounts,
    /// What joined the pool.
    pub merge: PoolCounts,
}

/// What a review found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ReviewCounts {
    /// Records to review.
    pub records: usize,
    /// Those with a score.
    pub scored: usize,
    /// Those without one although they were reviewed, by reason.
    pub unscored: Counts,
    /// How many reach each of the recipe's thresholds, the lowest first.
    pub reached: Vec<AtLeast>,
}

/// Records at or above a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AtLeast {
    /// The threshold, 0 to 10.
    pub score: f64,
    /// Number of records.
    pub records: usize,
}

/// What generation wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GenerateCounts {
    /// Records of the pool that were expanded.
    pub sources: usize,
    /// Those of them from which new prompts were written.
    pub sources_of_prompts: usize,
    /// Those of them to which worse responses were written.
    pub sources_of_worse_responses: usize,
    /// New prompts.
    pub prompts: WrittenCounts,
    /// Responses to new prompts.
    pub responses: WrittenCounts,
    /// Worse responses to prompts of the pool.
    pub worse_responses: WrittenCounts,
    /// New records by origin.
    pub records: Counts,
}

/// Samples of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WrittenCounts {
    /// Samples that were written.
    pub samples: usize,
    /// Those of them that cannot be used, by reason.
    pub unusable: Counts,
}

/// What cleaning decided.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CleanCounts {
    /// New records.
    pub records: usize,
    /// Those that were dropped, by rule.
    pub dropped: Counts,
    /// Those that were kept.
    pub kept: usize,
}

/// What was made to train on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AnnotateCounts {
    /// Scored records, of the pool and new.
    pub records: usize,
    /// Records that are in an example or in a pair.
    pub used: usize,
    /// Examples for fine-tuning by kind.
    pub sft: Counts,
    /// Preference pairs by how the rejected side was made.
    pub pairs: Counts,
}

/// How the pool of seeds grew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PoolCounts {
    /// Records of the pool before the iteration.
    pub before: usize,
    /// Records that joined it.
    pub joined: usize,
    /// Records of the pool after the iteration.
    pub after: usize,
}

impl Funnel {
    pub(super) fn of(ledger: &Ledger, recipe: &Recipe, iteration: u32) -> Result<Self, EvolveError> {
        let thresholds = thresholds(recipe);
        let pool: HashSet<String> = ledger.pool_keys(iteration)?.into_iter().collect();
        let kept: HashSet<String> = ledger.kept_keys(iteration)?.into_iter().collect();
        let reviews = ledger.reviews(iteration)?;
        let of = |keys: &HashSet<String>| {
            let reviews = reviews.iter().filter(|review| keys.contains(&review.record));
            ReviewCounts::of(keys.len(), reviews, &thresholds)
        };
        let after = ledger.pool_keys(iteration + 1)?.len();
        Ok(Self {
            review_seeds: of(&pool),
            generate: GenerateCounts::of(ledger, iteration)?,
            clean: CleanCounts::of(ledger, iteration)?,
            review_new: of(&kept),
            annotate: AnnotateCounts::of(ledger, iteration, &reviews)?,
            merge: PoolCounts { before: pool.len(), joined: after - pool.len(), after },
        })
    }
}

impl ReviewCounts {
    fn of<'a>(records: usize, reviews: impl Iterator<Item = &'a ReviewRow>, thresholds: &[f64]) -> Self {
        let reached = thresholds.iter().map(|&score| AtLeast { score, records: 0 }).collect();
        let mut counts = Self { records, reached, ..Self::default() };
        for review in reviews {
            if let Some(score) = review.score {
                counts.scored += 1;
                for reached in &mut counts.reached {
                    reached.records += usize::from(score >= reached.score);
                }
            } else {
                let reason = review.reason.clone().unwrap_or_else(|| "no reason given".into());
                *counts.unscored.entry(reason).or_default() += 1;
            }
        }
        counts
    }
}

impl GenerateCounts {
    fn of(ledger: &Ledger, iteration: u32) -> Result<Self, EvolveError> {
        let samples = ledger.samples(iteration)?;
        let sources = |writings: &[&str]| {
            let written = samples.iter().filter(|sample| writings.contains(&sample.writing.as_str()));
            written.map(|sample| &sample.parent).collect::<HashSet<_>>().len()
        };
        let origins = ledger.origins(iteration)?.into_iter().map(|(_, origin)| origin);
        Ok(Self {
            sources: sources(&["new_prompt", "worse_response"]),
            sources_of_prompts: sources(&["new_prompt"]),
            sources_of_worse_responses: sources(&["worse_response"]),
            prompts: WrittenCounts::of(&samples, "new_prompt"),
            responses: WrittenCounts::of(&samples, "response"),
            worse_responses: WrittenCounts::of(&samples, "worse_response"),
            records: count(origins.filter(|origin| *origin != Origin::Seed).map(Origin::as_str)),
        })
    }
}

impl WrittenCounts {
    fn of(samples: &[Sample], writing: &str) -> Self {
        let written = || samples.iter().filter(|sample| sample.writing == writing);
        Self {
            samples: written().count(),
            unusable: count(written().filter_map(|sample| sample.unusable.as_deref())),
        }
    }
}

impl CleanCounts {
    fn of(ledger: &Ledger, iteration: u32) -> Result<Self, EvolveError> {
        let verdicts = ledger.verdicts(iteration)?;
        let dropped = count(verdicts.iter().filter_map(|verdict| verdict.rule.as_deref()));
        Ok(Self {
            records: ledger.origins(iteration)?.len(),
            kept: verdicts.iter().filter(|verdict| verdict.rule.is_none()).count(),
            dropped,
        })
    }
}

impl AnnotateCounts {
    fn of(ledger: &Ledger, iteration: u32, reviews: &[ReviewRow]) -> Result<Self, EvolveError> {
        let (sft, pairs) = (ledger.sft(iteration)?, ledger.pairs(iteration)?);
        let used: HashSet<&str> = sft
            .iter()
            .map(|example| example.record.as_str())
            .chain(pairs.iter().flat_map(|pair| {
                [Some(pair.record.as_str()), pair.rejected_record.as_deref()].into_iter().flatten()
            }))
            .collect();
        Ok(Self {
            records: reviews.iter().filter(|review| review.score.is_some()).count(),
            used: used.len(),
            sft: count(sft.iter().map(|example| example.kind.as_str())),
            pairs: count(pairs.iter().map(|pair| pair.rejected_kind.as_str())),
        })
    }
}

/// The scores that decide what becomes of a record, the lowest first, each once.
fn thresholds(recipe: &Recipe) -> Vec<f64> {
    let mut scores = vec![recipe.expand.worse_over, recipe.annotate.sft_threshold, recipe.merge.threshold];
    scores.sort_unstable_by(f64::total_cmp);
    scores.dedup();
    scores
}

/// How often each name occurs.
pub(super) fn count(names: impl Iterator<Item = impl Into<String>>) -> Counts {
    let mut counts = Counts::new();
    for name in names {
        *counts.entry(name.into()).or_default() += 1;
    }
    counts
}
