//! The recipe `lance-paper`: the rules of LANCE's program over two iterations.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod scripted;

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::{Arc, Mutex},
};

use lancer_backend::scripted::ScriptedBackend;
use lancer_evolve::{Method, Recipe, Run, check::check, ledger::Ledger};
use scripted::{WithBackend, outcome::assert_sound};

fn recipe(folder: &Path) -> Recipe {
    let changes = [
        // A byte is a token of the scripted engine.
        "generate.max_prompt_tokens=200",
        "expand.worse_over=3.0",
        "annotate.sft_threshold=3.0",
        "annotate.pair_gap=0.5",
        "expand.worse_responses=2",
        "expand.prompts=2",
        "expand.responses=2",
        "review.retries=0",
        "review.samples=1",
    ]
    .map(str::to_owned);
    scripted::recipe(folder).following(Method::LancePaper).with(&changes).unwrap()
}

fn of<T: Ord>(rows: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    rows.into_iter().collect()
}

#[test]
fn data_add_up_and_the_pool_is_the_seeds_and_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listening = Arc::clone(&heard);
    let mut engines = WithBackend(move |_: &Path| {
        let heard = Arc::clone(&listening);
        ScriptedBackend::new(move |prompt, seed| {
            heard.lock().unwrap().push(prompt.to_owned());
            // Some reviews cannot be read.
            if prompt.contains("score") && seed.0 % 5 == 0 {
                return "No.".into();
            }
            scripted::answer(prompt, seed)
        })
    });
    let recipe = recipe(folder.path());
    let run = Run::open(folder.path(), recipe.clone()).unwrap();
    run.execute(&mut engines, &mut ()).unwrap();
    drop(run);
    let ledger = Ledger::read(&folder.path().join(Run::LEDGER)).unwrap();
    let keys = |iteration| of(ledger.pool(iteration).unwrap().into_iter().map(|record| record.key));

    // Everything that was kept joins, whatever its score; what joined before leaves.
    let seeds = keys(1);
    let newest = |iteration| of(ledger.kept_records(iteration).unwrap().into_iter().map(|record| record.key));
    assert!(!newest(1).is_empty());
    assert_eq!(keys(2), &seeds | &newest(1));
    assert_eq!(keys(3), &seeds | &newest(2));

    // Examples and pairs of the first iteration are trained on again in the second.
    let examples = |iteration| of(ledger.sft(iteration).unwrap().into_iter().map(|row| row.key));
    let pairs = |iteration| of(ledger.pairs(iteration).unwrap().into_iter().map(|row| row.key));
    assert!(examples(1).is_subset(&examples(2)) && pairs(1).is_subset(&pairs(2)));
    assert!(!pairs(1).is_empty() && pairs(2).len() > pairs(1).len());
    assert!(seeds.is_subset(&examples(1)), "all seeds are learnt from");

    // Scores are kept, and a review that cannot be read is 0.
    let scores = |iteration| -> HashMap<String, Option<f64>> {
        ledger.reviews(iteration).unwrap().into_iter().map(|row| (row.record, row.score)).collect()
    };
    let (first, second) = (scores(1), scores(2));
    assert!(seeds.iter().all(|seed| first[seed] == second[seed]));
    assert!(newest(1).iter().all(|record| first[record] == second[record]));
    assert!(first.values().all(Option::is_some) && first.values().any(|score| *score == Some(0.0)));

    // Each stage works under its system prompt, and no record has it.
    let heard = heard.lock().unwrap();
    for (system, what) in [(recipe.system.review, "score"), (recipe.system.generate, "")] {
        let system = system.unwrap();
        assert!(heard.iter().any(|prompt| prompt.contains(&system) && prompt.contains(what)), "{system}");
        let texts = ledger.pool(3).unwrap();
        assert!(texts.iter().all(|record| !record.prompt.contains(&system)));
    }
    drop(heard);
    assert!(check(folder.path()).unwrap().is_sound());
    assert_sound(folder.path(), "the end");
}
