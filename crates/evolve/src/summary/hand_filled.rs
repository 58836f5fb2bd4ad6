//! Ledgers of small runs, filled by hand, with figures that a test can state.

use lancer_backend::Usage;
use lancer_prefer::{EvaluationRecord, PreferenceMetrics};
use lancer_review::{Damage, Mode, Separation};
use tempfile::TempDir;

use crate::{
    comparison::metric_name,
    ledger::{
        EvaluationRow, Ledger, Origin, PairRow, Phase, Record, RejectRow, ReviewRow, Sample, SftKind, SftRow,
        StepRow, VerdictRow,
    },
    stage::Stage,
};

/// A run's ledger and the folder that it is in.
pub(crate) struct HandFilled {
    pub(crate) folder: TempDir,
    pub(crate) ledger: Ledger,
}

/// Nothing but tables.
pub(crate) fn empty() -> HandFilled {
    let folder = TempDir::new().unwrap();
    let ledger = Ledger::open(&folder.path().join("ledger.sqlite")).unwrap();
    HandFilled { folder, ledger }
}

/// Killed after the first new prompt.
pub(crate) fn stopped_while_generating() -> HandFilled {
    let run = empty();
    run.finish(1, Stage::Calibrate, 1.0, Usage::default());
    run.seeds();
    run.sample("d/1/p0", "new_prompt", "d", None);
    run
}

/// One whole iteration.
///
/// Four seeds, a to d, and one line that is not usable. b and d score low, and d's two new prompts have two responses
/// each; b's only prompt is empty. a scores high and has two worse responses; c has no score.
pub(crate) fn whole() -> HandFilled {
    let run = empty();
    run.seeds();
    run.generation();
    run.cleaning();
    run.training();
    run.evaluation();
    for stage in Stage::ITERATION {
        run.finish(1, stage, 2.0, Usage { read: 100, reused: 50, generated: 20 });
    }
    run
}

impl HandFilled {
    fn finish(&self, iteration: u32, stage: Stage, seconds: f64, usage: Usage) {
        self.ledger.add_timing((iteration, stage), seconds, usage).unwrap();
        self.ledger.set_finished(iteration, stage).unwrap();
    }

    fn record(&self, key: &str, iteration: u32, origin: Origin, seed: &str) {
        let made = iteration > 0;
        let record = Record {
            key: key.into(),
            iteration,
            origin,
            source: made.then(|| seed.into()),
            seed: seed.into(),
            sample: made.then(|| key.into()),
            prompt: format!("prompt of {key}"),
            response: format!("response of {key}"),
            conversation: None,
            fields: serde_json::Map::new(),
        };
        self.ledger.add_record(&record).unwrap();
    }

    fn sample(&self, key: &str, writing: &str, parent: &str, unusable: Option<&str>) {
        let sample = Sample {
            key: key.into(),
            iteration: 1,
            writing: writing.into(),
            parent: parent.into(),
            number: 0,
            text: format!("text of {key}"),
            unusable: unusable.map(Into::into),
            tokens: 5,
            finish: "end_of_turn".into(),
        };
        self.ledger.add_sample(&sample).unwrap();
    }

    fn review(&self, record: &str, score: Option<f64>) {
        let row = ReviewRow {
            iteration: 1,
            record: record.into(),
            score,
            reason: score.is_none().then(|| "no score was found".into()),
            detail: r#"{"likelihoods":{"pmi":0.5}}"#.into(),
        };
        self.ledger.add_review(&row).unwrap();
    }

    fn seeds(&self) {
        for key in ["a", "b", "c", "d"] {
            self.record(key, 0, Origin::Seed, key);
            self.ledger.add_to_pool(key, 1).unwrap();
        }
        let reject =
            RejectRow { file: "seeds.jsonl".into(), place: 3, reason: "no prompt".into(), text: "{}".into() };
        self.ledger.add_reject(&reject).unwrap();
        self.finish(0, Stage::Import, 1.0, Usage::default());
        for (key, score) in [("a", Some(8.0)), ("b", Some(5.0)), ("c", None), ("d", Some(2.0))] {
            self.review(key, score);
        }
        self.finish(1, Stage::ReviewSeeds, 3.0, Usage { read: 400, reused: 100, generated: 50 });
    }

    fn generation(&self) {
        self.sample("b/1/p0", "new_prompt", "b", Some("empty"));
        for prompt in ["d/1/p0", "d/1/p1"] {
            self.sample(prompt, "new_prompt", "d", None);
            for response in ["r0", "r1"] {
                let key = format!("{prompt}/{response}");
                self.sample(&key, "response", prompt, None);
                self.record(&key, 1, Origin::NewPrompt, "d");
            }
        }
        for key in ["a/1/w0", "a/1/w1"] {
            self.sample(key, "worse_response", "a", None);
            self.record(key, 1, Origin::WorseResponse, "a");
        }
        self.sample("a/1/w2", "worse_response", "a", Some("echo"));
    }

