//! The model that a gate rejects is not what a run has come to: what is said of the run, and whether it has gained, is said of the
//! model that is kept.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod scripted;

use std::{fs, path::Path};

use lancer_backend::scripted::ScriptedBackend;
use lancer_evolve::{Engines, Recipe, Run, Summary, ledger::Ledger, summary::Outcome, trials};
use scripted::{WithBackend, recipe};

/// Models of which only those of these names know the answers.
fn knowing(names: &'static [&'static str]) -> impl Engines {
    WithBackend(move |model: &Path| {
        let knows = names.iter().any(|name| model.ends_with(name));
        ScriptedBackend::new(move |prompt, seed| {
            // Of the questions, three quarters or one quarter are answered rightly.
            match (0..40).find(|n| prompt.contains(&format!("Is {n} a number?"))) {
                Some(n) if (n % 4 == 0) != knows => "yes".into(),
                Some(_) => "no".into(),
                None => scripted::answer(prompt, seed),
            }
        })
    })
}

fn with_gate(folder: &Path, iterations: u32) -> Recipe {
    let recipe = recipe(folder);
    let items: Vec<String> =
        (0..40).map(|n| format!("{{\"question\": \"Is {n} a number?\", \"answer\": \"yes\"}}\n")).collect();
    fs::write(folder.join("items.jsonl"), items.concat()).unwrap();
    fs::write(
        folder.join("task.toml"),
        "name = \"numbers\"\ndata = \"items.jsonl\"\n[prompt]\nformat = \"chat\"\ntemplate = \"{{ question }}\"\n\
         [exact_match]\nanswer = \"answer\"\n",
    )
    .unwrap();
    let recipe = Recipe { iterations, ..recipe };
    recipe.with(&["evaluate.gate=keep_better".into(), "evaluate.bootstrap.resamples=200".into()]).unwrap()
}

fn summary(folder: &Path, recipe: &Recipe, names: &'static [&'static str]) -> Summary {
    let run = Run::open(folder, recipe.clone()).unwrap();
    run.execute(&mut knowing(names), &mut ()).unwrap();
    Summary::of(run.ledger(), folder).unwrap()
}

#[test]
fn the_model_before_a_worse_one_is_what_the_run_has_come_to() {
    let folder = tempfile::tempdir().unwrap();
    let summary = summary(folder.path(), &with_gate(folder.path(), 2), &["m1.gguf"]);
    let [first, second] = &summary.iterations[..] else { panic!("two iterations") };
    assert_eq!((first.outcome, &first.rejected), (Outcome::Better, &None));
    let rejected = second.rejected.as_ref().expect("M_2 is worse than M_1");
    assert_eq!(rejected.kept, 1);
    assert!(
        second.conclusion.ends_with(
            "It is rejected, and M_1 is kept: M_2 is worse than M_1 on 1 of 1 tasks and better on none."
        ),
        "{}",
        second.conclusion
    );
    // The newest model is no better than M_0; the one that is kept is.
    assert_eq!(second.outcome, Outcome::NotToldApart);
    assert_eq!((summary.kept.model, summary.kept.outcome), (1, Outcome::Better));
    assert_eq!(summary.kept.gain, first.gain);
    assert_eq!(summary.kept.files.gguf, Some(folder.path().join("models/m1.gguf")));
}

#[test]
fn where_all_are_rejected_the_run_has_gained_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let summary = summary(folder.path(), &with_gate(folder.path(), 1), &["m0.gguf"]);
    assert_eq!(summary.iterations[0].outcome, Outcome::Worse);
    assert_eq!((summary.kept.model, summary.kept.outcome), (0, Outcome::NotToldApart));
}

#[test]
fn trials_are_compared_by_the_models_that_they_keep() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = with_gate(folder.path(), 2);
    let trials = trials::repeated("gated", &recipe, 1, folder.path());
    trials::execute(&trials, &mut knowing(&["m1.gguf"]), &mut ()).unwrap();
    let standings = trials::standings(&trials).unwrap();
    assert_eq!(standings[0].trials[0].model, 1);
    assert!((standings[0].tasks[0].comparison.after.mean - 0.75).abs() < 1e-9);
    let ledger = Ledger::read(&trials[0].folder.join(Run::LEDGER)).unwrap();
    assert_eq!((ledger.finished_iterations().unwrap(), ledger.kept().unwrap()), (Some(2), 1));
}

#[test]
fn a_run_that_stops_by_itself_ends_where_a_model_is_worse_and_keeps_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let changes = ["stop=auto", "evaluate.gate=open"].map(str::to_owned);
    let recipe = with_gate(folder.path(), 4).with(&changes).unwrap();
    let first = summary(folder.path(), &recipe, &["m1.gguf"]);
    assert_eq!((first.iterations.len(), first.planned, first.kept.model), (2, 2, 1));
    // It is finished: another start makes nothing.
    let again = summary(folder.path(), &recipe, &["m1.gguf", "m3.gguf"]);
    assert_eq!((again.iterations.len(), again.kept.model), (2, 1));
}
