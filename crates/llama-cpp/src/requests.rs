//! The order in which prompts are read, and what they then share.

use lancer_backend::TokenId;

/// Indices of `prompts` in an order in which those that begin alike stand next to each other.
pub(crate) fn by_common_beginning<'a>(prompts: impl IntoIterator<Item = &'a [TokenId]>) -> Vec<usize> {
    let prompts: Vec<&[TokenId]> = prompts.into_iter().collect();
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|&request| prompts[request]);
    order
}

/// How many tokens two prompts have in common at their beginning.
pub(crate) fn common_beginning(one: &[TokenId], two: &[TokenId]) -> usize {
    one.iter().zip(two).take_while(|(one, two)| one == two).count()
}

/// Cells that `prompts`, some of those read in the order of [`by_common_beginning`], hold together at most.
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

    use proptest::prelude::*;

    use super::*;

    fn prompts() -> impl Strategy<Value = Vec<Vec<TokenId>>> {
        prop::collection::vec(prop::collection::vec((0_u32..3).prop_map(TokenId), 1..5), 1..6)
    }

    proptest! {
        #[test]
        fn no_order_shares_more(prompts in prompts()) {
            let shared = |order: &[usize]| -> usize {
                order.windows(2).map(|pair| common_beginning(&prompts[pair[0]], &prompts[pair[1]])).sum()
            };
            let found = by_common_beginning(prompts.iter().map(Vec::as_slice));
            let mut some = found.clone();
            some.rotate_left(1);
            prop_assert!(shared(&found) >= shared(&some));
            some.reverse();
            prop_assert!(shared(&found) >= shared(&some));
            some.sort_unstable();
            prop_assert!(shared(&found) >= shared(&some));
            prop_assert_eq!(some, (0..prompts.len()).collect::<Vec<_>>());
        }

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
