//! Which examples each step sees, and how a step is split into forward passes.

use lancer_backend::Seed;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::settings::{BatchSize, TrainSettings};

/// The examples of every step of a run, as indices into `lengths`, the real tokens of each example.
///
/// The same lengths, settings and seed give the same steps, so a resumed run needs to know only how many it has made.
pub fn run_batches(lengths: &[usize], settings: &TrainSettings, seed: Seed) -> Vec<Vec<usize>> {
    let mut steps = Vec::new();
    for epoch in 0..settings.epochs {
        let seed = seed.derive(&format!("epoch {epoch}"));
        steps.extend(epoch_batches(lengths, settings.batch, settings.length_bucket, seed));
        if let Some(max) = settings.max_steps
            && steps.len() as u64 >= max
        {
            steps.truncate(max as usize);
            break;
        }
    }
    steps
}

/// The batches of one epoch: every example exactly once.
///
/// The examples are shuffled, sorted by length within groups of `length_bucket`, cut into batches in that order, and
/// the batches are shuffled. Only the batch that was cut last can be smaller than the batch size allows.
pub fn epoch_batches(
    lengths: &[usize],
    size: BatchSize,
    length_bucket: usize,
    seed: Seed,
) -> Vec<Vec<usize>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed.0);
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.shuffle(&mut random);
    for group in order.chunks_mut(length_bucket.max(1)) {
        // A stable sort: examples of equal length keep their shuffled order.
        group.sort_by_key(|&example| lengths[example]);
    }
    let mut batches: Vec<Vec<usize>> = match size {
        BatchSize::Examples(examples) => order.chunks(examples.max(1)).map(<[usize]>::to_vec).collect(),
        BatchSize::Tokens(tokens) => {
            within_tokens(lengths, &order, tokens).into_iter().map(<[usize]>::to_vec).collect()
        }
    };
    batches.shuffle(&mut random);
    batches
}

/// Cuts `examples` where the next one would bring the real tokens above `tokens`. No part is empty; an example that has
/// more tokens by itself is a part of its own.
pub fn within_tokens<'a>(lengths: &[usize], examples: &'a [usize], tokens: usize) -> Vec<&'a [usize]> {
    let mut parts = Vec::new();
    let (mut start, mut sum) = (0, 0);
    for (end, &example) in examples.iter().enumerate() {
        if end > start && sum + lengths[example] > tokens {
            parts.push(&examples[start..end]);
            (start, sum) = (end, 0);
        }
        sum += lengths[example];
    }
    if start < examples.len() {
        parts.push(&examples[start..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use lancer_backend::Seed;
    use proptest::prelude::*;

    use super::{epoch_batches, run_batches, within_tokens};
    use crate::settings::{BatchSize, TrainSettings};

    fn size() -> impl Strategy<Value = BatchSize> {
        prop_oneof![(1_usize..20).prop_map(BatchSize::Examples), (1_usize..3000).prop_map(BatchSize::Tokens)]
    }

    proptest! {
        #[test]
        fn an_epoch_has_every_example_once(
            lengths in prop::collection::vec(1_usize..400, 0..200), size in size(), bucket in 1_usize..80,
            seed in any::<u64>(),
        ) {
            let batches = epoch_batches(&lengths, size, bucket, Seed(seed));
            let mut seen: Vec<usize> = batches.iter().flatten().copied().collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for batch in &batches {
                let tokens: usize = batch.iter().map(|&example| lengths[example]).sum();
                let fits = match size {
                    BatchSize::Examples(examples) => batch.len() <= examples,
                    BatchSize::Tokens(limit) => tokens <= limit || batch.len() == 1,
                };
                prop_assert!(fits && !batch.is_empty());
            }
            prop_assert_eq!(&batches, &epoch_batches(&lengths, size, bucket, Seed(seed)));
        }

        #[test]
        fn parts_are_as_large_as_they_can_be(
            lengths in prop::collection::vec(1_usize..400, 0..60), tokens in 1_usize..1500,
        ) {
            let examples: Vec<usize> = (0..lengths.len()).rev().collect();
            let parts = within_tokens(&lengths, &examples, tokens);
            prop_assert_eq!(&parts.concat(), &examples);
            let sum = |part: &[usize]| part.iter().map(|&example| lengths[example]).sum::<usize>();
            for part in &parts {
                prop_assert!(part.len() == 1 || sum(part) <= tokens);
            }
            for pair in parts.windows(2) {
                prop_assert!(sum(pair[0]) + lengths[pair[1][0]] > tokens);
            }
        }
    }

    #[test]
    fn batches_have_like_lengths_and_epochs_differ() {
        let lengths: Vec<usize> = (0..64).map(|example| 1 + example * 37 % 64).collect();
        let settings = TrainSettings { epochs: 2, batch: BatchSize::Examples(8), ..TrainSettings::default() };
        let steps = run_batches(&lengths, &settings, Seed(3));
        assert_eq!(steps.len(), 16);
        for step in &steps {
            let (least, most) =
                (step.iter().map(|&i| lengths[i]).min(), step.iter().map(|&i| lengths[i]).max());
            assert!(most.unwrap() - least.unwrap() <= 7, "all 64 lengths sorted, cut into eights");
        }
        assert_ne!(steps[..8], steps[8..], "each epoch has its own order");
        let first = TrainSettings { max_steps: Some(5), ..settings };
        assert_eq!(run_batches(&lengths, &first, Seed(3)), steps[..5]);
    }
}