    fn cleaning(&self) {
        let verdicts = [
            ("a/1/w0", None, None),
            ("a/1/w1", Some("response_near_copy"), Some("a")),
            ("d/1/p0/r0", None, None),
            ("d/1/p0/r1", None, None),
            ("d/1/p1/r0", None, None),
            ("d/1/p1/r1", Some("response_too_short"), None),
        ];
        for (record, rule, resembles) in verdicts {
            let verdict = VerdictRow {
                record: record.into(),
                iteration: 1,
                rule: rule.map(Into::into),
                resembles: resembles.map(Into::into),
                detail: None,
            };
            self.ledger.add_verdict(&verdict).unwrap();
        }
        for (record, score) in
            [("a/1/w0", Some(3.5)), ("d/1/p0/r0", Some(9.0)), ("d/1/p0/r1", Some(7.0)), ("d/1/p1/r0", None)]
        {
            self.review(record, score);
        }
        self.ledger.add_to_pool("d/1/p0/r0", 2).unwrap();
    }

    fn training(&self) {
        for (key, kind) in
            [("a", SftKind::Response), ("d/1/p0/r0", SftKind::Response), ("review/a", SftKind::Review)]
        {
            let row = SftRow {
                key: key.into(),
                kind,
                record: key.trim_start_matches("review/").into(),
                score: Some(8.0),
                prompt: "prompt".into(),
                response: "response".into(),
                judgement: None,
            };
            self.ledger.add_sft(1, &row).unwrap();
        }
        for (key, rejected_record, rejected_kind) in
            [("a>w0", Some("a/1/w0"), "written"), ("a>damaged", None, "shuffled")]
        {
            let row = PairRow {
                key: key.into(),
                record: "a".into(),
                rejected_record: rejected_record.map(Into::into),
                rejected_kind: rejected_kind.into(),
                chosen_score: Some(8.0),
                rejected_score: rejected_record.map(|_| 3.5),
                prompt: "prompt".into(),
                chosen: "chosen".into(),
                rejected: "rejected".into(),
                judgement: None,
            };
            self.ledger.add_pair(1, &row).unwrap();
        }
        for step in 1..=20 {
            self.steps(step);
        }
        for (step, loss) in [(0, 2.5), (10, 2.2), (20, 2.0)] {
            let row = EvaluationRecord { step, loss, examples: 3, target_tokens: 30, preference: None };
            self.ledger.add_held_out(1, Phase::Sft, &row).unwrap();
        }
    }

    /// One step of each phase. The losses fall by 0.1 a step from 3.0 and by 0.01 from 0.70.
    fn steps(&self, step: u64) {
        let done = step as f64 - 1.0;
        let preference = PreferenceMetrics {
            chosen_reward: 0.1 * done,
            rejected_reward: -0.1 * done,
            reward_margin: 0.2 * done,
            accuracy: if step <= 2 { 0.5 } else { 1.0 },
            chosen_log_prob: -20.0,
            rejected_log_prob: -30.0,
        };
        for (phase, loss, preference) in
            [(Phase::Sft, 3.0 - 0.1 * done, None), (Phase::Preference, 0.7 - 0.01 * done, Some(preference))]
        {
            let row = StepRow {
                step,
                loss,
                learning_rate: 1e-5,
                gradient_norm: 1.0,
                examples: 8,
                tokens: 100,
                target_tokens: 60,
                preference,
            };
            self.ledger.add_step(1, phase, &row).unwrap();
        }
    }

    fn evaluation(&self) {
        let separation = Separation {
            mode: Mode::Likelihood,
            auc: 0.9,
            by_damage: vec![(Damage::Mismatched, 0.95), (Damage::Shuffled, 0.85)],
            parsed: 1.0,
            seeds: 4,
            damaged: 8,
            seeds_from: [0.75, 0.5],
            damaged_from: [0.125, 0.0],
        };
        self.ledger.set_calibration(1, &calibrated(separation)).unwrap();
        for (task, metric) in [("held-out", "\"nll\""), ("sums", "\"accuracy\"")] {
            self.ledger.set_meta(&metric_name(task), metric).unwrap();
        }
        for item in 0..10 {
            for (model, nll, right) in [(0, 2.5, item < 5), (1, 2.25, item < 6)] {
                let items = [("held-out", nll, 12.0), ("sums", f64::from(u8::from(right)), 1.0)];
                for (task, value, weight) in items {
                    let row = EvaluationRow { task: task.into(), item, value, weight, detail: "{}".into() };
                    self.ledger.add_evaluation(model, &row).unwrap();
                }
            }
        }
        self.finish(0, Stage::Evaluate, 4.0, Usage { read: 240, reused: 0, generated: 0 });
    }
}

fn calibrated(separation: Separation) -> lancer_review::Calibrated {
    lancer_review::Calibrated { reviewer: lancer_review::Reviewer::Expected, separations: vec![separation] }
}
