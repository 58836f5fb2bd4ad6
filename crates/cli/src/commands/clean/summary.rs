//! What was dropped, by rule, with examples.

use std::{collections::BTreeMap, fmt};

use lancer_data::{QualityRule, TextPart};
use serde::Serialize;

use super::Dropped;

/// Examples of each rule.
const EXAMPLES: usize = 3;

/// The pairs that break one quality rule.
#[derive(Debug, Serialize)]
pub(crate) struct Broken {
    part: TextPart,
    rule: QualityRule,
    limit: f64,
    pairs: usize,
    /// Keys, each with what was measured.
    examples: Vec<(String, f64)>,
}

/// How many pairs each rule dropped.
pub(super) fn counts(dropped: &[Dropped]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for pair in dropped {
        *counts.entry(pair.rule).or_default() += 1;
    }
    counts
}

/// The first pairs of each rule, with what was wrong with them.
pub(super) fn examples(dropped: &[Dropped]) -> BTreeMap<&'static str, Vec<String>> {
    let mut examples: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for pair in dropped {
        let of_rule = examples.entry(pair.rule).or_default();
        if of_rule.len() < EXAMPLES {
            let why = format!("{} {}", pair.detail, pair.resembles.as_deref().unwrap_or_default());
            of_rule.push(format!("{}: {}", pair.key, why.trim()));
        }
    }
    examples
}

/// How many pairs break each quality rule.
pub(super) fn broken(dropped: &[Dropped]) -> Vec<Broken> {
    let mut found: BTreeMap<(TextPart, QualityRule), Broken> = BTreeMap::new();
    for pair in dropped {
        for &broken in &pair.broken {
            let of_rule = found.entry((broken.part, broken.rule)).or_insert_with(|| Broken {
                part: broken.part,
                rule: broken.rule,
                limit: broken.limit,
                pairs: 0,
                examples: Vec::new(),
            });
            of_rule.pairs += 1;
            if of_rule.examples.len() < EXAMPLES {
                of_rule.examples.push((pair.key.clone(), broken.value));
            }
        }
    }
    found.into_values().collect()
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let examples: Vec<String> =
            self.examples.iter().map(|(key, value)| format!("{key} ({value:.3})")).collect();
        write!(
            formatter,
            "{} {} (limit {}): {}; {}",
            self.part.as_str(),
            self.rule.as_str(),
            self.limit,
            self.pairs,
            examples.join(", ")
        )
    }
}
