//! Whole runs on the scripted learner.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::collections::HashMap;

use lancer_backend::{Conversation, Message, Seed, scripted::ScriptedLearner};
use lancer_prefer::{
    BatchSize, CheckpointPolicy, Outcome, PreferenceExample, SftExample, SkipReason, Split, TrainSettings,
    TrainingError, loss::PreferenceLoss, train_preference, train_sft,
};

fn settings() -> TrainSettings {
    let mut settings = TrainSettings {
        epochs: 3,
        batch: BatchSize::Examples(4),
        tokens_per_forward: 200,
        checkpoint_every: Some(2),
        evaluate_every: Some(3),
        ..TrainSettings::default()
    };
    settings.optimizer.learning_rate = 0.05;
    settings
}

fn sft_examples() -> Vec<SftExample> {
    (0..14)
        .map(|number| {
            let response = (0..=number).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
            let chat = Conversation::of_pair(format!("Count to {number}."), response);
            SftExample::new(format!("example {number}"), chat)
        })
        .collect()
}

fn pairs() -> Vec<PreferenceExample> {
    (0..10)
        .map(|number| PreferenceExample {
            key: format!("pair {number}"),
            prompt: vec![Message::user(format!("Count to {number}."))].into(),
            chosen: Message::assistant(format!("one two three {number}")),
            rejected: Message::assistant(format!("{number} xyzzy")),
        })
        .collect()
}

#[test]
fn fine_tuning_lowers_the_loss() {
    let examples = sft_examples();
    let split = Split { train: &examples[..11], held_out: &examples[11..] };
    let report =
        train_sft(&mut ScriptedLearner::new(), split, &settings(), CheckpointPolicy::None, Seed(1), &mut ())
            .unwrap();
    assert_eq!(report.outcome, Outcome::Finished);
    assert_eq!((report.plan.steps, report.plan.examples, report.plan.held_out), (9, 11, 3));
    // A model that knows nothing has ln 257 a token.
    assert!((report.steps[0].loss - 257_f64.ln()).abs() < 1e-4);
    assert!(report.steps[0].learning_rate.abs() < f64::EPSILON, "the first step of a warm-up");
    let held_out: Vec<f64> = report.evaluations.iter().map(|record| record.loss).collect();
    assert_eq!(report.evaluations.iter().map(|record| record.step).collect::<Vec<_>>(), [0, 3, 6, 9]);
    assert!(held_out[3] < held_out[0] - 0.3, "{held_out:?}");
}

#[test]
fn every_loss_raises_the_margin() {
    for name in ["dpo", "ipo", "simpo", "orpo", "kto"] {
        let loss: PreferenceLoss = name.parse().unwrap();
        let pairs = pairs();
        let mut references = HashMap::new();
        let report = train_preference(
            &mut ScriptedLearner::new(),
            Split::train_only(&pairs),
            &loss,
            &TrainSettings { evaluate_every: None, ..settings() },
            CheckpointPolicy::None,
            Seed(2),
            &mut references,
            &mut (),
        )
        .unwrap();
        assert_eq!(references.len(), if loss.uses_reference() { 10 } else { 0 }, "{name}");
        let margins: Vec<f64> =
            report.steps.iter().map(|step| step.preference.unwrap().reward_margin).collect();
        assert!(margins[0].abs() < 1e-6, "{name} begins without a margin: {margins:?}");
        assert!(margins.last() > Some(&0.02), "{name}: {margins:?}");
        let last = report.steps.last().unwrap().preference.unwrap();
        assert!(last.accuracy > 0.9, "{name}: {last:?}");
    }
}

#[test]
fn micro_batches_change_nothing_but_rounding() {
    let examples = sft_examples();
    let losses = |tokens_per_forward| {
        let settings = TrainSettings { tokens_per_forward, ..settings() };
        let split = Split::train_only(&examples);
        let policy = CheckpointPolicy::None;
        let report =
            train_sft(&mut ScriptedLearner::new(), split, &settings, policy, Seed(1), &mut ()).unwrap();
        report.steps.into_iter().map(|step| step.loss).collect::<Vec<_>>()
    };
    for (one, many) in losses(1).into_iter().zip(losses(1_000_000)) {
        assert!((one - many).abs() < 1e-5, "{one} {many}");
    }
}

