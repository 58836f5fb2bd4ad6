//! Recipes of the literature side by side, and one recipe under several seeds, with scripted engines.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod scripted;

use lancer_backend::Seed;
use lancer_evolve::{
    Method, Recipe, Run, Stage,
    ledger::{Ledger, Phase},
    trials::{self, Trial},
};
use scripted::{ScriptedEngines, recipe};

fn base(folder: &std::path::Path) -> Recipe {
    recipe(folder)
        .with(&[
            "evaluate.bootstrap.resamples=200".into(),
            "iterations=1".into(),
            "review.samples=1".into(),
            "annotate.review_examples=0".into(),
        ])
        .unwrap()
}

fn ledger(trial: &Trial) -> Ledger {
    Ledger::read(&trial.folder.join(Run::LEDGER)).unwrap()
}

#[test]
fn every_recipe_runs_and_does_what_its_paper_does() {
    let folder = tempfile::tempdir().unwrap();
    let trials = trials::of_methods(&base(folder.path()), &Method::ALL, 1, folder.path());
    trials::execute(&trials, &mut ScriptedEngines, &mut ()).unwrap();
    let counts = |method: Method| {
        let trial = trials.iter().find(|trial| trial.name == method.name()).unwrap();
        let ledger = ledger(trial);
        assert!(ledger.is_finished(1, Stage::Merge).unwrap());
        let written = ledger.samples(1).unwrap();
        let of = |writing: &str| written.iter().filter(|sample| sample.writing == writing).count();
        let steps = |phase| ledger.steps(1, phase).unwrap().len();
        (
            (of("new_prompt"), of("worse_response")),
            ledger.reviews(1).unwrap().len(),
            (steps(Phase::Sft) > 0, steps(Phase::Preference) > 0),
        )
    };
    let (lance, reviews, trained) = counts(Method::Lance);
    assert!(lance.0 > 0 && lance.1 > 0 && reviews > 6 && trained == (true, true), "{lance:?} {reviews}");
    // Two new prompts from each of six seeds, and nothing reviewed.
    assert_eq!(counts(Method::SelfInstruct), ((12, 0), 0, (true, false)));
    // One response of the model's own to each seed's prompt.
    assert_eq!(counts(Method::Spin), ((0, 6), 0, (true, true)));
    let (rewarding, reviews, trained) = counts(Method::SelfRewarding);
    assert!(rewarding == (12, 0) && reviews >= 6 && trained.0, "{rewarding:?} {reviews}");
    assert_eq!(counts(Method::SftOnly), ((0, 0), 0, (true, false)));

    // M_0 was evaluated once: the other trials have its answers and took no time for it.
    for trial in &trials {
        let ledger = ledger(trial);
        assert_eq!(ledger.evaluations(0).unwrap().len(), 6);
        let read: u64 = ledger
            .timings()
            .unwrap()
            .iter()
            .filter(|timing| (timing.iteration, timing.stage) == (0, Stage::Evaluate))
            .map(|timing| timing.usage.read)
            .sum();
        assert_eq!(read > 0, trial.name == "lance", "{}", trial.name);
    }
    let standings = trials::standings(&trials).unwrap();
    assert_eq!(standings.len(), Method::ALL.len());
    assert!(standings.iter().all(|standing| standing.trials.len() == 1 && standing.tasks.len() == 1));
    let sft_only = standings.last().unwrap();
    assert!(sft_only.cost.generated == 0.0 && sft_only.cost.trained > 0.0, "{:?}", sft_only.cost);
}

#[test]
fn one_recipe_under_several_seeds_shows_its_spread() {
    let folder = tempfile::tempdir().unwrap();
    let trials = trials::repeated("seed", &base(folder.path()), 3, folder.path());
    assert_eq!(trials.iter().map(|trial| trial.recipe.seed).collect::<Vec<_>>(), [Seed(1), Seed(2), Seed(3)]);
    trials::execute(&trials, &mut ScriptedEngines, &mut ()).unwrap();
    let samples = |trial| ledger(trial).samples(1).unwrap().into_iter().map(|sample| sample.text);
    assert!(samples(&trials[0]).ne(samples(&trials[1])));
    let standings = trials::standings(&trials).unwrap();
    let [standing] = &standings[..] else { panic!("one name") };
    assert_eq!(standing.trials.len(), 3);
    let task = &standing.tasks[0];
    assert!(task.spread.least <= task.comparison.difference.mean);
    assert!(task.comparison.difference.mean <= task.spread.largest);
    // Finished trials are left alone.
    let before = ledger(&trials[2]).timings().unwrap();
    trials::execute(&trials, &mut ScriptedEngines, &mut ()).unwrap();
    let stages = |timings: &[lancer_evolve::ledger::Timing]| timings.len();
    assert_eq!(stages(&before), stages(&ledger(&trials[2]).timings().unwrap()));
}

#[test]
fn a_budget_ends_a_run_before_the_iteration_that_would_pass_it() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = base(folder.path()).with(&["iterations=9".into(), "recipe=sft-only".into()]).unwrap();
    let spent = |trial: &Trial| -> u64 {
        let timings = ledger(trial).timings().unwrap();
        timings.iter().map(|timing| timing.trained).sum()
    };
    let run = |name: &str, budget| {
        let recipe = Recipe { budget_tokens: Some(budget), ..recipe.clone() };
        let trial = trials::repeated(name, &recipe, 1, folder.path()).remove(0);
        trials::execute(std::slice::from_ref(&trial), &mut ScriptedEngines, &mut ()).unwrap();
        trial
    };
    // The first iteration is always made.
    let one = run("least", 1);
    assert_eq!(ledger(&one).finished_iterations().unwrap(), Some(1));
    let iteration = spent(&one);
    let three = run("three", iteration * 7 / 2);
    assert_eq!(ledger(&three).finished_iterations().unwrap(), Some(3));
    assert!(spent(&three) <= iteration * 7 / 2);
    let summary = lancer_evolve::Summary::of(&ledger(&three), &three.folder).unwrap();
    assert!(summary.is_whole() && summary.planned == 3);
    // The same call again changes nothing.
    run("three", iteration * 7 / 2);
    assert_eq!(ledger(&three).finished_iterations().unwrap(), Some(3));
}
