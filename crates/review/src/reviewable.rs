//! Items that a model can be shown.

use crate::{Detail, Item, Outcome, Review, ReviewError, ReviewSink, shown::Shown};

/// An item with a prompt and a response, as a model is shown it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reviewable<'a> {
    /// Its index in the call.
    pub(crate) index: usize,
    pub(crate) item: &'a Item,
}

impl<'a> Reviewable<'a> {
    /// The items that have a prompt and a response; the others go to the sink without a score.
    pub(crate) fn of(shown: &'a [Shown], sink: &mut dyn ReviewSink) -> Result<Vec<Self>, ReviewError> {
        let mut reviewable = Vec::new();
        for (index, shown) in shown.iter().enumerate() {
            match shown.empty_part() {
                None => reviewable.push(Self { index, item: &shown.item }),
                Some(part) if shown.left_out.is_empty() => {
                    unscored(index, format!("the {part} is empty"), sink)?;
                }
                Some(part) => {
                    let reason = format!(
                        "nothing is left of the {part} without the sentences that are written for its reviewer"
                    );
                    unscored(index, reason, sink)?;
                }
            }
        }
        Ok(reviewable)
    }
}

/// Why an item whose review needs so many tokens has no score.
pub(crate) fn too_long(tokens: usize, context_length: usize) -> String {
    format!(
        "the review needs {tokens} tokens, the context has {context_length}; load the model with a longer context"
    )
}

/// Gives the sink an item without a score.
pub(crate) fn unscored(index: usize, reason: String, sink: &mut dyn ReviewSink) -> Result<(), ReviewError> {
    let review = Review {
        item: index,
        outcome: Outcome::Unscored { reason },
        detail: Detail::None,
        left_out: Vec::new(),
    };
    if sink.reviewed(review).is_break() { Err(ReviewError::Cancelled) } else { Ok(()) }
}
