//! The summary of a run that was filled by hand.

use lancer_eval::Verdict;
use lancer_prefer::{PreferenceMetrics, SetAside, SetAsideReason};

use super::*;
use crate::ledger::StepRow;

fn counts(counts: &[(&str, usize)]) -> Counts {
    counts.iter().map(|&(name, count)| (name.to_owned(), count)).collect()
}

fn whole() -> (hand_filled::HandFilled, Summary) {
    let run = hand_filled::whole();
    let summary = Summary::of(&run.ledger, run.folder.path()).unwrap();
    (run, summary)
}

#[test]
fn the_funnel_counts_what_became_of_each_record() {
    let (_run, summary) = whole();
    assert_eq!((summary.seeds, &summary.rejected), (4, &counts(&[("no prompt", 1)])));
    let funnel = &summary.iterations[0].funnel;

    let pool = &funnel.review_seeds;
    assert_eq!((pool.records, pool.scored), (4, 3));
    assert_eq!(pool.unscored, counts(&[("no score was found", 1)]));
    let reached = |counts: &ReviewCounts| {
        counts.reached.iter().map(|reached| (reached.score, reached.records)).collect::<Vec<_>>()
    };
    assert_eq!(reached(pool), [(7.0, 1), (8.0, 1)]);

    let generate = &funnel.generate;
    assert_eq!(
        (generate.sources, generate.sources_of_prompts, generate.sources_of_worse_responses),
        (3, 2, 1)
    );
    assert_eq!(generate.prompts, WrittenCounts { samples: 3, unusable: counts(&[("empty", 1)]) });
    assert_eq!(generate.responses, WrittenCounts { samples: 4, unusable: Counts::new() });
    assert_eq!(generate.worse_responses, WrittenCounts { samples: 3, unusable: counts(&[("echo", 1)]) });
    assert_eq!(generate.records, counts(&[("new_prompt", 4), ("worse_response", 2)]));

    let dropped = counts(&[("response_near_copy", 1), ("response_too_short", 1)]);
    assert_eq!(funnel.clean, CleanCounts { records: 6, dropped, kept: 4 });
    assert_eq!((funnel.review_new.records, funnel.review_new.scored), (4, 3));
    assert_eq!(reached(&funnel.review_new), [(7.0, 2), (8.0, 1)]);
    assert_eq!(
        funnel.annotate,
        AnnotateCounts {
            records: 6,
            used: 3,
            sft: counts(&[("response", 2), ("review", 1)]),
            pairs: counts(&[("shuffled", 1), ("written", 1)]),
        }
    );
    assert_eq!(funnel.merge, PoolCounts { before: 4, joined: 1, after: 5 });
    let rows = funnel.rows();
    assert_eq!((rows[1].input, rows[1].output), (3, 6));
    assert!(rows[1].parts.contains(&("worse responses unusable (echo 1)".into(), 1)));
    assert!(rows[2].parts.contains(&("dropped: response near copy".into(), 1)));
}

#[test]
fn scores_are_apart_by_origin() {
    let (_run, summary) = whole();
    let Scores { pool, new_prompt, worse_response } = summary.iterations[0].scores.clone();
    let (pool, new_prompt, worse_response) = (pool.unwrap(), new_prompt.unwrap(), worse_response.unwrap());
    assert_eq!((pool.records, pool.mean, pool.quartiles), (3, 5.0, [3.5, 5.0, 6.5]));
    assert_eq!((new_prompt.records, new_prompt.mean), (2, 8.0));
    assert_eq!(new_prompt.histogram, [0, 0, 0, 0, 0, 0, 0, 1, 0, 1]);
    assert_eq!((worse_response.records, worse_response.mean), (1, 3.5));
}

#[test]
fn training_is_from_the_first_tenth_to_the_last() {
    let (_run, summary) = whole();
    let near = |found: Option<StartEnd>, start: f64, end: f64| {
        let found = found.unwrap();
        assert!((found.start - start).abs() < 1e-9 && (found.end - end).abs() < 1e-9, "{found:?}");
    };
    let sft = summary.iterations[0].sft.as_ref().unwrap();
    assert_eq!((sft.steps, sft.examples, sft.tokens, sft.held_out), (20, 160, 2000, 3));
    near(Some(sft.loss), 2.95, 1.15);
    near(sft.held_out_loss, 2.5, 2.0);
    assert_eq!((sft.reward_margin, sft.accuracy, sft.held_out_margin), (None, None, None));
    let preference = summary.iterations[0].preference.as_ref().unwrap();
    near(Some(preference.loss), 0.695, 0.515);
    near(preference.reward_margin, 0.1, 3.7);
    near(preference.accuracy, 0.5, 1.0);
    assert_eq!((preference.held_out, preference.held_out_loss), (0, None));
}

