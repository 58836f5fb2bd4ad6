//! Items that a model can be shown.

use crate::{Detail, Item, Outcome, Review, ReviewError, ReviewSink};

/// An item with a prompt and a response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reviewable<'a> {
    /// Its index in the call.
    pub(crate) index: usize,
    pub(crate) item: &'a Item,
}

impl<'a> Reviewable<'a> {
    /// The items that have a prompt and a response; the others go to the sink without a score.
    pub(crate) fn of(items: &'a [Item], sink: &mut dyn ReviewSink) -> Result<Vec<Self>, ReviewError> {
        let mut reviewable = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if item.prompt.trim().is_empty() {
                unscored(index, "the prompt is empty".into(), sink)?;
            } else if item.response.trim().is_empty() {
                unscored(index, "the response is empty".into(), sink)?;
            } else {
                reviewable.push(Self { index, item });
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
    let review = Review { item: index, outcome: Outcome::Unscored { reason }, detail: Detail::None };
    if sink.reviewed(review).is_break() { Err(ReviewError::Cancelled) } else { Ok(()) }
}
