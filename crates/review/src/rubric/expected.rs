//! The expected score: the mean of 0 to 10 under the model's probabilities of the score, without a written review.

use std::ops::ControlFlow;

use lancer_backend::{Backend, Continuation, Prompt, ScoreRequest, ScoredContinuation, Usage};

use super::{score_only_answer, score_only_text};
use crate::{
    Detail, Mode, Outcome, Review, ReviewError, ReviewSink, Score,
    reviewable::{Reviewable, too_long, unscored},
    shown::Shown,
};

/// Tokens of the longest answer, `score: 10` and the end of the turn, generously.
const ANSWER_TOKENS: usize = 16;

/// Scores each item by the probabilities of the answers `score: 0` to `score: 10`, which share one reading of the prompt.
pub(crate) fn review(
    backend: &mut dyn Backend,
    shown: &[Shown],
    sink: &mut dyn ReviewSink,
) -> Result<Usage, ReviewError> {
    let context_length = backend.info().context_length;
    let mut indices = Vec::new();
    let mut requests = Vec::new();
    for item in Reviewable::of(shown, sink)? {
        let prompt = Prompt::user(score_only_text(item.item));
        let tokens =
            backend.tokenize(&prompt).map_err(ReviewError::backend(Mode::Expected))?.len() + ANSWER_TOKENS;
        if tokens > context_length {
            unscored(item.index, too_long(tokens, context_length), sink)?;
            continue;
        }
        // With the end of the turn, so that 1 does not also stand for the beginning of 10.
        let continuations = (0..=10).map(|points| Continuation::closed(score_only_answer(points))).collect();
        indices.push(item.index);
        requests.push(ScoreRequest { prompt, continuations });
    }
    backend
        .score(&requests, &mut |request, scored| {
            let tokens = scored.iter().map(|continuation| continuation.tokens.len()).sum();
            if sink.advanced(tokens).is_break() {
                return ControlFlow::Break(());
            }
            let item = indices[request];
            let review = match probabilities(&scored) {
                Some(probabilities) => Review {
                    item,
                    outcome: Outcome::Scored(mean(&probabilities)),
                    detail: Detail::Probabilities(probabilities),
                    left_out: Vec::new(),
                },
                None => Review {
                    item,
                    outcome: Outcome::Unscored { reason: "no score has a probability above 0".into() },
                    detail: Detail::None,
                    left_out: Vec::new(),
                },
            };
            sink.reviewed(review)
        })
        .map_err(ReviewError::backend(Mode::Expected))
}

/// The probabilities of the eleven answers, scaled to sum to 1. `None` where they are all 0.
fn probabilities(scored: &[ScoredContinuation]) -> Option<[f64; 11]> {
    let sums: Vec<f64> = scored.iter().map(ScoredContinuation::sum).collect();
    let largest = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut probabilities = [0.0; 11];
    for (probability, sum) in probabilities.iter_mut().zip(&sums) {
        *probability = (sum - largest).exp();
    }
    let total: f64 = probabilities.iter().sum();
    (sums.len() == 11 && total.is_finite()).then(|| probabilities.map(|probability| probability / total))
}

fn mean(probabilities: &[f64; 11]) -> Score {
    Score::nearest(probabilities.iter().enumerate().map(|(points, p)| points as f64 * p).sum())
}
