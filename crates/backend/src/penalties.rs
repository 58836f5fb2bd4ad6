//! Changes to logits before a token is chosen: penalties for what has been written, and biases.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::TokenId;

/// How logits are changed before the next token is chosen. Log-probabilities that an engine gives stay the model's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Penalties {
    /// Logits of tokens that the prompt or the text so far contains are divided by this where they are positive, and multiplied by
    /// it where they are not (Keskar et al. 2019, arXiv 1909.05858). Above 0, at most 10; 1 changes nothing.
    pub repetition: f32,
    /// Subtracted from the logit of every token that the text so far contains, as OpenAI's API defines it; -2 to 2.
    pub presence: f32,
    /// Subtracted from the logit of a token for each time that the text so far contains it; -2 to 2.
    pub frequency: f32,
    /// Added to the logits of these tokens, before the penalties; -100 to 100.
    pub bias: BTreeMap<TokenId, f32>,
}

impl Default for Penalties {
    fn default() -> Self {
        Self { repetition: 1.0, presence: 0.0, frequency: 0.0, bias: BTreeMap::new() }
    }
}

impl Penalties {
    /// Whether they change no logit.
    #[expect(clippy::float_cmp, reason = "exactly these numbers change nothing")]
    pub fn are_neutral(&self) -> bool {
        self.repetition == 1.0 && self.presence == 0.0 && self.frequency == 0.0 && self.bias.is_empty()
    }

    /// The first that is out of its range, in words.
    pub(crate) fn out_of_range(&self, vocabulary: usize) -> Option<String> {
        if !(self.repetition > 0.0 && self.repetition <= 10.0) {
            return Some("the repetition penalty must be above 0 and at most 10; 1 changes nothing".into());
        }
        for (name, value) in [("presence", self.presence), ("frequency", self.frequency)] {
            if !(-2.0..=2.0).contains(&value) {
                return Some(format!("the {name} penalty must be from -2 to 2; 0 changes nothing"));
            }
        }
        self.bias.iter().find_map(|(token, bias)| {
            if token.0 as usize >= vocabulary {
                return Some(format!(
                    "a bias is for token {}, outside the vocabulary of {vocabulary}",
                    token.0
                ));
            }
            (!(-100.0..=100.0).contains(bias))
                .then(|| format!("the bias of token {} must be from -100 to 100", token.0))
        })
    }
}

/// Penalties, and the tokens that they are for.
#[derive(Debug, Clone)]
pub(crate) struct Penalised {
    penalties: Penalties,
    /// The tokens of the prompt.
    read: HashSet<TokenId>,
    /// How often the text so far contains a token.
    written: HashMap<TokenId, u32>,
}

impl Penalised {
    /// `None` where they change nothing.
    pub(crate) fn new(penalties: &Penalties, prompt: &[TokenId]) -> Option<Self> {
        (!penalties.are_neutral()).then(|| Self {
            penalties: penalties.clone(),
            read: prompt.iter().copied().collect(),
            written: HashMap::new(),
        })
    }

    /// A token was added to the text.
    pub(crate) fn wrote(&mut self, token: TokenId) {
        *self.written.entry(token).or_default() += 1;
    }

    /// The changed logits; `logits` is `[vocabulary]`.
    pub(crate) fn apply(&self, logits: &[f32]) -> Vec<f32> {
        let mut changed = logits.to_vec();
        let Penalties { repetition, presence, frequency, bias } = &self.penalties;
        for (token, bias) in bias {
            changed[token.0 as usize] += bias;
        }
        for token in self.read.iter().chain(self.written.keys().filter(|token| !self.read.contains(token))) {
            // A prompt may hold tokens that the model has no logit for.
            if let Some(logit) = changed.get_mut(token.0 as usize) {
                *logit = if *logit > 0.0 { *logit / repetition } else { *logit * repetition };
            }
        }
        for (token, &count) in &self.written {
            changed[token.0 as usize] -= frequency * count as f32 + presence;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalties_are_those_of_their_definitions() {
        let penalties = Penalties {
            repetition: 2.0,
            presence: 0.5,
            frequency: 0.25,
            bias: BTreeMap::from([(TokenId(4), 3.0)]),
        };
        let mut penalised = Penalised::new(&penalties, &[TokenId(0), TokenId(1)]).unwrap();
        for token in [1, 2, 2] {
            penalised.wrote(TokenId(token));
        }
        let changed = penalised.apply(&[1.0, -1.0, 3.0, 5.0, 0.0]);
        assert_eq!(changed, [0.5, -2.0 - 0.75, 1.5 - 1.0, 5.0, 3.0]);
    }

    #[test]
    fn what_changes_nothing_costs_nothing() {
        assert!(Penalised::new(&Penalties::default(), &[TokenId(0)]).is_none());
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let default = Penalties::default;
        for (penalties, named) in [
            (Penalties { repetition: 0.0, ..default() }, "repetition"),
            (Penalties { presence: f32::NAN, ..default() }, "presence"),
            (Penalties { frequency: 2.5, ..default() }, "frequency"),
            (Penalties { bias: BTreeMap::from([(TokenId(9), 1.0)]), ..default() }, "token 9"),
            (Penalties { bias: BTreeMap::from([(TokenId(1), 101.0)]), ..default() }, "token 1"),
        ] {
            let reason = penalties.out_of_range(5).unwrap();
            assert!(reason.contains(named), "{reason}");
        }
        assert_eq!(default().out_of_range(5), None);
    }
}
