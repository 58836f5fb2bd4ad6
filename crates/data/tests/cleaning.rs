//! Which candidates are kept: rule by rule, and against the plain comparison of all pairs.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::collections::HashMap;

use lancer_data::{
    Candidate, CleanSettings, DecontaminationSettings, Drop, EvaluationTexts, Origin, Pair, Rule, Scope,
    ShortResponses, clean, clean_frame, counts_by_rule, polars::df, polars::prelude::DataFrame,
    rouge::Definition, rule_counts,
};
use proptest::prelude::*;

fn pair(key: &str, prompt: &str, response: &str) -> Pair {
    Pair { key: key.into(), prompt: prompt.into(), response: response.into() }
}

fn new_prompt(key: &str, family: &str, prompt: &str, response: &str) -> Candidate {
    Candidate {
        key: key.into(),
        family: family.into(),
        prompt: prompt.into(),
        response: response.into(),
        origin: Origin::NewPrompt,
    }
}

fn other_response(key: &str, family: &str, response: &str) -> Candidate {
    Candidate { origin: Origin::OtherResponse, ..new_prompt(key, family, "as the seed's", response) }
}

fn pool() -> Vec<Pair> {
    vec![
        pair(
            "bread",
            "Name three kinds of bread.",
            "Rye, pita and naan are three of the many kinds of bread.",
        ),
        pair("paris", "What is the capital of France?", "Paris."),
        pair(
            "sky",
            "Why is the sky blue?",
            "Air scatters the blue part of the sunlight more than it does the red.",
        ),
    ]
}

/// Rules and keys of what is dropped, in order; "" for what is kept.
fn dropped(candidates: &[Candidate], settings: &CleanSettings) -> Vec<(&'static str, String)> {
    clean(candidates, &pool(), &EvaluationTexts::default(), settings)
        .into_iter()
        .map(|drop| {
            drop.map_or(("", String::new()), |drop| (drop.rule.as_str(), drop.resembles.unwrap_or_default()))
        })
        .collect()
}

const LONG: &str =
    "A long answer that has by far more than ten words in it, so that no rule drops it for that.";

#[test]
fn texts_are_held_to_the_limits() {
    let settings = CleanSettings {
        max_response_words: 30,
        forbidden: vec!["As an AI".into(), "image".into()],
        ..CleanSettings::default()
    };
    for (prompt, response, rule, detail) in [
        ("One two three four five", LONG, None, ""),
        (" ", LONG, Some(Rule::EmptyText), "the prompt is empty"),
        ("One two three four five", "\n", Some(Rule::EmptyText), "the response is empty"),
        ("One two three four", LONG, Some(Rule::PromptTooShort), "4 words"),
        (
            "One two three four five",
            "Too short, by a word or by two.",
            Some(Rule::ResponseTooShort),
            "8 words",
        ),
        ("One two three four five", &LONG.repeat(2), Some(Rule::ResponseTooLong), "41 words"),
        ("Draw an IMAGE of a cat", LONG, Some(Rule::ForbiddenWord), "prompt: image"),
        (
            "One two three four five",
            "I cannot say, since as an ai model I do not know.",
            Some(Rule::ForbiddenWord),
            "response: As an AI",
        ),
    ] {
        let found = clean(
            &[new_prompt("a", "bread", prompt, response)],
            &pool(),
            &EvaluationTexts::default(),
            &settings,
        );
        let expected = rule.map(|rule| Drop { rule, resembles: None, detail: detail.into() });
        assert_eq!(found, [expected], "{prompt:?} {response:?}");
    }
}

