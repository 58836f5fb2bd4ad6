//! Which examples are taken, and which are held out: whole prompts, so that no prompt is both trained on and held out.

use std::collections::HashMap;

use lancer_backend::Seed;

use crate::error::{SettingError, require};

/// What a draw goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The example's key.
    pub key: &'a str,
    /// Its prompt. Examples with the same prompt, spaces apart, stay together.
    pub prompt: &'a str,
}

/// Which examples are trained on and which are held out, as places in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draw {
    /// Trained on.
    pub train: Vec<usize>,
    /// Held out.
    pub held_out: Vec<usize>,
}

/// The places of at most `limit` keys, drawn by a random number from each key, in ascending order.
pub fn draw_keys<'a>(keys: impl Iterator<Item = &'a str>, limit: Option<usize>, seed: Seed) -> Vec<usize> {
    let mut order: Vec<(Seed, usize)> =
        keys.enumerate().map(|(place, key)| (seed.derive(key), place)).collect();
    order.sort_unstable();
    order.truncate(limit.unwrap_or(usize::MAX));
    let mut taken: Vec<usize> = order.into_iter().map(|(_, place)| place).collect();
    taken.sort_unstable();
    taken
}

/// Draws at most `limit` examples, and of those a share to hold out.
///
/// An example is taken by a random number from its own key, so that one more example changes nothing about the others. What
/// is held out are all taken examples of some prompts: in the order of a random number from each prompt, those that fit
/// into the share; where none fits, the prompt with the fewest examples. With one prompt alone nothing is held out.
pub fn draw(candidates: &[Candidate<'_>], limit: Option<usize>, held_out: f64, seed: Seed) -> Draw {
    let mut taken = draw_keys(candidates.iter().map(|candidate| candidate.key), limit, seed);
    let room = (taken.len() as f64 * held_out.clamp(0.0, 1.0)) as usize;
    let room = room.min(taken.len().saturating_sub(1));
    let mut by_prompt: HashMap<String, Vec<usize>> = HashMap::new();
    for &place in &taken {
        let words: Vec<&str> = candidates[place].prompt.split_whitespace().collect();
        by_prompt.entry(words.join(" ")).or_default().push(place);
    }
    if room == 0 || by_prompt.len() < 2 {
        return Draw { train: taken, held_out: Vec::new() };
    }
    let mut prompts: Vec<(Seed, String, Vec<usize>)> = by_prompt
        .into_iter()
        .map(|(prompt, places)| (seed.derive(&format!("held out: {prompt}")), prompt, places))
        .collect();
    prompts.sort();
    let mut held: Vec<usize> = Vec::new();
    for (_, _, places) in &prompts {
        if held.len() + places.len() <= room {
            held.extend(places);
        }
    }
    if held.is_empty()
        && let Some((_, _, fewest)) = prompts.iter().min_by_key(|(_, _, places)| places.len())
    {
        held.clone_from(fewest);
    }
    held.sort_unstable();
    taken.retain(|place| held.binary_search(place).is_err());
    Draw { train: taken, held_out: held }
}

/// Checks a share to hold out.
pub fn check_held_out(held_out: f64) -> Result<(), SettingError> {
    require(
        (0.0..1.0).contains(&held_out),
        "held_out",
        held_out,
        "a share of the examples, at least 0 and below 1: 0.1 holds out a tenth of them",
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use lancer_backend::Seed;
    use proptest::prelude::*;

    use super::{Candidate, Draw, check_held_out, draw};

    fn of(prompts: &[usize], limit: Option<usize>, held_out: f64, seed: u64) -> (Draw, Vec<String>) {
        let texts: Vec<String> = prompts.iter().map(|prompt| format!("Prompt  {prompt}")).collect();
        let keys: Vec<String> = (0..prompts.len()).map(|place| format!("key {place}")).collect();
        let candidates: Vec<Candidate<'_>> =
            keys.iter().zip(&texts).map(|(key, prompt)| Candidate { key, prompt }).collect();
        (draw(&candidates, limit, held_out, Seed(seed)), texts)
    }

    proptest! {
        #[test]
        fn no_prompt_is_on_both_sides(
            prompts in prop::collection::vec(0_usize..12, 0..60), limit in prop::option::of(0_usize..70),
            held_out in 0.0..1.0_f64, seed in any::<u64>(),
        ) {
            let (drawn, texts) = of(&prompts, limit, held_out, seed);
            let prompts_of = |places: &[usize]| places.iter().map(|&place| &texts[place]).collect::<HashSet<_>>();
            prop_assert!(prompts_of(&drawn.train).is_disjoint(&prompts_of(&drawn.held_out)));
            let mut all = [drawn.train.as_slice(), &drawn.held_out].concat();
            all.sort_unstable();
            all.dedup();
            let taken = limit.unwrap_or(usize::MAX).min(prompts.len());
            prop_assert_eq!(all.len(), taken);
            prop_assert!(drawn.train.is_sorted() && drawn.held_out.is_sorted());
            prop_assert!(taken == 0 || !drawn.train.is_empty(), "nothing is left to train on");
            prop_assert_eq!(&of(&prompts, limit, held_out, seed).0, &drawn);
        }
    }

    #[test]
    fn a_share_is_held_out() {
        let one_each: Vec<usize> = (0..50).collect();
        let (drawn, _) = of(&one_each, Some(40), 0.25, 3);
        assert_eq!((drawn.train.len(), drawn.held_out.len()), (30, 10));
        assert_ne!(of(&one_each, Some(40), 0.25, 4).0, drawn);
        assert_eq!(of(&one_each, None, 0.0, 3).0, Draw { train: (0..50).collect(), held_out: vec![] });
        // Five prompts of four examples each: a tenth is less than one prompt.
        let fours: Vec<usize> = (0..20).map(|place| place / 4).collect();
        assert_eq!(of(&fours, None, 0.1, 3).0.held_out.len(), 4);
        // One prompt cannot be on both sides.
        assert_eq!(of(&[7; 20], None, 0.5, 3).0.held_out, [] as [usize; 0]);
    }

    #[test]
    fn a_share_is_below_one() {
        for share in [0.0, 0.1, 0.99] {
            check_held_out(share).unwrap();
        }
        for wrong in [1.0, 10.0, -0.1, f64::NAN, f64::INFINITY] {
            let said = check_held_out(wrong).unwrap_err().to_string();
            assert!(said.contains("held_out") && said.contains("0.1 holds out a tenth"), "{said}");
        }
    }
}
