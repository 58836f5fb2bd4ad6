//! Which prompts are shown as examples.

use std::collections::HashSet;

use lancer_backend::Seed;

use crate::{Source, words::near_equal};

/// Up to `count` sources out of `pool` to show beside `source`, drawn by `seed`.
///
/// Neither the order of `pool` nor the sources that were not candidates matter to the draw: each candidate gets a number
/// from the seed and its own key, and the smallest win, in the order of the numbers. So a pool that has grown changes
/// only the examples that the new sources take the place of. Left out are the source itself (by key and by near-equal
/// words), those under another system prompt, prompts without text, prompts longer than `max_chars` characters, and near copies of one already taken. Prompts of
/// one line go first: in the others an instruction speaks of a text below it, and a small model that goes on with a list
/// of those writes the instruction and forgets the text.
pub(crate) fn choose<'a>(
    pool: &'a [Source],
    source: &Source,
    count: usize,
    max_chars: usize,
    seed: Seed,
) -> Vec<&'a Source> {
    let mut candidates: Vec<((bool, Seed), &Source)> = pool
        .iter()
        .filter(|candidate| {
            candidate.key != source.key
                && fits(candidate.opening(), max_chars)
                && candidate.chat.system() == source.chat.system()
        })
        .map(|candidate| {
            let lines = candidate.opening().trim().contains('\n');
            ((lines, seed.derive(&candidate.key)), candidate)
        })
        .collect();
    candidates.sort_unstable_by(|(one, a), (other, b)| {
        one.cmp(other).then_with(|| a.key.cmp(&b.key)).then_with(|| a.opening().cmp(b.opening()))
    });

    let mut keys = HashSet::new();
    let mut chosen: Vec<&Source> = Vec::new();
    for (_, candidate) in candidates {
        if chosen.len() == count {
            break;
        }
        let shown = |other: &&Source| near_equal(other.opening(), candidate.opening());
        if near_equal(source.opening(), candidate.opening())
            || chosen.iter().any(shown)
            || !keys.insert(candidate.key.as_str())
        {
            continue;
        }
        chosen.push(candidate);
    }
    chosen
}

fn fits(prompt: &str, max_chars: usize) -> bool {
    !prompt.trim().is_empty() && prompt.chars().nth(max_chars).is_none()
}

#[cfg(test)]
mod tests {
    use lancer_backend::Seed;
    use proptest::prelude::*;

    use super::choose;
    use crate::Source;

    fn source(key: &str, prompt: &str) -> Source {
        Source::of_pair(key, prompt, "")
    }

    fn pool() -> Vec<Source> {
        (0..20).map(|n| source(&n.to_string(), &format!("Prompt number {n} asks for {}", n * n))).collect()
    }

    fn keys(chosen: &[&Source]) -> Vec<String> {
        chosen.iter().map(|source| source.key.clone()).collect()
    }

    #[test]
    fn long_empty_and_repeated_prompts_are_not_examples() {
        let pool = [
            source("long", &"x".repeat(41)),
            source("empty", " \n"),
            source("same", "Tell me a joke!"),
            source("1", "Name a colour."),
            source("2", "name a colour"),
        ];
        let chosen = choose(&pool, &source("own", "tell me a joke"), 5, 40, Seed(3));
        assert_eq!(chosen.len(), 1);
        assert!(chosen[0].opening().contains("colour"));
    }

    #[test]
    fn prompts_of_one_line_go_first() {
        let mut pool = pool();
        pool.truncate(4);
        pool[1].chat.messages[0].content = "Translate this.\n\nThe first of two lines".into();
        let last =
            choose(&pool, &source("own", "something else"), 9, 400, Seed(5)).pop().map(|last| &last.key);
        assert_eq!(last, Some(&pool[1].key));
    }

    #[test]
    fn sources_differ_in_their_examples() {
        let pool = pool();
        let drawn = |seed| keys(&choose(&pool, &source("own", "something else"), 3, 400, Seed(seed)));
        assert_ne!(drawn(1), drawn(2));
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_the_source_is_never_its_own_example(
            shuffled in Just(pool()).prop_shuffle(), own in 0_usize..20, count in 0_usize..6, seed: u64,
        ) {
            let ordered = pool();
            let chosen = choose(&ordered, &ordered[own], count, 400, Seed(seed));
            prop_assert_eq!(chosen.len(), count);
            prop_assert!(chosen.iter().all(|example| example.key != ordered[own].key));
            prop_assert_eq!(keys(&chosen), keys(&choose(&shuffled, &ordered[own], count, 400, Seed(seed))));
        }

        #[test]
        fn a_new_source_takes_at_most_one_place(own in 0_usize..20, seed: u64) {
            let before = pool();
            let mut after = pool();
            after.push(source("new", "A wholly different thing"));
            let one = keys(&choose(&before, &before[own], 4, 400, Seed(seed)));
            let other = keys(&choose(&after, &before[own], 4, 400, Seed(seed)));
            prop_assert!(one.iter().filter(|key| !other.contains(key)).count() <= 1);
        }
    }
}