#[test]
fn a_response_may_be_as_short_as_the_one_of_its_seed() {
    let candidates = [
        new_prompt("short", "paris", "What is the capital of Spain, please?", "Madrid."),
        new_prompt("long", "bread", "Which city is the Prado in?", "Madrid."),
        new_prompt("orphan", "unknown", "Which river flows through the city of Cairo?", "The Nile."),
    ];
    let settings = CleanSettings { threshold: 1.0, ..CleanSettings::default() };
    let short = ("response_too_short", String::new());
    assert_eq!(dropped(&candidates, &settings), [("", String::new()), short.clone(), short.clone()]);
    let settings = CleanSettings { short_responses: ShortResponses::Drop, ..settings };
    assert_eq!(dropped(&candidates, &settings), [short.clone(), short.clone(), short]);
}

#[test]
fn a_new_prompt_is_compared_with_its_seed_its_siblings_and_the_pool() {
    let candidates = [
        new_prompt("source", "bread", "Name three kinds of bread, please.", LONG),
        new_prompt("pool", "bread", "Why is the sky so blue?", LONG),
        new_prompt("kept", "bread", "Which flour is the best for baguettes?", LONG),
        new_prompt("sibling", "bread", "Which flour is the best for long baguettes?", LONG),
        new_prompt("cousin", "sky", "Which flour is the very best for baguettes?", LONG),
        new_prompt("same", "sky", "Which flour  is the best for baguettes?", LONG),
        new_prompt("seed", "bread", "What is the capital of France?", LONG),
    ];
    let none = || ("", String::new());
    let settings = CleanSettings::default();
    assert_eq!(
        dropped(&candidates, &settings),
        [
            ("near_copy_of_source", "bread".into()),
            ("near_copy_of_pool", "sky".into()),
            none(),
            ("near_copy_of_sibling", "kept".into()),
            ("near_copy_of_pool", "kept".into()),
            ("exact_duplicate", "kept".into()),
            ("exact_duplicate", "paris".into()),
        ]
    );
    let settings = CleanSettings { scope: Scope::Family, ..settings };
    assert_eq!(
        dropped(&candidates, &settings),
        [
            ("near_copy_of_source", "bread".into()),
            none(),
            none(),
            ("near_copy_of_sibling", "kept".into()),
            none(),
            // The cousin has become a sibling of this one.
            ("near_copy_of_sibling", "cousin".into()),
            none(),
        ]
    );
}

#[test]
fn responses_to_one_new_prompt_are_siblings() {
    let prompt = "Which flour is the best for baguettes?";
    let candidates = [
        new_prompt("short", "bread", prompt, "None."),
        new_prompt("a", "bread", prompt, LONG),
        new_prompt(
            "b",
            "bread",
            prompt,
            "A white wheat flour with some eleven parts of protein in a hundred.",
        ),
        new_prompt("c", "bread", prompt, &format!("{LONG} Really.")),
        new_prompt("d", "bread", prompt, LONG),
        // Against the seed's response, which answers another prompt, nothing is held.
        new_prompt("e", "bread", prompt, &pool()[0].response),
    ];
    assert_eq!(
        dropped(&candidates, &CleanSettings::default()),
        [
            ("response_too_short", String::new()),
            ("", String::new()),
            ("", String::new()),
            ("near_copy_of_sibling", "a".into()),
            ("exact_duplicate", "a".into()),
            ("", String::new()),
        ]
    );
}

#[test]
fn another_response_is_compared_with_the_seed_s_and_its_siblings() {
    let candidates = [
        other_response("a", "bread", "Rye, pita and naan are three of the kinds of bread."),
        other_response("b", "bread", "There are no kinds of bread, for all bread is one and the same."),
        other_response("c", "bread", "There are no kinds of bread, for all bread is just one and the same."),
        other_response("d", "bread", &pool()[2].response),
        other_response("e", "sky", "There are no kinds of bread, for all bread is one and the same."),
        other_response("f", "paris", "Paris."),
    ];
    assert_eq!(
        dropped(&candidates, &CleanSettings::default()),
        [
            ("near_copy_of_source", "bread".into()),
            ("", String::new()),
            ("near_copy_of_sibling", "b".into()),
            ("", String::new()),
            ("", String::new()),
            ("exact_duplicate", "paris".into()),
        ]
    );
}

