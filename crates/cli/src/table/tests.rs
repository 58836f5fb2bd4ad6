//! Tables of a small summary.

use lancer_eval::{BootstrapSettings, Metric, compare};
use lancer_evolve::{
    Stage,
    summary::{
        AnnotateCounts, AtLeast, CleanCounts, Counts, Funnel, GenerateCounts, IterationFiles, KeptModel,
        Outcome, PoolCounts, ReviewCounts, Scores, TaskSummary,
    },
};

use super::*;

fn stage(stage: Stage) -> StageSummary {
    StageSummary {
        stage,
        finished: true,
        seconds: 125.0,
        read: 12_345,
        reused: 0,
        generated: 5,
        trained: 0,
        tokens_per_second: Some(98.8),
    }
}

fn summary() -> Summary {
    let values = |value: f64| [(value, 1.0); 8];
    let settings = BootstrapSettings::default();
    let comparison = compare(Metric::Nll, &values(2.5), &values(2.25), &settings);
    let review = ReviewCounts {
        records: 1_390,
        scored: 1_388,
        unscored: Counts::from([("longer than the model's context".repeat(3), 2)]),
        reached: vec![AtLeast { score: 7.0, records: 700 }],
    };
    Summary {
        folder: "runs/one".into(),
        seeds: 1_390,
        rejected: Counts::from([("no prompt".into(), 3)]),
        before: vec![stage(Stage::Import)],
        confidence: 0.95,
        baseline: vec![TaskEstimate {
            task: "held-out".into(),
            metric: Metric::Nll,
            estimate: comparison.before,
        }],
        planned: 1,
        kept: KeptModel {
            model: 1,
            outcome: Outcome::Better,
            gain: Some(comparison.difference),
            files: IterationFiles::default(),
        },
        iterations: vec![IterationSummary {
            iteration: 1,
            started_from: 0,
            unfinished: None,
            rejected: None,
            outcome: Outcome::Better,
            gain: Some(comparison.difference),
            conclusion: "word ".repeat(60),
            advice: "word ".repeat(30),
            funnel: Funnel {
                review_seeds: review.clone(),
                generate: GenerateCounts::default(),
                clean: CleanCounts::default(),
                review_new: review,
                annotate: AnnotateCounts::default(),
                merge: PoolCounts { before: 1_390, joined: 20, after: 1_410 },
            },
            separations: Vec::new(),
            scores: Scores::default(),
            sft: Some(TrainingSummary {
                steps: 46,
                examples: 368,
                tokens: 46_000,
                loss: StartEnd { start: 2.1416, end: 1.8 },
                reward_margin: None,
                accuracy: None,
                held_out: 0,
                held_out_loss: None,
                held_out_margin: None,
                held_out_accuracy: None,
                set_aside: Vec::new(),
                gradient_spikes: Vec::new(),
                both_fall: None,
                notes: vec!["a note that is long. ".repeat(10)],
            }),
            preference: None,
            tasks: vec![TaskSummary { task: "held-out".into(), comparison }],
            stages: vec![stage(Stage::Generate)],
            files: IterationFiles { gguf: Some("runs/one/models/m1.gguf".into()), ..Default::default() },
        }],
        seconds: 250.0,
    }
}

#[test]
fn figures_stand_in_their_rows() {
    let text = text(&summary());
    let rows: Vec<String> =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let row = |start: &str| {
        rows.iter().find(|row| row.starts_with(start)).unwrap_or_else(|| panic!("no {start}")).as_str()
    };
    assert_eq!(row("import 1"), "import 1,393 lines 1,390 seeds 3 rejected: no prompt");
    assert!(row("review seeds").starts_with("review seeds 1,390 pairs 1,388 scored 700 score of at least 7"));
    assert_eq!(row("merge"), "merge 1,390 in pool 1,410 in pool 20 joined");
    assert_eq!(row("SFT"), "SFT 46 2.142 → 1.800");
    assert!(row("Iteration 1: SFT").starts_with("Iteration 1: SFT"), "the note of a phase has a title");
    assert!(row("a note that").starts_with("a note that is long."));
    assert_eq!(row("generate 2"), "generate 2 min 05 s 12,345 5 99");
    assert_eq!(row("held-out"), "held-out M_0 2.500 [2.500, 2.500]");
    assert_eq!(row("NLL, 8 items"), "NLL, 8 items M_1 2.250 [2.250, 2.250] −0.250 [−0.250, −0.250] better");
    assert_eq!(row("M_1 GGUF"), "M_1 GGUF runs/one/models/m1.gguf");
}

#[test]
fn no_line_is_wider_than_the_width() {
    for line in text(&summary()).lines() {
        assert!(line.chars().count() <= usize::from(WIDTH), "{line}");
    }
}

#[test]
fn a_run_that_has_not_begun_has_tables() {
    let begun = summary();
    let text = text(&Summary { iterations: Vec::new(), baseline: Vec::new(), before: Vec::new(), ..begun });
    assert!(text.contains("4 min 10 s"), "{text}");
}
