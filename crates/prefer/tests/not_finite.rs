//! Losses and gradients that are not finite: which examples are set aside, and that training goes on without them.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{collections::HashMap, ops::ControlFlow, path::Path};

use lancer_backend::{
    Conversation, Learner, LearnerError, Message, Seed, StepReport, StepSettings, TrainedTurns,
    TrainingSequence, WeightFormat, scripted::ScriptedLearner,
};
use lancer_prefer::{
    Base, BatchSize, CheckpointPolicy, Outcome, PreferenceExample, SetAside, SetAsideReason, SftExample,
    Split, StepRecord, TrainSettings, TrainingError, TrainingObserver, TrainingReport, loss::PreferenceLoss,
    train_preference, train_sft,
};

/// The scripted learner, wrong on purpose: a response with `#` has a log-probability that is no number, one with `~` has an
/// infinite gradient, and two with `@` have one together. From a number of steps on, all log-probabilities are no numbers.
struct Poisoned {
    inner: ScriptedLearner,
    batch: Vec<TrainingSequence>,
    together: usize,
    steps: u64,
    diverges_after: u64,
}

impl Poisoned {
    fn new() -> Self {
        Self { inner: ScriptedLearner::new(), batch: vec![], together: 0, steps: 0, diverges_after: u64::MAX }
    }

    fn spoil(&self, batch: &[TrainingSequence], log_probs: &mut [Vec<f32>]) {
        for (sequence, log_probs) in batch.iter().zip(log_probs) {
            if has(sequence, b'#') || self.steps >= self.diverges_after {
                log_probs[0] = f32::NAN;
            }
        }
    }
}

fn has(sequence: &TrainingSequence, byte: u8) -> bool {
    sequence.targets().any(|token| token.0 == u32::from(byte))
}

impl Learner for Poisoned {
    fn context_length(&self) -> usize {
        self.inner.context_length()
    }

    fn encode(&self, chat: &Conversation, turns: TrainedTurns) -> Result<TrainingSequence, LearnerError> {
        self.inner.encode(chat, turns)
    }

    fn log_probs(&mut self, batch: &[TrainingSequence]) -> Result<Vec<Vec<f32>>, LearnerError> {
        let mut log_probs = self.inner.log_probs(batch)?;
        self.spoil(batch, &mut log_probs);
        Ok(log_probs)
    }

    fn forward(&mut self, batch: &[TrainingSequence]) -> Result<Vec<Vec<f32>>, LearnerError> {
        let mut log_probs = self.inner.forward(batch)?;
        self.spoil(batch, &mut log_probs);
        self.batch = batch.to_vec();
        Ok(log_probs)
    }

    fn backward(&mut self, weights: &[Vec<f32>]) -> Result<(), LearnerError> {
        let mut weights = weights.to_vec();
        for (sequence, weights) in self.batch.iter().zip(&mut weights) {
            if has(sequence, b'~') {
                weights[0] = f32::INFINITY;
            }
            self.together += usize::from(has(sequence, b'@'));
        }
        self.inner.backward(&weights)
    }

    fn gradient_norm(&mut self) -> Result<f64, LearnerError> {
        if self.together > 1 { Ok(f64::INFINITY) } else { self.inner.gradient_norm() }
    }

    fn clear_gradient(&mut self) {
        self.together = 0;
        self.inner.clear_gradient();
    }

    fn step(&mut self, settings: &StepSettings) -> Result<StepReport, LearnerError> {
        if std::mem::take(&mut self.together) > 1 {
            self.inner.clear_gradient();
            return Err(LearnerError::NotFinite { step: 0 });
        }
        let report = self.inner.step(settings)?;
        self.steps += 1;
        Ok(report)
    }

    fn save_checkpoint(&self, folder: &Path) -> Result<(), LearnerError> {
        self.inner.save_checkpoint(folder)
    }

    fn load_checkpoint(&mut self, folder: &Path) -> Result<(), LearnerError> {
        self.inner.load_checkpoint(folder)
    }

    fn export(&self, path: &Path, format: WeightFormat) -> Result<(), LearnerError> {
        self.inner.export(path, format)
    }
}

fn settings() -> TrainSettings {
    let mut settings = TrainSettings {
        epochs: 3,
        batch: BatchSize::Examples(4),
        tokens_per_forward: 120,
        checkpoint_every: Some(2),
        evaluate_every: Some(3),
        ..TrainSettings::default()
    };
    settings.optimizer.learning_rate = 0.05;
    settings
}

