//! What is found is what comparing all pairs finds.

use proptest::prelude::*;

use super::*;

const MEASURES: [Measure; 4] = [Measure::Any, Measure::Recall, Measure::Precision, Measure::F1];

fn all_pairs(pool: &[String], new: &[String], nearness: &Nearness, scope: NearScope<'_>) -> Vec<NearCopy> {
    let same_family = |place: usize, earlier: Earlier| match (scope, earlier) {
        (NearScope::Global, _) => true,
        (NearScope::Family { pool, new }, Earlier::Pool(other)) => pool[other] == new[place],
        (NearScope::Family { new, .. }, Earlier::New(other)) => new[other] == new[place],
    };
    let mut all = Vec::new();
    for (place, text) in new.iter().enumerate() {
        let earlier = (0..pool.len()).map(Earlier::Pool).chain((0..place).map(Earlier::New));
        for earlier in earlier.filter(|&earlier| same_family(place, earlier)) {
            let other = match earlier {
                Earlier::Pool(other) => &pool[other],
                Earlier::New(other) => &new[other],
            };
            let score = nearness.definition.score(text, other);
            if nearness.holds(score) {
                all.push(NearCopy { new: place, earlier, score });
            }
        }
    }
    all
}

fn threshold() -> impl Strategy<Value = f64> {
    // Round thresholds are those that scores hit exactly.
    prop_oneof![0.0_f64..1.0, (0..=20_u8).prop_map(|part| f64::from(part) / 20.0)]
}

fn check(pool: &[String], new: &[String], threshold: f64, families: &[u32]) -> Result<(), TestCaseError> {
    let (of_pool, of_new) = families.split_at(pool.len());
    for definition in [Definition::Rouge, Definition::RougeScore, Definition::RougeScoreSum] {
        for measure in MEASURES {
            let nearness = Nearness { definition, measure, threshold };
            let of_new = &of_new[..new.len()];
            for scope in [NearScope::Global, NearScope::Family { pool: of_pool, new: of_new }] {
                let expected = all_pairs(pool, new, &nearness, scope);
                prop_assert_eq!(near(pool, new, &nearness, scope), expected, "{:?}", nearness);
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_pair_of_short_texts_is_lost(
        pool in prop::collection::vec("[abcd .\n]{0,24}", 0..8), new in prop::collection::vec("[abcd .\n]{0,24}", 0..12),
        threshold in threshold(), families in prop::collection::vec(0_u32..3, 20),
    ) {
        check(&pool, &new, threshold, &families)?;
    }

    /// Texts past 64 words, some of whose words every text has.
    #[test]
    fn no_pair_of_long_texts_is_lost(
        new in prop::collection::vec("([abc] |[d-z] |[a-z]{2} |[ab]\\. |[ab]\n){20,120}", 0..8), copies in 0_usize..8,
        threshold in threshold(), families in prop::collection::vec(0_u32..2, 20),
    ) {
        let copy = |text: &String| text.split(' ').step_by(2).collect::<Vec<_>>().join(" ");
        let pool: Vec<String> = new.iter().take(copies).map(copy).collect();
        check(&pool, &new, threshold, &families)?;
    }
}

#[test]
fn near_copies_are_counted() {
    let texts = ["one two three four", "one two three five", "six seven", "one two three four five"];
    assert_eq!(near_counts(&[], &texts, &Nearness::default()), [0, 1, 0, 2]);
}
