//! Meta-Rewarding's length control (Wu et al. 2024, arXiv 2407.19594): among responses that score almost alike, the shorter one is the
//! better side of a pair and the longer one the worse.

use super::{Candidate, Kind};
use crate::Score;

/// The responses to a prompt, of which the model's own to a new prompt are at most two: the shortest whose score is within `share` of the
/// prompt's range below the best, and the longest within as much above the worst. A share of 0 leaves all of them.
pub(super) fn narrowed(responses: Vec<&Candidate>, share: f64) -> Vec<&Candidate> {
    let scores = responses.iter().copied().filter_map(score_of_own);
    let (lowest, highest) = scores.fold((f64::INFINITY, f64::NEG_INFINITY), |(lowest, highest), score| {
        (lowest.min(score), highest.max(score))
    });
    if share == 0.0 || lowest > highest {
        return responses;
    }
    let width = share * (highest - lowest);
    let length = |pair: &Candidate| pair.response.chars().count();
    let within = |least: f64, most: f64| {
        responses
            .iter()
            .copied()
            .filter(move |pair| score_of_own(pair).is_some_and(|score| (least..=most).contains(&score)))
    };
    // The first of several that are as long, so that the order of the responses decides.
    let shortest = within(highest - width, highest).min_by_key(|pair| length(pair));
    let longest = within(lowest, lowest + width).rev().max_by_key(|pair| length(pair));
    let is_end =
        |pair: &&Candidate| [shortest, longest].into_iter().flatten().any(|end| std::ptr::eq(end, *pair));
    responses.iter().copied().filter(|pair| pair.kind != Kind::NewPrompt || is_end(pair)).collect()
}

/// The score of a response of the model's to a new prompt.
fn score_of_own(pair: &Candidate) -> Option<f64> {
    pair.score.filter(|_| pair.kind == Kind::NewPrompt).map(Score::get)
}
