//! Training examples from scored pairs.

use lancer_backend::{Message, Seed};
use lancer_review::{
    AnnotateSettings, Bound, Candidate, Damage, Kind, PairRule, RejectedKind, RejectedSide, Score, SeedRule,
    Worse, annotate,
};
use proptest::prelude::*;

fn scored(key: &str, prompt: &str, response: &str, score: f64, kind: Kind) -> Candidate {
    Candidate {
        key: key.into(),
        source: key.split('/').next().unwrap_or_default().into(),
        chat: vec![Message::user(prompt)].into(),
        response: response.into(),
        score: Some(Score::new(score).expect("a score")),
        kind,
    }
}

fn only(rejected: &[RejectedSide]) -> AnnotateSettings {
    AnnotateSettings { rejected: rejected.to_vec(), ..AnnotateSettings::default() }
}

/// Chosen and rejected key of each pair.
fn pairs(scored: &[Candidate], settings: &AnnotateSettings) -> Vec<(String, String)> {
    annotate(scored, settings, Seed(1))
        .preference
        .into_iter()
        .map(|pair| (pair.chosen_key, pair.rejected_key))
        .collect()
}

#[test]
fn good_seeds_and_new_pairs_are_learnt_from_and_bad_responses_never() {
    let input = [
        scored("s", "p", "good", 8.0, Kind::Seed),
        scored("s/w", "p", "worse", 9.5, Kind::Worse(Worse::Written)),
        scored("s/n", "q", "new", 9.0, Kind::NewPrompt),
        scored("t", "r", "middling", 7.9, Kind::Seed),
    ];
    let sft: Vec<String> =
        annotate(&input, &AnnotateSettings::default(), Seed(1)).sft.into_iter().map(|one| one.key).collect();
    assert_eq!(sft, ["s", "s/n"]);
}

#[test]
fn without_a_review_all_is_learnt_from_and_a_persons_response_is_preferred() {
    let unreviewed =
        |key, prompt, response, kind| Candidate { score: None, ..scored(key, prompt, response, 0.0, kind) };
    let input = [
        unreviewed("s", "p", "by a person", Kind::Seed),
        unreviewed("s/w", "p", "by the model", Kind::Worse(Worse::Sampled)),
        unreviewed("s/n/r0", "q", "one", Kind::NewPrompt),
        unreviewed("s/n/r1", "q", "two", Kind::NewPrompt),
    ];
    let settings = AnnotateSettings { review_examples: 5, ..only(&[RejectedSide::Sampled]) };
    let found = annotate(&input, &settings, Seed(1));
    let sft: Vec<&str> = found.sft.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(sft, ["s", "s/n/r0", "s/n/r1"]);
    assert_eq!(pairs(&input, &settings), [("s".into(), "s/w".into())]);
    assert!(found.review.is_empty());
}

#[test]
fn a_seed_is_chosen_over_worse_versions_that_score_less_by_the_gap() {
    let written = Kind::Worse(Worse::Written);
    let input = [
        scored("s", "p", "good", 8.0, Kind::Seed),
        scored("s/0", "p", "bad", 6.0, written),
        scored("s/1", "p", "hardly worse", 6.1, written),
        scored("s/2", "p", "very bad", 1.0, written),
        scored("s/3", "p", "better than it should be", 10.0, written),
    ];
    let found = pairs(&input, &only(&[RejectedSide::Written]));
    assert_eq!(found, [("s".into(), "s/2".into()), ("s".into(), "s/0".into())]);
    assert!(pairs(&input, &only(&[RejectedSide::Sampled])).is_empty());
}

#[test]
fn a_sample_is_not_chosen_over_a_seed() {
    let input = [
        scored("s", "p", "a person's", 3.0, Kind::Seed),
        scored("s/0", "p", "the model's", 9.0, Kind::Worse(Worse::Sampled)),
        scored("s/1", "p", "the model's other", 6.0, Kind::Worse(Worse::Sampled)),
    ];
    assert_eq!(pairs(&input, &only(&[RejectedSide::Sampled])), [("s/0".into(), "s/1".into())]);
}

#[test]
fn responses_to_a_new_prompt_are_compared_and_those_to_different_prompts_are_not() {
    let input = [
        scored("s/0/a", "new", "one", 9.0, Kind::NewPrompt),
        scored("s/0/b", "new", "two", 4.0, Kind::NewPrompt),
        scored("s/1/a", "other", "three", 1.0, Kind::NewPrompt),
    ];
    let annotations = annotate(&input, &only(&[RejectedSide::Sampled]), Seed(1));
    let pair = &annotations.preference[..];
    assert_eq!(pair.len(), 1);
    assert_eq!((pair[0].chosen.as_str(), pair[0].rejected.as_str()), ("one", "two"));
    assert_eq!((pair[0].source.as_str(), pair[0].key.as_str()), ("s", "s/0/a>s/0/b"));
    assert_eq!(pair[0].rejected_kind, RejectedKind::Sampled);
}

