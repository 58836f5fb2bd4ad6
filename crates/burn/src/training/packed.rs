//! A batch as rows of one matrix, one sequence after another, without padding.

use lancer_backend::{TokenId, TrainingSequence};

use crate::transformer::Segment;

/// The rows of a batch.
///
/// A sequence's last token is predicted but not read, so it has no row. Sequences that follow each other with the same
/// prompt, as the two sides of a preference pair do, share its rows.
pub(crate) struct Packed {
    /// The token of each row.
    pub(crate) tokens: Vec<TokenId>,
    pub(crate) segments: Vec<Segment>,
    /// The row that predicts each target, and the target.
    pub(crate) predicting: Vec<usize>,
    pub(crate) targets: Vec<TokenId>,
    /// Number of targets of each sequence.
    counts: Vec<usize>,
}

impl Packed {
    /// Packs valid sequences.
    pub(crate) fn new(batch: &[TrainingSequence]) -> Self {
        let mut packed = Self {
            tokens: Vec::new(),
            segments: Vec::new(),
            predicting: Vec::new(),
            targets: Vec::new(),
            counts: Vec::new(),
        };
        for sequences in batch.chunk_by(|one, two| prompt(one) == prompt(two)) {
            match sequences {
                [alone] => packed.add_whole(alone),
                together => packed.add_after_one_prompt(together),
            }
        }
        packed
    }

    fn add_whole(&mut self, sequence: &TrainingSequence) {
        let start = self.tokens.len();
        let rows = sequence.tokens.len() - 1;
        self.add_span(&sequence.tokens[..rows], None);
        self.predicting.extend(sequence.target_places().map(|place| start + place - 1));
        self.add_targets(sequence);
    }

    /// Adds sequences that have the same prompt, at least one.
    fn add_after_one_prompt(&mut self, sequences: &[TrainingSequence]) {
        let prompt = prompt(&sequences[0]);
        let index = self.segments.len();
        self.add_span(prompt, None);
        let last_of_prompt = self.tokens.len() - 1;
        for sequence in sequences {
            let start = self.tokens.len();
            // The first target comes right after the prompt.
            let read = &sequence.tokens[prompt.len()..sequence.tokens.len() - 1];
            self.predicting.extend(sequence.target_places().map(|place| {
                (place - prompt.len()).checked_sub(1).map_or(last_of_prompt, |after| start + after)
            }));
            if !read.is_empty() {
                self.add_span(read, Some(index));
            }
            self.add_targets(sequence);
        }
    }

    fn add_span(&mut self, tokens: &[TokenId], after: Option<usize>) {
        self.tokens.extend(tokens);
        self.segments.push(Segment { rows: tokens.len(), after });
    }

    fn add_targets(&mut self, sequence: &TrainingSequence) {
        self.targets.extend(sequence.targets());
        self.counts.push(sequence.target_count());
    }

    /// A value for each target, cut by sequence.
    pub(crate) fn by_sequence(&self, mut values: impl Iterator<Item = f32>) -> Vec<Vec<f32>> {
        self.counts.iter().map(|&count| values.by_ref().take(count).collect()).collect()
    }
}

fn prompt(sequence: &TrainingSequence) -> &[TokenId] {
    &sequence.tokens[..sequence.prompt_length()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(tokens: &[u32], prompt_length: usize) -> TrainingSequence {
        TrainingSequence::after_prompt(tokens.iter().copied().map(TokenId).collect(), prompt_length)
    }

    fn ids(tokens: &[TokenId]) -> Vec<u32> {
        tokens.iter().map(|token| token.0).collect()
    }

    #[test]
    fn each_target_is_predicted_by_the_token_before_it() {
        let packed = Packed::new(&[sequence(&[1, 2, 3, 4], 2), sequence(&[5, 6], 1)]);
        assert_eq!(ids(&packed.tokens), [1, 2, 3, 5]);
        assert_eq!(packed.predicting, [1, 2, 3]);
        assert_eq!(ids(&packed.targets), [3, 4, 6]);
        assert_eq!(packed.by_sequence([0.5, 1.5, 2.5].into_iter()), [vec![0.5, 1.5], vec![2.5]]);
    }

    #[test]
    fn trained_tokens_may_be_apart_from_each_other() {
        let apart = TrainingSequence { trained: vec![1..2, 3..4], ..sequence(&[1, 2, 3, 4], 1) };
        let packed = Packed::new(&[apart.clone(), apart]);
        assert_eq!(ids(&packed.tokens), [1, 2, 3, 2, 3]);
        assert_eq!(packed.predicting, [0, 2, 0, 4]);
        assert_eq!(ids(&packed.targets), [2, 4, 2, 4]);
    }

    #[test]
    fn a_prompt_that_follows_itself_is_read_once() {
        let packed = Packed::new(&[
            sequence(&[1, 2, 3, 4], 2),
            sequence(&[1, 2, 5], 2),
            sequence(&[1, 2, 6, 7, 8], 2),
            sequence(&[1, 9], 1),
        ]);
        assert_eq!(ids(&packed.tokens), [1, 2, 3, 6, 7, 1]);
        assert_eq!(packed.predicting, [1, 2, 1, 1, 3, 4, 5]);
        assert_eq!(ids(&packed.targets), [3, 4, 5, 6, 7, 8, 9]);
        let after = |rows| Segment { rows, after: Some(0) };
        let first = |rows| Segment { rows, after: None };
        assert_eq!(packed.segments, [first(2), after(1), after(2), first(1)]);
    }
}
