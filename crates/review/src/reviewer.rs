//! Reviewing in one of three modes.

use std::ops::ControlFlow;

use lancer_backend::{Backend, Seed, Usage};
use serde::{Deserialize, Serialize};

use crate::{
    Calibration, Item, Mode, Review, ReviewError, ReviewSink, RubricSettings, likelihood, rubric,
    shown::Shown,
};

/// A way to review, with all that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reviewer {
    /// The model writes a justification and a score, some times for each item; for models that follow instructions well.
    Rubric(RubricSettings),
    /// The mean score under the model's probabilities of the scores; for the same models, at a fraction of the cost.
    Expected,
    /// Log-probabilities of prompt and response with and without each other, calibrated to a score; for any model.
    Likelihood(Calibration),
}

impl Reviewer {
    /// Its mode.
    pub fn mode(&self) -> Mode {
        match self {
            Self::Rubric(_) => Mode::Rubric,
            Self::Expected => Mode::Expected,
            Self::Likelihood(_) => Mode::Likelihood,
        }
    }
}

/// Reviews every item, handing each review to `sink` as it is made, in any order.
///
/// An item's review depends on the item, the reviewer and the seed, not on what else is reviewed (beyond an engine's
/// rounding): the seeds of its samples are derived from its key. An item that cannot be reviewed (an empty text, longer
/// than the context, reviews that cannot be read) is [`Outcome::Unscored`](crate::Outcome::Unscored) with a reason.
///
/// Prompts and responses are data. The model is not shown sentences that name a score or speak to a reviewer
/// ([`Review::left_out`]), nor characters that cannot be seen; what it is shown is quoted, special tokens are broken up,
/// and a written score counts only where what was shown does not name it. A model can still be talked into a score by
/// words that are not known here: docs/explanation/reviews.md says by how much.
pub fn review(
    backend: &mut dyn Backend,
    reviewer: &Reviewer,
    items: &[Item],
    seed: Seed,
    sink: &mut dyn ReviewSink,
) -> Result<Usage, ReviewError> {
    let shown: Vec<Shown> = items.iter().map(Shown::of).collect();
    let sink = &mut TellsLeftOut { shown: &shown, sink };
    match reviewer {
        Reviewer::Rubric(settings) => rubric::sample::review(backend, settings, &shown, seed, sink),
        Reviewer::Expected => rubric::expected::review(backend, &shown, sink),
        Reviewer::Likelihood(calibration) => likelihood::review(backend, calibration, &shown, sink),
    }
}

/// Adds to each review what the model was not shown.
struct TellsLeftOut<'a> {
    shown: &'a [Shown],
    sink: &'a mut dyn ReviewSink,
}

impl ReviewSink for TellsLeftOut<'_> {
    fn reviewed(&mut self, review: Review) -> ControlFlow<()> {
        let left_out = self.shown[review.item].left_out.clone();
        self.sink.reviewed(Review { left_out, ..review })
    }

    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        self.sink.advanced(tokens)
    }
}
