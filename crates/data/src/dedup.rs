//! Deduplication: of texts that are too alike, one is kept.

mod frame;

use std::path::Path;

use schemars::JsonSchema;

use serde::{Deserialize, Serialize};

use crate::{
    minhash::{Keep, MinHashError, MinHashJoin, MinHashSettings},
    near::{Earlier, NearCopy, NearScope, Nearness, near},
};

pub use frame::dedup_frame;

/// How texts that are too alike are found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Alikeness {
    /// By an exact comparison; for prompts and other short texts. A text is dropped where it is a near copy of one that is
    /// kept, so that a chain of near copies need not all go.
    RougeL(Nearness),
    /// By signatures; for long texts, and for more of them than memory holds. Of each cluster one is kept.
    MinHash(MinHashSettings),
}

/// By text: the index of the kept one that it is too like; `None` where it is kept itself.
///
/// `scores` are read where the best is kept; then there is one for each text, or none.
///
/// ```
/// use lancer_data::{Alikeness, Keep, Nearness, duplicates};
///
/// let texts = ["Name three kinds of bread.", "Why is the sky blue?", "Name three kinds of bread, please."];
/// let alikeness = Alikeness::RougeL(Nearness::default());
/// let scratch = std::env::temp_dir();
/// assert_eq!(duplicates(&texts, &alikeness, Keep::First, &[], &scratch)?, [None, None, Some(0)]);
/// let scores = [Some(1.0), None, Some(2.0)];
/// assert_eq!(duplicates(&texts, &alikeness, Keep::BestScore, &scores, &scratch)?, [Some(2), None, None]);
/// # Ok::<(), lancer_data::MinHashError>(())
/// ```
///
/// # Errors
/// A setting out of its range, or the scratch folder, which `MinHash` needs for large data, cannot be used.
///
/// # Panics
/// Where the best score is to be kept and there are other than as many scores as texts.
pub fn duplicates<T: AsRef<str> + Sync>(
    texts: &[T],
    alikeness: &Alikeness,
    keep: Keep,
    scores: &[Option<f64>],
    scratch: &Path,
) -> Result<Vec<Option<usize>>, MinHashError> {
    match alikeness {
        Alikeness::RougeL(nearness) => {
            nearness.validate()?;
            Ok(near_copies_of_kept(texts, nearness, &order(texts.len(), keep, scores)))
        }
        Alikeness::MinHash(settings) => {
            let mut join = MinHashJoin::new(*settings, scratch)?;
            join.add(texts)?;
            let kept = join.clusters()?.kept(keep, scores);
            Ok(kept.into_iter().enumerate().map(|(text, kept)| other_than(text, kept as usize)).collect())
        }
    }
}

fn other_than(text: usize, kept: usize) -> Option<usize> {
    (kept != text).then_some(kept)
}

/// The texts in the order in which they are kept where two are too alike.
fn order(texts: usize, keep: Keep, scores: &[Option<f64>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..texts).collect();
    if keep == Keep::BestScore {
        assert_eq!(scores.len(), texts, "every text needs a score, or none");
        let score = |text: usize| scores[text].unwrap_or(f64::NEG_INFINITY);
        order.sort_by(|&one, &two| score(two).total_cmp(&score(one)));
    }
    order
}

fn near_copies_of_kept<T: AsRef<str> + Sync>(
    texts: &[T],
    nearness: &Nearness,
    order: &[usize],
) -> Vec<Option<usize>> {
    let ordered: Vec<&str> = order.iter().map(|&text| texts[text].as_ref()).collect();
    let mut duplicates = vec![None; texts.len()];
    for NearCopy { new, earlier, .. } in near(&[], &ordered, nearness, NearScope::Global) {
        let (Earlier::New(earlier) | Earlier::Pool(earlier)) = earlier;
        // Pairs come by their later text: what becomes of the earlier one is known by then.
        let (text, earlier) = (order[new], order[earlier]);
        if duplicates[text].is_none() && duplicates[earlier].is_none() {
            duplicates[text] = Some(earlier);
        }
    }
    duplicates
}
