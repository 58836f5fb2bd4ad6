//! Steps of lazy queries against the same functions on frames.

#![cfg(feature = "lazy")]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use lancer_data::{
    Alikeness, CleanSettings, EvaluationTexts, Handling, Keep, MinHashSettings, Nearness,
    PersonalDataSettings, QualitySettings, clean_frame, dedup_frame, lazy, personal_data_frame,
    polars::{
        df,
        error::PolarsError,
        prelude::{DataFrame, IntoLazy, LazyFrame, PolarsResult, col, lit},
    },
    quality_frame,
};

fn frame() -> DataFrame {
    df!(
        "prompt" => ["Name three kinds of bread.", "Name three kinds of bread, please.", "Who is ann@example.org?"],
        "response" => [Some("Rye, pita and naan."), Some("I'm sorry, but as an AI language model I cannot."), None],
        "score" => [1.0, 2.0, 3.0],
    )
    .unwrap()
}

/// The query's schema is known before it runs, and it gives what the function gives.
fn same(query: impl Fn(LazyFrame) -> PolarsResult<LazyFrame>, plain: &DataFrame) {
    let mut lazily = query(frame().lazy()).unwrap();
    let schema = lazily.collect_schema().unwrap();
    let collected = lazily.collect().unwrap();
    assert_eq!(collected.schema(), &schema);
    assert!(collected.equals_missing(plain), "{collected}\n{plain}");
}

#[test]
fn steps_give_what_the_functions_give() {
    let clean = CleanSettings { min_response_words: 1, ..CleanSettings::default() };
    same(
        |frame| lazy::clean(frame, Vec::new(), EvaluationTexts::default(), clean.clone()),
        &clean_frame(frame(), &[], &EvaluationTexts::default(), &clean).unwrap(),
    );
    let quality = QualitySettings::default();
    same(|frame| lazy::quality(frame, quality.clone()), &quality_frame(frame(), &quality).unwrap());
    let scratch = tempfile::tempdir().unwrap();
    for alikeness in [Alikeness::RougeL(Nearness::default()), Alikeness::MinHash(MinHashSettings::default())]
    {
        same(
            |frame| lazy::dedup(frame, "prompt", alikeness, Keep::BestScore, scratch.path()),
            &dedup_frame(frame(), "prompt", &alikeness, Keep::BestScore, scratch.path()).unwrap(),
        );
    }
    let personal = PersonalDataSettings { email: Handling::Drop, ..PersonalDataSettings::default() };
    same(
        |frame| lazy::personal_data(frame, vec!["prompt".into()], personal),
        &personal_data_frame(frame(), &["prompt"], &personal).unwrap(),
    );
}

#[test]
fn a_filter_behind_a_step_stays_behind_it() {
    let settings = CleanSettings { min_response_words: 1, ..CleanSettings::default() };
    let query = lazy::clean(frame().lazy(), Vec::new(), EvaluationTexts::default(), settings)
        .unwrap()
        .filter(col("score").gt(lit(1.5)))
        .select([col("rule")]);
    // Were the first row filtered away before, the second would be no near copy.
    let rules = query.collect().unwrap();
    assert_eq!(rules.column("rule").unwrap().str().unwrap().get(0), Some("near_copy_of_pool"));
}

#[test]
fn a_missing_column_is_named_before_anything_runs() {
    let prompts = frame().lazy().select([col("prompt")]);
    let Err(error) = lazy::quality(prompts, QualitySettings::default()) else { panic!("no error") };
    assert!(matches!(error, PolarsError::ColumnNotFound(_)), "{error}");
    assert!(error.to_string().contains("response"), "{error}");
}
