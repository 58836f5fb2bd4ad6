//! Which generated candidates are kept, and why the others are not.

mod copies;
mod frame;
mod rule;
mod settings;
mod text;

use std::collections::HashMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{contamination::EvaluationTexts, record::Pair};

pub use frame::{clean_frame, counts_by_rule};
pub use rule::{Drop, Rule, rule_counts};
pub use settings::{CleanSettings, Scope, ShortResponses};

/// A generated prompt and response, and what they came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name.
    pub key: String,
    /// The key of the seed it came from, which need not be in the pool.
    pub family: String,
    /// What is asked.
    pub prompt: String,
    /// What is answered.
    pub response: String,
    /// What of it is new.
    pub origin: Origin,
}

/// What of a candidate is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The prompt, written in the spirit of the seed, and its response.
    NewPrompt,
    /// The response alone, to the seed's own prompt: worse on purpose, or sampled.
    OtherResponse,
}

/// One verdict a candidate, in order; `None` is kept.
///
/// The rules are tried in the order of [`Rule`]: first what the text alone shows, then what of `evaluation` is in it, then
/// copies.
///
/// * An [`Origin::OtherResponse`] is compared by its response with the seed's and with those of earlier kept siblings.
/// * An [`Origin::NewPrompt`] is compared by its prompt with the seed's, with those of earlier kept candidates of its
///   family, and under [`Scope::Pool`] with those of the whole pool and of every earlier kept candidate.
/// * Several responses to one same new prompt of one family are siblings: the prompt stands or falls with its first
///   candidate that passes the rules on text, and the responses are compared with each other.
///
/// The same input gives the same verdicts, and what is kept is kept again when cleaned alone.
pub fn clean(
    candidates: &[Candidate],
    pool: &[Pair],
    evaluation: &EvaluationTexts,
    settings: &CleanSettings,
) -> Vec<Option<Drop>> {
    let mut sources: HashMap<&str, usize> = HashMap::new();
    for (place, pair) in pool.iter().enumerate() {
        sources.entry(&pair.key).or_insert(place);
    }
    let source = |candidate: &Candidate| sources.get(candidate.family.as_str()).copied();
    let mut verdicts: Vec<Option<Drop>> = candidates
        .par_iter()
        .map(|candidate| {
            let response = source(candidate).map(|place| pool[place].response.as_str());
            text::drop_by_text(candidate, response, settings).or_else(|| contaminated(candidate, evaluation))
        })
        .collect();
    let passed = (0..candidates.len()).filter(|&place| verdicts[place].is_none());
    let groups = copies::groups(candidates, passed, &source);
    for (place, drop) in copies::drops(candidates, pool, settings, groups) {
        verdicts[place] = Some(drop);
    }
    verdicts
}

/// The prompt of another response is the seed's, and the seed is in the pool already.
fn contaminated(candidate: &Candidate, evaluation: &EvaluationTexts) -> Option<Drop> {
    let prompt = if candidate.origin == Origin::NewPrompt { candidate.prompt.as_str() } else { "" };
    let found = evaluation.find(prompt, &candidate.response)?;
    Some(Drop { rule: Rule::Contaminated, resembles: None, detail: found.to_string() })
}