#[test]
fn good_seeds_have_damaged_sides_without_generation() {
    let input = [
        scored("s", "p", "one two three four", 9.0, Kind::Seed),
        scored("t", "q", "five six seven eight", 8.0, Kind::Seed),
        scored("u", "r", "a bad seed", 2.0, Kind::Seed),
    ];
    let annotations = annotate(&input, &only(&[RejectedSide::Mismatched, RejectedSide::Damaged]), Seed(1));
    let kinds: Vec<_> = annotations
        .preference
        .iter()
        .map(|pair| {
            (
                pair.chosen_key.as_str(),
                matches!(pair.rejected_kind, RejectedKind::Damaged(Damage::Mismatched)),
            )
        })
        .collect();
    assert_eq!(kinds, [("s", true), ("s", false), ("t", true), ("t", false)]);
    for pair in &annotations.preference {
        assert_eq!(pair.rejected_score, None);
        assert_ne!(pair.rejected, pair.chosen);
        if pair.rejected_kind == RejectedKind::Damaged(Damage::Mismatched) {
            assert!(
                input
                    .iter()
                    .any(|other| other.chat.user_text() != pair.prompt && other.response == pair.rejected)
            );
        }
    }
}

#[test]
fn no_side_crowds_out_the_others() {
    let mut input =
        vec![scored("s", "p", "one two three", 9.0, Kind::Seed), scored("t", "q", "other", 9.0, Kind::Seed)];
    for n in 0..6 {
        input.push(scored(&format!("s/{n}"), "p", &format!("bad {n}"), 1.0, Kind::Worse(Worse::Written)));
    }
    let settings = AnnotateSettings {
        max_pairs_per_prompt: 3,
        ..only(&[RejectedSide::Written, RejectedSide::Mismatched])
    };
    let found = pairs(&input, &settings);
    assert_eq!(found.iter().filter(|(chosen, _)| chosen == "s").count(), 3);
    assert!(found.contains(&("s".into(), "s/Mismatched".into())), "{found:?}");
}

#[test]
fn review_examples_are_spread_over_the_scores() {
    let mut input: Vec<Candidate> =
        (0..20).map(|n| scored(&format!("h{n}"), "p", &format!("r{n}"), 9.9, Kind::Seed)).collect();
    input.push(scored("low", "p", "score: 10", 0.4, Kind::Seed));
    let settings = AnnotateSettings { review_examples: 4, ..AnnotateSettings::default() };
    let review = annotate(&input, &settings, Seed(1)).review;
    let low = review.iter().find(|example| example.record == "low").unwrap();
    assert_eq!((review.len(), low.response.as_str()), (4, "score: 0"));
    assert!(low.prompt.contains("\n| score: 10\n"), "{}", low.prompt);
    let none = AnnotateSettings { review_examples: 0, ..settings };
    assert!(annotate(&input, &none, Seed(1)).review.is_empty());
}

proptest! {
    #[test]
    fn every_pair_keeps_the_rules(
        input in prop::collection::vec((0_usize..3, 0_usize..4, 0_u32..=10, 0_usize..6), 0..30), gap in 1_u32..5, max in 1_usize..5,
    ) {
        let kinds = [Kind::Seed, Kind::NewPrompt, Kind::Worse(Worse::Written), Kind::Worse(Worse::Sampled)];
        let input: Vec<Candidate> = input
            .into_iter()
            .enumerate()
            .map(|(n, (prompt, kind, score, response))| {
                scored(&n.to_string(), &format!("p{prompt}"), &format!("w{response} x y"), f64::from(score), kinds[kind])
            })
            .collect();
        let all = [RejectedSide::Written, RejectedSide::Sampled, RejectedSide::Mismatched, RejectedSide::Damaged];
        let settings = AnnotateSettings { pair_gap: f64::from(gap), max_pairs_per_prompt: max, ..only(&all) };
        let annotations = annotate(&input, &settings, Seed(2));
        let mut keys: Vec<&str> = annotations.preference.iter().map(|pair| pair.key.as_str()).collect();
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        prop_assert_eq!(keys.len(), count);
        for prompt in ["p0", "p1", "p2"] {
            prop_assert!(annotations.preference.iter().filter(|pair| pair.prompt == prompt).count() <= max);
        }
        for pair in &annotations.preference {
            prop_assert_ne!(pair.chosen.trim(), pair.rejected.trim());
            let chosen = input.iter().find(|one| one.key == pair.chosen_key).unwrap();
            prop_assert_eq!((&chosen.chat.user_text().into_owned(), &chosen.response), (&pair.prompt, &pair.chosen));
            match pair.rejected_score {
                Some(score) => prop_assert!(pair.chosen_score.unwrap().get() - score.get() >= settings.pair_gap),
                None => prop_assert!(pair.chosen_score.unwrap().get() >= settings.sft_threshold),
            }
        }
        for example in &annotations.sft {
            prop_assert!(example.score.unwrap().get() >= settings.sft_threshold);
        }
    }
}

