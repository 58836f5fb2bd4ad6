//! The order in which prompts are read, and what they then share: what begins alike is computed once.

use crate::TokenId;

/// Indices of `prompts` in an order in which those that begin alike stand next to each other.
pub fn by_common_beginning<'a>(prompts: impl IntoIterator<Item = &'a [TokenId]>) -> Vec<usize> {
    let prompts: Vec<&[TokenId]> = prompts.into_iter().collect();
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|&request| prompts[request]);
    order
}

/// How many tokens two sequences have in common at their beginning.
pub fn common_beginning(one: &[TokenId], two: &[TokenId]) -> usize {
    one.iter().zip(two).take_while(|(one, two)| one == two).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_order_shares_more(
            prompts in prop::collection::vec(prop::collection::vec((0_u32..3).prop_map(TokenId), 1..5), 1..6),
        ) {
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
    }
}
