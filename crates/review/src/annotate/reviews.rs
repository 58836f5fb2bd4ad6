//! Reviews to learn from.

use lancer_backend::Seed;

use super::{Candidate, ReviewExample};
use crate::{
    Item,
    rubric::{score_only_answer, score_only_text},
};

/// At most `count` reviews, in turn one of each score there is, so that the next model does not learn to give all pairs
/// the commonest score. Which pairs of a score are taken depends on their keys and on `seed`.
pub(super) fn examples(candidates: &[Candidate], count: usize, seed: Seed) -> Vec<ReviewExample> {
    let seed = seed.derive("review examples");
    let mut by_points: [Vec<&Candidate>; 11] = Default::default();
    for pair in candidates {
        if let Some(score) = pair.score {
            // A score is from 0 to 10.
            by_points[score.get().round() as usize].push(pair);
        }
    }
    for pairs in &mut by_points {
        pairs.sort_by_cached_key(|pair| (seed.derive(&pair.key), pair.key.clone()));
    }
    let longest = by_points.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest)
        .flat_map(|turn| {
            by_points.iter().enumerate().filter_map(move |(points, pairs)| Some((points, *pairs.get(turn)?)))
        })
        .take(count)
        .map(|(points, pair)| {
            let item =
                Item { key: pair.key.clone(), chat: pair.chat.clone(), response: pair.response.clone() };
            ReviewExample {
                key: format!("{}/review", pair.key),
                record: pair.key.clone(),
                source: pair.source.clone(),
                prompt: score_only_text(&item),
                response: score_only_answer(points),
            }
        })
        .collect()
}