#[test]
fn a_drop_says_how_close_it_was() {
    let settings = CleanSettings { rouge: Definition::RougeScore, ..CleanSettings::default() };
    let candidate = new_prompt("a", "bread", "Name three good kinds of white bread.", LONG);
    let verdicts = clean(&[candidate], &pool(), &EvaluationTexts::default(), &settings);
    // Five of the seed's five words are in seven of the candidate's, in order.
    assert_eq!(verdicts[0].as_ref().unwrap().detail, "prompt: recall 1.00");
    assert_eq!(rule_counts(&verdicts).into_iter().collect::<Vec<_>>(), [(Rule::NearCopyOfSource, 1)]);
}

#[test]
fn texts_without_words_that_rouge_knows_are_duplicates_where_they_are_the_same() {
    let candidates = [
        new_prompt("a", "x", "天 空 为 什 么", "因 为 空 气 散 射 蓝 光 多 于 红 光"),
        new_prompt("b", "y", "天 空 为 什 么", "空 气 散 射 蓝 光 , 红 光 则 不 然 。"),
    ];
    let settings = CleanSettings { rouge: Definition::RougeScore, ..CleanSettings::default() };
    assert_eq!(dropped(&candidates, &settings), [("", String::new()), ("exact_duplicate", "a".into())]);
}

