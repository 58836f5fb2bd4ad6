//! The model that a run has come to: the last that its gate did not reject.

use lancer_eval::Estimate;
use serde::Serialize;

use super::{IterationFiles, IterationSummary, Outcome};
use crate::{error::EvolveError, ledger::Ledger};

/// The model that a run has come to, and how it compares with `M_0`. Whether a run has gained is asked of this model, not of the
/// newest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeptModel {
    /// Its number; 0 where every model so far was rejected, or none is finished.
    pub model: u32,
    /// Whether it is better than `M_0`, taking all tasks together.
    pub outcome: Outcome,
    /// The mean gain over all tasks, in standard deviations.
    pub gain: Option<Estimate>,
    /// Where it is; nothing for `M_0`, which is the user's own.
    pub files: IterationFiles,
}

impl KeptModel {
    pub(super) fn of(ledger: &Ledger, iterations: &[IterationSummary]) -> Result<Self, EvolveError> {
        let model = ledger.kept()?;
        let kept = iterations.iter().find(|iteration| iteration.iteration == model);
        if let Some(IterationSummary { outcome, gain, files, .. }) = kept {
            return Ok(Self { model, outcome: *outcome, gain: *gain, files: files.clone() });
        }
        // M_0 is not told apart from itself.
        let evaluated = iterations.iter().any(|iteration| iteration.outcome != Outcome::NotEvaluated);
        let outcome = if evaluated { Outcome::NotToldApart } else { Outcome::NotEvaluated };
        Ok(Self { model, outcome, gain: None, files: IterationFiles::default() })
    }
}
