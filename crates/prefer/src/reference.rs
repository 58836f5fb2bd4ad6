//! Log-probabilities under the reference, the model as it is before preference training.

use std::{
    collections::{BTreeMap, HashMap},
    hash::BuildHasher,
    ops::ControlFlow,
};

use serde::{Deserialize, Serialize};

use crate::loss::{PairLogProb, ResponseLogProb};

/// What is kept of one pair's log-probabilities under the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceLogProbs {
    /// Of both sides.
    #[serde(flatten)]
    pub pair: PairLogProb,
    /// For KTO, of the chosen response to another prompt after this pair's prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mismatched: Option<Mismatched>,
}

/// The log-probability of a response after a prompt that it does not belong to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mismatched {
    /// The key of the pair whose chosen response it is.
    pub response_of: String,
    /// Its log-probability.
    pub log_prob: ResponseLogProb,
}

/// Keeps reference log-probabilities by the pair's key, so that each is computed once, over interruptions too.
///
/// What it holds must come from the same model: a store belongs to one preference training. A value whose numbers of
/// tokens are not the pair's is computed anew.
pub trait ReferenceStore {
    /// What is kept of a pair.
    fn get(&mut self, key: &str) -> Option<ReferenceLogProbs>;

    /// Keeps what was computed of a pair. [`ControlFlow::Break`] ends the run.
    fn put(&mut self, key: &str, log_probs: &ReferenceLogProbs) -> ControlFlow<()>;

    /// All that was put must outlast the process, and the machine's power, from here on: the first step comes next, after which
    /// no reference can be computed. [`ControlFlow::Break`] ends the run. A store in memory does nothing.
    fn commit(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl<S: BuildHasher> ReferenceStore for HashMap<String, ReferenceLogProbs, S> {
    fn get(&mut self, key: &str) -> Option<ReferenceLogProbs> {
        HashMap::get(self, key).cloned()
    }

    fn put(&mut self, key: &str, log_probs: &ReferenceLogProbs) -> ControlFlow<()> {
        self.insert(key.into(), log_probs.clone());
        ControlFlow::Continue(())
    }
}

impl ReferenceStore for BTreeMap<String, ReferenceLogProbs> {
    fn get(&mut self, key: &str) -> Option<ReferenceLogProbs> {
        BTreeMap::get(self, key).cloned()
    }

    fn put(&mut self, key: &str, log_probs: &ReferenceLogProbs) -> ControlFlow<()> {
        self.insert(key.into(), log_probs.clone());
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Mismatched, ReferenceLogProbs};
    use crate::loss::{PairLogProb, ResponseLogProb};

    #[test]
    fn what_is_stored_reads_back() {
        let of = |sum, tokens| ResponseLogProb { sum, tokens };
        let pair = PairLogProb { chosen: of(-3.5, 4), rejected: of(-8.25, 7) };
        let other = Mismatched { response_of: "other".into(), log_prob: of(-20.0, 5) };
        for mismatched in [None, Some(other)] {
            let kept = ReferenceLogProbs { pair, mismatched };
            let text = serde_json::to_string(&kept).unwrap();
            assert_eq!(serde_json::from_str::<ReferenceLogProbs>(&text).unwrap(), kept, "{text}");
        }
    }
}