#[test]
fn settings_have_ranges_and_know_their_names() {
    assert_eq!(CleanSettings::default().validate(), Ok(()));
    for (settings, setting) in [
        (CleanSettings { threshold: 1.5, ..CleanSettings::default() }, "threshold"),
        (CleanSettings { threshold: f64::NAN, ..CleanSettings::default() }, "threshold"),
        (CleanSettings { max_response_words: 9, ..CleanSettings::default() }, "max_response_words"),
        (CleanSettings { forbidden: vec![" ".into()], ..CleanSettings::default() }, "forbidden"),
    ] {
        assert_eq!(settings.validate().unwrap_err().setting, setting);
    }
    let settings: CleanSettings =
        serde_json::from_str(r#"{"rouge":"rouge_score","scope":"family","short_responses":"drop"}"#).unwrap();
    assert_eq!(
        settings,
        CleanSettings {
            rouge: Definition::RougeScore,
            scope: Scope::Family,
            short_responses: ShortResponses::Drop,
            ..CleanSettings::default()
        }
    );
    assert!(serde_json::from_str::<CleanSettings>(r#"{"treshold":0.5}"#).is_err());
}

#[test]
fn a_frame_is_cleaned_as_its_rows_are() {
    let frame = df!(
        "prompt" => [Some("Which flour is the best?"), Some("Which flour is the very best?"), None],
        "response" => [LONG, LONG, LONG],
        "family" => ["bread", "bread", "bread"],
        "kept" => ["old", "old", "old"],
    )
    .unwrap();
    let cleaned =
        clean_frame(frame, &pool(), &EvaluationTexts::default(), &CleanSettings::default()).unwrap();
    let text = |name: &str| -> Vec<Option<String>> {
        cleaned.column(name).unwrap().str().unwrap().iter().map(|text| text.map(str::to_owned)).collect()
    };
    assert_eq!(text("rule"), [None, Some("near_copy_of_sibling".into()), Some("empty_text".into())]);
    assert_eq!(text("resembles"), [None, Some("1".into()), None]);
    assert_eq!(text("detail")[2].as_deref(), Some("the prompt is empty"));
    assert_eq!(
        cleaned.column("kept").unwrap().bool().unwrap().iter().collect::<Vec<_>>(),
        [Some(true), Some(false), Some(false)]
    );
    let counts = counts_by_rule(&cleaned).unwrap();
    let expected =
        df!("rule" => ["kept", "empty_text", "near_copy_of_sibling"], "count" => [1_u64, 1, 1]).unwrap();
    assert!(counts.equals(&expected));
    assert!(
        clean_frame(DataFrame::empty(), &[], &EvaluationTexts::default(), &CleanSettings::default()).is_err()
    );
}

/// The same verdicts by comparing everything with everything, one candidate after the other.
fn plainly(candidates: &[Candidate], pool: &[Pair], settings: &CleanSettings) -> Vec<Option<Rule>> {
    let same = |one: &str, two: &str| one.split_whitespace().eq(two.split_whitespace());
    let near = |one: &str, two: &str| {
        let score = settings.rouge.score(one, two);
        let (less, more) = (score.recall.min(score.precision), score.recall.max(score.precision));
        // What is all within a text of more than twice its length is no copy of it.
        score.f1 > settings.threshold || (2.0 * less >= more && more > settings.threshold)
    };
    let mut kept: Vec<&Candidate> = Vec::new();
    let mut fallen: HashMap<(&str, String), Rule> = HashMap::new();
    let mut verdicts = Vec::new();
    for candidate in candidates {
        let source = pool.iter().find(|pair| pair.key == candidate.family);
        let siblings = || {
            kept.iter().filter(|other| other.family == candidate.family && other.origin == candidate.origin)
        };
        let words = |text: &str| text.split_whitespace().count();
        let least = source.map_or(settings.min_response_words, |source| {
            settings.min_response_words.min(words(&source.response))
        });
        let (is_new, text) = match candidate.origin {
            Origin::NewPrompt => (true, &candidate.prompt),
            Origin::OtherResponse => (false, &candidate.response),
        };
        let rule = if words(&candidate.prompt) == 0 || words(&candidate.response) == 0 {
            Some(Rule::EmptyText)
        } else if is_new && words(&candidate.prompt) < settings.min_prompt_words {
            Some(Rule::PromptTooShort)
        } else if words(&candidate.response) < least {
            Some(Rule::ResponseTooShort)
        } else {
            let prompt = candidate.prompt.split_whitespace().collect::<Vec<_>>().join(" ");
            let prompt = (candidate.family.as_str(), prompt);
            if let Some(&rule) = fallen.get(&prompt).filter(|_| is_new) {
                verdicts.push(Some(rule));
                continue;
            }
            let same_prompt: Vec<_> =
                siblings().filter(|other| is_new && same(&other.prompt, &candidate.prompt)).collect();
            let no_sibling_has_it = same_prompt.is_empty();
            let mut compared: Vec<(Rule, &str, &str)> = Vec::new();
            if no_sibling_has_it {
                if let Some(source) = source {
                    let other = if is_new { &source.prompt } else { &source.response };
                    compared.push((Rule::NearCopyOfSource, text, other));
                }
                for other in siblings() {
                    let other = if is_new { &other.prompt } else { &other.response };
                    compared.push((Rule::NearCopyOfSibling, text, other));
                }
                if is_new && settings.scope == Scope::Pool {
                    for other in pool {
                        compared.push((Rule::NearCopyOfPool, text, &other.prompt));
                    }
                    for other in kept.iter().filter(|other| other.origin == Origin::NewPrompt) {
                        compared.push((Rule::NearCopyOfPool, text, &other.prompt));
                    }
                }
            } else {
                for other in same_prompt {
                    compared.push((Rule::NearCopyOfSibling, &candidate.response, &other.response));
                }
            }
            let rule = if compared.iter().any(|(_, one, two)| same(one, two)) {
                Some(Rule::ExactDuplicate)
            } else {
                compared.iter().filter(|(_, one, two)| near(one, two)).map(|(rule, _, _)| *rule).min()
            };
            if let Some(rule) = rule.filter(|_| is_new && no_sibling_has_it) {
                fallen.insert(prompt, rule);
            }
            rule
        };
        if rule.is_none() {
            kept.push(candidate);
        }
        verdicts.push(rule);
    }
    verdicts
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d", "e", ".", "a.", "B"]), 0..7)
        .prop_map(|words| words.join(" "))
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let candidate = (0..4_u8, text(), text(), any::<bool>());
    prop::collection::vec(candidate, 0..24).prop_map(|all| {
        let make =
            |(place, (family, prompt, response, new)): (usize, (u8, String, String, bool))| Candidate {
                key: format!("c{place}"),
                family: format!("p{family}"),
                prompt,
                response,
                origin: if new { Origin::NewPrompt } else { Origin::OtherResponse },
            };
        all.into_iter().enumerate().map(make).collect()
    })
}

fn some_pool() -> impl Strategy<Value = Vec<Pair>> {
    prop::collection::vec((text(), text()), 0..4).prop_map(|texts| {
        let make = |(place, (prompt, response)): (usize, (String, String))| Pair {
            key: format!("p{place}"),
            prompt,
            response,
        };
        texts.into_iter().enumerate().map(make).collect()
    })
}

fn settings() -> impl Strategy<Value = CleanSettings> {
    (any::<bool>(), any::<bool>(), (2..=10_u8)).prop_map(|(google, family, threshold)| CleanSettings {
        min_prompt_words: 1,
        min_response_words: 2,
        rouge: if google { Definition::RougeScore } else { Definition::Rouge },
        scope: if family { Scope::Family } else { Scope::Pool },
        threshold: f64::from(threshold) / 10.0,
        ..CleanSettings::default()
    })
}

proptest! {
    #[test]
    fn verdicts_are_those_of_comparing_everything(
        candidates in candidates(), pool in some_pool(), settings in settings(),
    ) {
        let found: Vec<_> =
            clean(&candidates, &pool, &EvaluationTexts::default(), &settings).into_iter().map(|drop| drop.map(|drop| drop.rule)).collect();
        prop_assert_eq!(found, plainly(&candidates, &pool, &settings));
    }

    #[test]
    fn what_is_kept_is_kept_again(candidates in candidates(), pool in some_pool(), settings in settings()) {
        let verdicts = clean(&candidates, &pool, &EvaluationTexts::default(), &settings);
        let kept: Vec<_> =
            candidates.into_iter().zip(&verdicts).filter(|(_, drop)| drop.is_none()).map(|(kept, _)| kept).collect();
        prop_assert!(clean(&kept, &pool, &EvaluationTexts::default(), &settings).iter().all(Option::is_none));
    }

    #[test]
    fn a_drop_names_a_record_that_was_kept_or_is_in_the_pool(
        candidates in candidates(), pool in some_pool(), settings in settings(),
    ) {
        let verdicts = clean(&candidates, &pool, &EvaluationTexts::default(), &settings);
        for drop in verdicts.iter().flatten() {
            let compares = drop.rule >= Rule::ExactDuplicate;
            prop_assert_eq!(drop.resembles.is_some(), compares);
            if let Some(key) = &drop.resembles {
                let in_pool = pool.iter().any(|pair| pair.key == *key);
                let kept = candidates.iter().zip(&verdicts).any(|(other, drop)| other.key == *key && drop.is_none());
                prop_assert!(in_pool || kept);
            }
        }
    }
}

#[test]
fn what_an_evaluation_task_has_is_dropped() {
    let mut evaluation = EvaluationTexts::new(DecontaminationSettings::default());
    let item =
        serde_json::json!({"goal": "How long does it take to bake a rye loaf in an old brick oven outside?"});
    evaluation.add("baking", [item.as_object().unwrap()]);
    let response = "It depends on the size of the loaf, and on the oven; count on an hour at the least.";
    let candidates = [
        new_prompt(
            "a",
            "bread",
            "How long does it take to bake a rye loaf in an old brick oven outside?",
            response,
        ),
        new_prompt("b", "bread", "What is the best oven for a rye loaf, and why is that so?", response),
    ];
    let found = clean(&candidates, &pool(), &evaluation, &CleanSettings::default());
    let drop = found[0].as_ref().unwrap();
    assert_eq!(drop.rule, Rule::Contaminated);
    assert!(drop.detail.starts_with("baking, record 1: how long does it take"), "{}", drop.detail);
    assert_eq!(found[1], None);
}