/// The rules of LANCE's program.
fn of_lance() -> AnnotateSettings {
    AnnotateSettings {
        seeds: SeedRule::All,
        sft_bound: Bound::Above,
        min_chars: 5,
        pairs: PairRule::AgainstLowest,
        pair_bound: Bound::Above,
        ..only(&[RejectedSide::Written, RejectedSide::Sampled])
    }
}

#[test]
fn by_the_rules_of_lances_program_only_scores_above_the_threshold_and_longer_texts_count() {
    let input = [
        scored("low", "a prompt", "a seed of any score", 1.0, Kind::Seed),
        scored("at", "another prompt", "exactly at it", 8.0, Kind::NewPrompt),
        scored("above", "a third prompt", "above the threshold", 8.1, Kind::NewPrompt),
        scored("also", "a third prompt", "not the best of them", 8.05, Kind::NewPrompt),
        scored("short", "a fourth prompt", "five!", 9.0, Kind::NewPrompt),
    ];
    let found = annotate(&input, &of_lance(), Seed(1));
    let sft: Vec<&str> = found.sft.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(sft, ["low", "above", "also"]);
    // Responses to new prompts make no pairs, however far apart they are.
    assert!(found.preference.is_empty(), "{:?}", found.preference);
}

#[test]
fn by_the_rules_of_lances_program_the_lowest_of_a_prompt_is_rejected_and_each_more_than_the_gap_above_is_chosen()
 {
    let written = Kind::Worse(Worse::Written);
    let input = [
        scored("s", "a prompt", "the original", 4.0, Kind::Seed),
        scored("s/0", "a prompt", "a worse response", 2.0, written),
        scored("s/1", "a prompt", "one that is better", 9.0, written),
        scored("s/2", "a prompt", "just above the gap", 4.1, written),
    ];
    // The original is exactly the gap above, and a deliberately worse response may be chosen.
    let expected = [("s/1", "s/0"), ("s/2", "s/0")].map(|(one, other)| (one.to_owned(), other.to_owned()));
    assert_eq!(pairs(&input, &of_lance()), expected);
    // The original is rejected where it is the lowest.
    let mut lowest = input.clone();
    lowest[0].score = Some(Score::new(0.5).expect("a score"));
    let found = pairs(&lowest, &of_lance());
    assert!(found.iter().all(|(_, rejected)| rejected == "s") && found.len() == 2, "{found:?}");
}

#[test]
fn among_almost_equal_scores_the_shorter_response_is_chosen_and_the_longer_rejected() {
    let input = [
        scored("best", "a prompt", "the best one, at great length", 9.0, Kind::NewPrompt),
        scored("short", "a prompt", "short", 8.8, Kind::NewPrompt),
        scored("middle", "a prompt", "the middle", 5.0, Kind::NewPrompt),
        scored("worst", "a prompt", "bad", 2.0, Kind::NewPrompt),
        scored("long", "a prompt", "bad, and longer than the worst", 2.5, Kind::NewPrompt),
    ];
    let with = |length_tier| AnnotateSettings { length_tier, ..only(&[RejectedSide::Sampled]) };
    let pair = |one: &str, other: &str| vec![(one.to_owned(), other.to_owned())];
    assert_eq!(pairs(&input, &with(0.1)), pair("short", "long"));
    // A tier that only the best and the worst are in.
    assert_eq!(pairs(&input, &with(0.01)), pair("best", "worst"));
    // Without it the widest gap comes first.
    assert_eq!(pairs(&input, &with(0.0)).first(), pair("best", "worst").first());
    // A person's response and worse ones make their pairs as before.
    let of_a_seed = [
        scored("s", "p", "a long response by a person", 9.0, Kind::Seed),
        scored("s/0", "p", "a worse one", 2.0, Kind::Worse(Worse::Sampled)),
        scored("s/1", "p", "another", 3.0, Kind::Worse(Worse::Sampled)),
    ];
    assert_eq!(pairs(&of_a_seed, &with(0.5)), pairs(&of_a_seed, &with(0.0)));
    assert!(!pairs(&of_a_seed, &with(0.5)).is_empty());
}