/// Twelve examples; those at `places` have `text` in their response.
fn examples(places: &[usize], text: &str) -> Vec<SftExample> {
    (0..12)
        .map(|number| {
            let response = format!("one two {number}{}", if places.contains(&number) { text } else { "" });
            let chat = Conversation::of_pair(format!("Count to {number}."), response);
            SftExample::new(format!("example {number}"), chat)
        })
        .collect()
}

/// Keeps what is reported; ends the run after so many steps.
struct Watcher {
    stop: u64,
    set_aside: Vec<SetAside>,
}

impl TrainingObserver for Watcher {
    fn stepped(&mut self, record: &StepRecord) -> ControlFlow<()> {
        if record.step >= self.stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn set_aside(&mut self, example: &SetAside) -> ControlFlow<()> {
        self.set_aside.push(example.clone());
        ControlFlow::Continue(())
    }
}

fn sft(
    learner: &mut Poisoned,
    examples: &[SftExample],
    folder: Option<&Path>,
    stop: u64,
) -> (Result<TrainingReport, TrainingError>, Vec<SetAside>) {
    let (base, mut watcher) = (Base::default(), Watcher { stop, set_aside: vec![] });
    let policy =
        folder.map_or(CheckpointPolicy::None, |folder| CheckpointPolicy::Within { folder, base: &base });
    let split = Split { train: &examples[2..], held_out: &examples[..2] };
    let report = train_sft(learner, split, &settings(), policy, Seed(5), &mut watcher);
    (report, watcher.set_aside)
}

fn keys(set_aside: &[SetAside]) -> Vec<&str> {
    let mut keys: Vec<&str> = set_aside.iter().map(|one| one.key.as_str()).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn the_examples_that_did_it_are_set_aside_by_name_and_the_rest_is_trained_on() {
    for (text, reason) in [("#", SetAsideReason::Loss), ("~", SetAsideReason::Gradient)] {
        let mut learner = Poisoned::new();
        let (report, reported) = sft(&mut learner, &examples(&[4, 9], text), None, 1000);
        let report = report.unwrap();
        assert_eq!(keys(&reported), ["example 4", "example 9"], "{text}");
        assert!(reported.iter().all(|one| one.reason == reason && one.step >= 1), "{reported:?}");
        assert_eq!((report.set_aside.len(), report.plan.examples), (2, 10));
        assert_eq!((report.outcome, report.steps.len()), (Outcome::Finished, 9));
        // Three epochs of the eight that are left.
        assert_eq!(report.steps.iter().map(|step| step.examples).sum::<usize>(), 24, "{text}");
        assert!(learner.inner.logits().iter().all(|logit| logit.is_finite()));
        assert!(report.steps.iter().all(|step| step.loss.is_finite() && step.gradient_norm.is_finite()));
    }
}

/// Each of them alone is fine, so each batch is lost as a whole.
#[test]
fn examples_whose_gradients_are_finite_alone_are_set_aside_together() {
    let all: Vec<usize> = (2..12).collect();
    let (report, reported) = sft(&mut Poisoned::new(), &examples(&all, "@"), None, 1000);
    let error = report.unwrap_err();
    assert!(matches!(error, TrainingError::AllSetAside { count: 10, .. }), "{error}");
    assert!(reported.iter().all(|one| one.reason == SetAsideReason::SharedGradient), "{reported:?}");
}

/// Training goes on from where it was: the step is the same as of a batch in which the example never was.
#[test]
fn a_step_that_was_not_made_leaves_nothing_behind() {
    for text in ["#", "~"] {
        let mut one_batch = settings();
        one_batch.batch = BatchSize::Examples(100);
        one_batch.length_bucket = 1;
        let train = |examples: &[SftExample]| {
            let mut learner = Poisoned::new();
            let split = Split::train_only(examples);
            train_sft(&mut learner, split, &one_batch, CheckpointPolicy::None, Seed(5), &mut ()).unwrap();
            learner.inner.logits().to_vec()
        };
        let spoiled = examples(&[11], text);
        let (with, without) = (train(&spoiled), train(&spoiled[..11]));
        // The order within the batch is another one, and with it the rounding.
        for (with, without) in with.iter().zip(&without) {
            assert!((with - without).abs() < 1e-5, "{text}: {with}, {without}");
        }
    }
}

#[test]
fn resuming_after_it_is_as_if_nothing_had_stopped() {
    for text in ["#", "~", "@"] {
        // A held-out one too.
        let examples = examples(&[1, 4, 9], text);
        let folder = tempfile::tempdir().unwrap();
        let mut whole = Poisoned::new();
        let (expected, _) = sft(&mut whole, &examples, Some(folder.path()), 1000);
        let expected = expected.unwrap();
        for stop in 1..9 {
            let folder = tempfile::tempdir().unwrap();
            let (first, reported) = sft(&mut Poisoned::new(), &examples, Some(folder.path()), stop);
            let mut learner = Poisoned::new();
            let (second, reported_later) = sft(&mut learner, &examples, Some(folder.path()), 1000);
            let (first, second) = (first.unwrap(), second.unwrap());
            assert_eq!(second.set_aside, expected.set_aside, "{text}, stopped after {stop}");
            assert_eq!(
                [reported, reported_later].concat(),
                expected.set_aside,
                "{text}, stopped after {stop}"
            );
            assert_eq!([first.steps, second.steps].concat(), expected.steps, "{text}, stopped after {stop}");
            let evaluations = [first.evaluations, second.evaluations].concat();
            assert_eq!(evaluations, expected.evaluations, "{text}, stopped after {stop}");
            assert_eq!(learner.inner.logits(), whole.inner.logits(), "{text}, stopped after {stop}");
        }
    }
}

#[test]
fn a_held_out_example_is_set_aside_too() {
    let (report, reported) = sft(&mut Poisoned::new(), &examples(&[1], "#"), None, 1000);
    let report = report.unwrap();
    assert_eq!(reported, [SetAside { key: "example 1".into(), step: 0, reason: SetAsideReason::Loss }]);
    assert_eq!(report.evaluations.len(), 4);
    assert!(report.evaluations.iter().all(|one| one.examples == 1 && one.loss.is_finite()));
}

#[test]
fn weights_that_have_diverged_are_no_example_s_fault() {
    for after in [1, 4, 8] {
        let mut learner = Poisoned { diverges_after: after, ..Poisoned::new() };
        let (report, reported) = sft(&mut learner, &examples(&[], ""), None, 1000);
        let error = report.unwrap_err();
        assert!(matches!(error, TrainingError::Diverged { step } if step == after), "{error}");
        assert!(error.to_string().contains("learning_rate"), "{error}");
        assert!(reported.is_empty(), "{reported:?}");
    }
    // After the last step nothing is left to be trained on, but the model is no less broken.
    let mut learner = Poisoned { diverges_after: 9, ..Poisoned::new() };
    let error = sft(&mut learner, &examples(&[], ""), None, 1000).0.unwrap_err();
    assert!(matches!(error, TrainingError::Diverged { step: 9 }), "{error}");
}

#[test]
fn a_model_that_is_broken_from_the_start_is_said_to_be() {
    let mut learner = Poisoned { diverges_after: 0, ..Poisoned::new() };
    let error = sft(&mut learner, &examples(&[], ""), None, 1000).0.unwrap_err();
    assert!(matches!(error, TrainingError::AllSetAside { count: 12, .. }), "{error}");
}

#[test]
fn a_pair_without_a_finite_reference_is_set_aside() {
    let pairs: Vec<PreferenceExample> = (0..8)
        .map(|number| PreferenceExample {
            key: format!("pair {number}"),
            prompt: vec![Message::user(format!("Count to {number}."))].into(),
            chosen: Message::assistant(format!("one two {number}")),
            rejected: Message::assistant(if number == 3 { "#" } else { "xyzzy" }),
        })
        .collect();
    for name in ["dpo", "ipo", "kto", "simpo", "orpo"] {
        let loss: PreferenceLoss = name.parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let base = Base::default();
        let policy = CheckpointPolicy::Within { folder: folder.path(), base: &base };
        let mut references = HashMap::new();
        let mut train = |stop| {
            let mut watcher = Watcher { stop, set_aside: vec![] };
            let split = Split::train_only(&pairs);
            train_preference(
                &mut Poisoned::new(),
                split,
                &loss,
                &settings(),
                policy,
                Seed(2),
                &mut references,
                &mut watcher,
            )
            .unwrap()
        };
        let first = train(3);
        let second = train(1000);
        assert_eq!((second.plan.done, second.outcome), (3, Outcome::Finished), "{name}");
        for report in [&first, &second] {
            assert_eq!(keys(&report.set_aside), ["pair 3"], "{name}");
        }
        let expected = if loss.uses_reference() { SetAsideReason::Reference } else { SetAsideReason::Loss };
        assert_eq!(second.set_aside[0].reason, expected, "{name}");
        assert!(!references.contains_key("pair 3"));
    }
}
