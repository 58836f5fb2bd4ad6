//! Constraints on generated text: one implementation for every engine.

use std::collections::BTreeMap;

use crate::{Grammar, TokenId};

/// What generated text must be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Constraint {
    /// Anything.
    #[default]
    Free,
    /// One of these texts, after which the sample ends with [`Finish::Stop`](crate::Finish::Stop).
    Choices(Vec<String>),
    /// A text of this grammar, after which the sample ends with [`Finish::Stop`](crate::Finish::Stop); one that its limit
    /// cuts is the beginning of such a text.
    Grammar(Grammar),
}

/// The token sequences of the choices, as a tree that is walked while a sample is written.
///
/// An engine tokenises each choice, builds the tree once for a request, and keeps one [`TriePosition`] a sample.
#[derive(Debug, Clone, Default)]
pub struct ChoiceTrie {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Default)]
struct Node {
    next: BTreeMap<TokenId, usize>,
    ends: bool,
}

/// A sample's place in a [`ChoiceTrie`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TriePosition(usize);

/// What may follow at a place in a [`ChoiceTrie`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// The choice is complete and no longer one begins with it: the sample ends.
    Complete,
    /// One of these tokens must follow.
    Tokens(Vec<TokenId>),
    /// The choice is complete, and a longer one begins with it: the end-of-turn token, which ends the sample, or one
    /// of these tokens must follow.
    EndOrTokens(Vec<TokenId>),
}

impl ChoiceTrie {
    /// The tree of the given choices. Empty choices are left out; `None` if nothing is left.
    pub fn new(choices: impl IntoIterator<Item = Vec<TokenId>>) -> Option<Self> {
        let mut trie = Self { nodes: vec![Node::default()] };
        for choice in choices.into_iter().filter(|choice| !choice.is_empty()) {
            let end = choice.into_iter().fold(0, |at, token| trie.child(at, token));
            trie.nodes[end].ends = true;
        }
        (trie.nodes.len() > 1).then_some(trie)
    }

    /// What may follow at `position`; [`TriePosition::default`] is the beginning.
    pub fn allowed(&self, position: TriePosition) -> Allowed {
        let node = &self.nodes[position.0];
        let tokens: Vec<TokenId> = node.next.keys().copied().collect();
        match (node.ends, tokens.is_empty()) {
            (_, true) => Allowed::Complete,
            (true, false) => Allowed::EndOrTokens(tokens),
            (false, false) => Allowed::Tokens(tokens),
        }
    }

    /// The place after `token`; `None` if it may not follow.
    pub fn advance(&self, position: TriePosition, token: TokenId) -> Option<TriePosition> {
        self.nodes[position.0].next.get(&token).copied().map(TriePosition)
    }

    fn child(&mut self, at: usize, token: TokenId) -> usize {
        let new = self.nodes.len();
        let child = *self.nodes[at].next.entry(token).or_insert(new);
        if child == new {
            self.nodes.push(Node::default());
        }
        child
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(ids: &[u32]) -> Vec<TokenId> {
        ids.iter().copied().map(TokenId).collect()
    }

    #[test]
    fn a_walk_is_held_to_the_choices() {
        let trie = ChoiceTrie::new([tokens(&[1]), tokens(&[1, 0]), tokens(&[2, 3])]).unwrap();
        let start = TriePosition::default();
        assert_eq!(trie.allowed(start), Allowed::Tokens(tokens(&[1, 2])));
        let one = trie.advance(start, TokenId(1)).unwrap();
        assert_eq!(trie.allowed(one), Allowed::EndOrTokens(tokens(&[0])));
        let ten = trie.advance(one, TokenId(0)).unwrap();
        assert_eq!(trie.allowed(ten), Allowed::Complete);
        assert_eq!(trie.advance(start, TokenId(3)), None);
    }

    #[test]
    fn no_choice_is_no_tree() {
        assert!(ChoiceTrie::new([vec![]]).is_none());
    }
}
