//! What prompts share in the cache.

use lancer_backend::{TokenId, common_beginning};

/// Cells that `prompts`, some of those read in the order of
/// [`by_common_beginning`](lancer_backend::by_common_beginning), hold together at most.
pub(crate) fn cells<'a>(prompts: impl IntoIterator<Item = &'a [TokenId]>) -> usize {
    let mut before: &[TokenId] = &[];
    let mut cells = 0;
    for prompt in prompts {
        // The last token of a prompt is computed again for the next one, for the sake of its logits.
        let shared = common_beginning(before, prompt).min(before.len().min(prompt.len()).saturating_sub(1));
        cells += prompt.len() - shared;
        before = prompt;
    }
    cells
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use lancer_backend::by_common_beginning;
    use proptest::prelude::*;

    use super::*;

    fn prompts() -> impl Strategy<Value = Vec<Vec<TokenId>>> {
        prop::collection::vec(prop::collection::vec((0_u32..3).prop_map(TokenId), 1..5), 1..6)
    }

    proptest! {
        /// Plays the trunk: each prompt keeps the cells of what it has in common with the one before, but for its last
        /// token; some prompts stay in use.
        #[test]
        fn no_more_cells_are_in_use_than_counted(prompts in prompts(), used in any::<[bool; 6]>()) {
            let order = by_common_beginning(prompts.iter().map(Vec::as_slice));
            let (mut trunk, mut tokens): (Vec<usize>, &[TokenId]) = (Vec::new(), &[]);
            let (mut new, mut in_use, mut counted) = (0, BTreeSet::new(), Vec::new());
            for (place, &request) in order.iter().enumerate() {
                let prompt = prompts[request].as_slice();
                trunk.truncate(common_beginning(tokens, prompt).min(prompt.len() - 1));
                trunk.extend(new..new + prompt.len() - trunk.len());
                new += prompt.len();
                tokens = prompt;
                // The one whose prompt was read last is in use too.
                if used[place] || place + 1 == order.len() {
                    in_use.extend(trunk.iter().copied());
                    counted.push(prompt);
                }
            }
            prop_assert!(in_use.len() <= cells(counted.iter().copied()));
            prop_assert!(cells(counted.iter().copied()) <= counted.iter().map(|prompt| prompt.len()).sum());
        }
    }
}