#[test]
fn what_went_wrong_in_training_is_said() {
    let run = hand_filled::whole();
    let of = || Summary::of(&run.ledger, run.folder.path()).unwrap().iterations.remove(0);
    let iteration = of();
    assert_eq!(iteration.sft.unwrap().notes, [] as [String; 0]);
    assert_eq!(iteration.preference.unwrap().notes, [] as [String; 0]);

    let set_aside = SetAside { key: "pair 7".into(), step: 4, reason: SetAsideReason::Gradient };
    run.ledger.add_set_aside(1, Phase::Preference, &set_aside).unwrap();
    let last = run.ledger.steps(1, Phase::Preference).unwrap().pop().unwrap();
    let metrics =
        PreferenceMetrics { chosen_reward: -0.3, rejected_reward: -0.9, ..last.preference.unwrap() };
    for step in 19..=21 {
        let gradient_norm = if step == 21 { 40.0 } else { 1.0 };
        let row = StepRow { step, gradient_norm, preference: Some(metrics), ..last.clone() };
        run.ledger.add_step(1, Phase::Preference, &row).unwrap();
    }
    let found = of().preference.unwrap();
    assert_eq!(found.set_aside, [set_aside]);
    assert_eq!(found.gradient_spikes.iter().map(|spike| spike.step).collect::<Vec<_>>(), [21]);
    let [aside, spike, fall] = found.notes.as_slice() else { panic!("{:?}", found.notes) };
    assert!(aside.contains("pair 7 at step 4: its gradient is not finite"), "{aside}");
    assert!(spike.contains("step 21"), "{spike}");
    // A reward is a tenth of the change.
    assert!(fall.contains("fell by 3.0 and of a rejected one by 9.0"), "{fall}");
}

#[test]
fn evaluation_is_against_the_first_model() {
    let (_run, summary) = whole();
    assert_eq!((summary.baseline.len(), summary.baseline[1].estimate.mean), (2, 0.5));
    let tasks = &summary.iterations[0].tasks;
    assert_eq!((tasks[0].task.as_str(), tasks[0].comparison.verdict), ("held-out", Verdict::Better));
    assert!((tasks[0].comparison.difference.mean + 0.25).abs() < 1e-12);
    assert_eq!((tasks[1].task.as_str(), tasks[1].comparison.verdict), ("sums", Verdict::NotToldApart));
    let iteration = &summary.iterations[0];
    // The NLL's items are all the same under M_0 and have no standard deviation: the gain is that of the sums.
    assert_eq!((iteration.outcome, iteration.gain.unwrap().items), (Outcome::NotToldApart, 20));
    assert!(iteration.advice.contains("10 items"), "{}", iteration.advice);
    let conclusion = &iteration.conclusion;
    assert!(conclusion.contains("better on held-out (NLL 2.500 to 2.250"), "{conclusion}");
    assert!(conclusion.contains("not told apart on sums (accuracy 50.0 to 60.0 %"), "{conclusion}");
}

#[test]
fn time_tokens_and_files() {
    let (run, _) = whole();
    std::fs::create_dir_all(run.folder.path().join("models/m1")).unwrap();
    let summary = Summary::of(&run.ledger, run.folder.path()).unwrap();
    assert_eq!((summary.is_whole(), summary.seconds), (true, 28.0));
    assert_eq!(summary.before.iter().map(|stage| stage.stage).collect::<Vec<_>>(), Stage::BEFORE);
    let [_, review, ..] = summary.iterations[0].stages[..] else { panic!("no stages") };
    // Both sessions in which it was finished are counted.
    assert_eq!((review.stage, review.seconds, review.read), (Stage::ReviewSeeds, 5.0, 500));
    assert_eq!(review.tokens_per_second, Some(114.0));
    let files = &summary.iterations[0].files;
    assert_eq!(files.model, Some(run.folder.path().join("models/m1")));
    assert_eq!((&files.gguf, &files.exports), (&None, &None));
    serde_json::to_string(&summary).unwrap();
}

#[test]
fn an_interrupted_run_has_a_summary() {
    let run = hand_filled::empty();
    let summary = Summary::of(&run.ledger, run.folder.path()).unwrap();
    assert_eq!((summary.seeds, summary.iterations.len(), summary.is_whole()), (0, 0, false));

    let run = hand_filled::stopped_while_generating();
    let summary = Summary::of(&run.ledger, run.folder.path()).unwrap();
    let [iteration] = &summary.iterations[..] else { panic!("one iteration was begun") };
    assert_eq!(iteration.unfinished, Some(Stage::Generate));
    let rows = iteration.funnel_rows();
    assert_eq!(rows.iter().map(|row| row.stage).collect::<Vec<_>>(), [Stage::ReviewSeeds, Stage::Generate]);
    assert_eq!((iteration.funnel.generate.sources, iteration.funnel.clean.records), (1, 0));
    assert_eq!((&iteration.sft, &iteration.preference, iteration.tasks.len()), (&None, &None, 0));
    assert_eq!(iteration.funnel.merge, PoolCounts { before: 4, joined: 0, after: 4 });
    assert!(iteration.conclusion.contains("not been evaluated yet"), "{}", iteration.conclusion);
}
