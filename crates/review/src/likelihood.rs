//! The likelihood review: how well the model predicts prompt and response with and without each other.

mod calibration;
mod features;
mod framing;
mod logistic;
mod measure;

use std::ops::ControlFlow;

use lancer_backend::{Backend, Usage};

pub use calibration::Calibration;
pub(crate) use calibration::{Labelled, cross_validate};
pub use features::Features;
pub(crate) use measure::{Event, measure};

use crate::{Detail, Outcome, Review, ReviewError, ReviewSink, reviewable::Reviewable, shown::Shown};

/// Scores each item by its log-probabilities.
pub(crate) fn review(
    backend: &mut dyn Backend,
    calibration: &Calibration,
    shown: &[Shown],
    sink: &mut dyn ReviewSink,
) -> Result<Usage, ReviewError> {
    let reviewable = Reviewable::of(shown, sink)?;
    measure(backend, &reviewable, &mut |event| match event {
        Event::Advanced(tokens) => sink.advanced(tokens),
        Event::Unreadable(item, reason) => sink.reviewed(Review {
            item,
            outcome: Outcome::Unscored { reason },
            detail: Detail::None,
            left_out: Vec::new(),
        }),
        Event::Measured(item, features) => sink.reviewed(Review {
            item,
            outcome: Outcome::Scored(calibration.score(&features)),
            detail: Detail::Likelihoods(features),
            left_out: Vec::new(),
        }),
    })
}

/// Turns a sink's answer into a result.
pub(crate) fn go_on(flow: ControlFlow<()>) -> Result<(), ReviewError> {
    if flow.is_break() { Err(ReviewError::Cancelled) } else { Ok(()) }
}