#[test]
fn what_is_left_out_is_said() {
    let mut examples = sft_examples();
    examples[1].weight = 0.0;
    examples[2].chat.messages.last_mut().unwrap().content = "long ".repeat(400);
    let report = train_sft(
        &mut ScriptedLearner::new(),
        Split::train_only(&examples),
        &settings(),
        CheckpointPolicy::None,
        Seed(1),
        &mut (),
    )
    .unwrap();
    assert_eq!(report.plan.examples, 12);
    let [one, two] = report.plan.skipped.as_slice() else { panic!("{:?}", report.plan.skipped) };
    assert_eq!((one.key.as_str(), &one.reason), ("example 1", &SkipReason::NoWeight));
    assert!(matches!(two.reason, SkipReason::TooLong { limit: 1024, .. }), "{two:?}");

    let run = |examples: &[SftExample]| {
        let split = Split::train_only(examples);
        train_sft(&mut ScriptedLearner::new(), split, &settings(), CheckpointPolicy::None, Seed(1), &mut ())
    };
    assert!(matches!(run(&[]), Err(TrainingError::NoExamples { given: 0, .. })));
    let chat = Conversation::of_pair("Count to 4.", "long ".repeat(400));
    let long = SftExample { chat, ..examples[4].clone() };
    let said = run(&[long, examples[1].clone()]).unwrap_err().to_string();
    assert!(said.contains("of 2 examples, 1 are too long, 1 have the weight 0"), "{said}");
    assert!(said.contains("\"example 4\"") && said.contains("train.max_length"), "{said}");
    examples[3].key = examples[0].key.clone();
    assert!(matches!(run(&examples), Err(TrainingError::DuplicateKey { key }) if key == "example 0"));
    examples[0].weight = f64::NAN;
    assert!(matches!(run(&examples), Err(TrainingError::InvalidWeight { key, .. }) if key == "example 0"));
}

#[test]
fn a_training_of_one_step_trains() {
    let examples = sft_examples();
    let settings = TrainSettings { epochs: 1, batch: BatchSize::Examples(100), ..settings() };
    let mut learner = ScriptedLearner::new();
    let split = Split::train_only(&examples);
    let report = train_sft(&mut learner, split, &settings, CheckpointPolicy::None, Seed(1), &mut ()).unwrap();
    assert_eq!(report.steps.len(), 1);
    assert!((report.steps[0].learning_rate - 0.05).abs() < 1e-12, "{:?}", report.steps);
    assert!(learner.logits().iter().any(|&logit| logit != 0.0));
}

/// The references that KTO keeps name the pair whose response comes after each prompt.
#[test]
fn ktos_mismatched_response_belongs_to_another_prompt() {
    let mut pairs = pairs();
    for (place, pair) in pairs.iter_mut().enumerate() {
        // Two prompts, in runs, the first one in two forms.
        let prompt = if (3..7).contains(&place) { "Say one." } else { ["Say two.", "Say  two. "][place % 2] };
        pair.prompt = vec![Message::user(prompt)].into();
    }
    let kto: PreferenceLoss = "kto".parse().unwrap();
    let run = |pairs: &[PreferenceExample], references: &mut HashMap<_, _>| {
        let split = Split::train_only(pairs);
        let policy = CheckpointPolicy::None;
        let mut learner = ScriptedLearner::new();
        train_preference(&mut learner, split, &kto, &settings(), policy, Seed(2), references, &mut ())
            .unwrap()
    };
    let mut references = HashMap::new();
    assert_eq!(run(&pairs, &mut references).plan.notes, [] as [String; 0]);
    let is_one = |key: &str| (3..7).any(|place| key == format!("pair {place}"));
    for (key, reference) in &references {
        let other = &reference.mismatched.as_ref().unwrap().response_of;
        assert_ne!(is_one(key), is_one(other), "{key}: {other}");
    }

    for pair in &mut pairs {
        pair.prompt = vec![Message::user("Say one.")].into();
    }
    let mut references = HashMap::new();
    let report = run(&pairs, &mut references);
    assert!(references.values().all(|reference| reference.mismatched.is_none()));
    assert!(report.plan.notes[0].contains("taken as 0"), "{:?}", report.plan.notes);
}
