//! Checkpoints: resuming to the same weights, to whom they belong, and what becomes of damaged ones.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{collections::HashMap, fs, ops::ControlFlow, path::Path};

use lancer_backend::{Conversation, Message, Seed, scripted::ScriptedLearner};
use lancer_prefer::{
    Base, BatchSize, Checkpoint, CheckpointPolicy, EvaluationRecord, Outcome, PreferenceExample,
    ReferenceFile, ReferenceStore, SftExample, Split, StepRecord, TrainSettings, TrainingError,
    TrainingObserver, TrainingReport, loss::PreferenceLoss, train_preference, train_sft,
};

fn settings() -> TrainSettings {
    let mut settings = TrainSettings {
        epochs: 3,
        batch: BatchSize::Examples(4),
        tokens_per_forward: 200,
        checkpoint_every: Some(2),
        keep_checkpoints: 2,
        evaluate_every: Some(3),
        ..TrainSettings::default()
    };
    settings.optimizer.learning_rate = 0.05;
    settings
}

fn pairs() -> Vec<PreferenceExample> {
    (0..12)
        .map(|number| PreferenceExample {
            key: format!("pair {number}"),
            prompt: vec![Message::user(format!("Count to {number}."))].into(),
            chosen: Message::assistant(format!("one two three {number}")),
            rejected: Message::assistant(format!("{number} xyzzy")),
        })
        .collect()
}

fn base() -> Base {
    Base::default().with("the weights", "a hash")
}

/// Keeps what is reported. Ends the run after so many steps.
struct Watcher {
    stop: u64,
    /// The folder in which a checkpoint must not have its name yet when it is reported.
    folder: Option<std::path::PathBuf>,
    steps: Vec<u64>,
    evaluated: Vec<u64>,
    damaged: Vec<(u64, String)>,
    fails_to_store: bool,
}

impl Watcher {
    fn new(stop: u64) -> Self {
        Self { stop, folder: None, steps: vec![], evaluated: vec![], damaged: vec![], fails_to_store: false }
    }
}

impl TrainingObserver for Watcher {
    fn stepped(&mut self, record: &StepRecord) -> ControlFlow<()> {
        self.steps.push(record.step);
        if record.step >= self.stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn evaluated(&mut self, record: &EvaluationRecord) -> ControlFlow<()> {
        self.evaluated.push(record.step);
        ControlFlow::Continue(())
    }

    fn saving(&mut self, checkpoint: &Checkpoint) -> ControlFlow<()> {
        assert!(!checkpoint.folder.exists(), "a checkpoint had its name before its rows were stored");
        if let Some(folder) = &self.folder {
            assert_eq!(checkpoint.folder.parent(), Some(folder.as_path()));
        }
        if self.fails_to_store { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn damaged(&mut self, checkpoint: &Checkpoint, reason: &str) {
        self.damaged.push((checkpoint.step, reason.into()));
    }
}

/// A DPO training with references in the folder, as far as the watcher lets it.
fn run(
    learner: &mut ScriptedLearner,
    folder: &Path,
    watcher: &mut Watcher,
) -> Result<TrainingReport, TrainingError> {
    let pairs = pairs();
    let base = base();
    let mut references = ReferenceFile::within(folder).unwrap();
    watcher.folder = Some(folder.into());
    let report = train_preference(
        learner,
        Split { train: &pairs[..10], held_out: &pairs[10..] },
        &PreferenceLoss::default(),
        &settings(),
        CheckpointPolicy::Within { folder, base: &base },
        Seed(3),
        &mut references,
        watcher,
    );
    assert!(references.failure().is_none());
    report
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("step"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_resumed_training_ends_with_the_same_weights_and_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (mut whole, mut watched) = (ScriptedLearner::new(), Watcher::new(1000));
    let expected = run(&mut whole, folder.path(), &mut watched).unwrap();
    assert_eq!(expected.steps.len(), 9);
    assert_eq!(watched.evaluated, [0, 3, 6, 9]);
    assert_eq!(names(folder.path()), ["step-000006", "step-000008"]);

    // An evaluation is due after steps 3, 6 and 9; a checkpoint is after steps 2, 4, 6 and 8.
    for stop in 1..=9 {
        let folder = tempfile::tempdir().unwrap();
        let mut first_watched = Watcher::new(stop);
        let first = run(&mut ScriptedLearner::new(), folder.path(), &mut first_watched).unwrap();
        assert_eq!(first.outcome, Outcome::Interrupted { step: stop });
        let (mut learner, mut second_watched) = (ScriptedLearner::new(), Watcher::new(1000));
        let second = run(&mut learner, folder.path(), &mut second_watched).unwrap();
        assert_eq!((second.plan.done, second.outcome), (stop, Outcome::Finished));
        assert_eq!([first.steps, second.steps].concat(), expected.steps, "stopped after {stop}");
        let evaluations = [first.evaluations, second.evaluations].concat();
        assert_eq!(evaluations, expected.evaluations, "stopped after {stop}");
        assert_eq!(learner.logits(), whole.logits(), "stopped after {stop}");
    }
}

#[test]
fn a_training_without_a_folder_is_finished_where_only_an_evaluation_is_left() {
    let pairs = pairs();
    let report = train_preference(
        &mut ScriptedLearner::new(),
        Split { train: &pairs[..10], held_out: &pairs[10..] },
        &PreferenceLoss::default(),
        &settings(),
        CheckpointPolicy::None,
        Seed(3),
        &mut HashMap::new(),
        &mut Watcher::new(9),
    )
    .unwrap();
    assert_eq!((report.outcome, report.evaluations.len()), (Outcome::Finished, 4));
}

#[test]
fn rows_that_could_not_be_stored_have_no_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let mut watcher = Watcher { fails_to_store: true, ..Watcher::new(1000) };
    let report = run(&mut ScriptedLearner::new(), folder.path(), &mut watcher).unwrap();
    assert_eq!((report.outcome, watcher.steps), (Outcome::Interrupted { step: 2 }, vec![1, 2]));
    assert_eq!(names(folder.path()), [] as [&str; 0]);
    let again = run(&mut ScriptedLearner::new(), folder.path(), &mut Watcher::new(1000)).unwrap();
    assert_eq!(again.plan.done, 0);
}

#[test]
fn a_resumed_training_needs_its_references() {
    let folder = tempfile::tempdir().unwrap();
    run(&mut ScriptedLearner::new(), folder.path(), &mut Watcher::new(4)).unwrap();
    let file = folder.path().join("references.jsonl");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let error = run(&mut ScriptedLearner::new(), folder.path(), &mut Watcher::new(1000)).unwrap_err();
    assert!(matches!(&error, TrainingError::NoReference { key } if key.starts_with("pair")), "{error}");
    // Nothing was lost by it.
    fs::write(&file, whole).unwrap();
    run(&mut ScriptedLearner::new(), folder.path(), &mut Watcher::new(1000)).unwrap();
}

/// Before the first step references are computed again, so that a kill among them costs no more.
#[test]
fn references_that_a_kill_left_are_not_computed_again() {
    struct StopReferring;
    impl TrainingObserver for StopReferring {
        fn referenced(&mut self, done: usize, _: usize) -> ControlFlow<()> {
            if done == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    let (folder, pairs, base) = (tempfile::tempdir().unwrap(), pairs(), base());
    let policy = CheckpointPolicy::Within { folder: folder.path(), base: &base };
    let train = |observer: &mut dyn TrainingObserver| {
        let mut references = ReferenceFile::within(folder.path()).unwrap();
        let known = (0..12).filter(|number| references.get(&format!("pair {number}")).is_some()).count();
        let split = Split { train: &pairs[..10], held_out: &pairs[10..] };
        let (loss, mut learner) = (PreferenceLoss::default(), ScriptedLearner::new());
        train_preference(&mut learner, split, &loss, &settings(), policy, Seed(3), &mut references, observer)
            .unwrap();
        known
    };
    assert_eq!(train(&mut StopReferring), 0);
    assert_eq!(train(&mut Watcher::new(1000)), 5);
    assert_eq!(train(&mut Watcher::new(1000)), 12);
}

#[test]
fn another_training_is_refused_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let examples: Vec<SftExample> = pairs()
        .into_iter()
        .map(|pair| SftExample::new(pair.key, Conversation::of_turns(pair.prompt.messages, pair.chosen)))
        .collect();
    let train = |base: &Base, examples: &[SftExample], settings: &TrainSettings, seed| {
        let policy = CheckpointPolicy::Within { folder: folder.path(), base };
        let split = Split { train: &examples[2..], held_out: &examples[..2] };
        train_sft(&mut ScriptedLearner::new(), split, settings, policy, Seed(seed), &mut ())
    };
    let finished = train(&base(), &examples, &settings(), 1).unwrap();
    assert_eq!(finished.outcome, Outcome::Finished);
    let files = || -> Vec<(String, Vec<u8>)> {
        names(folder.path())
            .into_iter()
            .map(|name| {
                let manifest = fs::read(folder.path().join(&name).join("checkpoint.json")).unwrap();
                (name, manifest)
            })
            .collect()
    };
    let before = files();

    let mut others = examples.clone();
    others[5].chat.messages.last_mut().unwrap().content.push('!');
    let mut slower = settings();
    slower.optimizer.learning_rate = 0.01;
    let longer = TrainSettings { epochs: 4, ..settings() };
    let other_base = Base::default().with("the weights", "another hash");
    for (result, said) in [
        (train(&other_base, &examples, &settings(), 1), "the weights of the base model"),
        (train(&base(), &others, &settings(), 1), "the examples that are trained on"),
        (train(&base(), &examples[1..], &settings(), 1), "the examples that are trained on: 10, now 9"),
        (train(&base(), &examples, &slower, 1), "train.optimizer.learning_rate: 0.05, now 0.01"),
        (train(&base(), &examples, &longer, 1), "train.epochs: 3, now 4"),
        (train(&base(), &examples, &settings(), 2), "seed: 1, now 2"),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, TrainingError::OtherTraining { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains(said) && error.contains("Give another folder"), "{said}: {error}");
        assert!(files() == before, "{said}: something changed");
    }
    // Where only checkpoints tell, they are believed; where nothing tells, nothing is taken.
    fs::remove_file(folder.path().join("training.json")).unwrap();
    train(&base(), &others, &settings(), 1).unwrap_err();
    train(&base(), &examples, &settings(), 1).unwrap();
    train(&base(), &others, &settings(), 1).unwrap_err();
    for name in names(folder.path()) {
        fs::remove_file(folder.path().join(name).join("checkpoint.json")).unwrap();
    }
    fs::write(folder.path().join("training.json"), "damaged").unwrap();
    let error = train(&base(), &examples, &settings(), 1).unwrap_err().to_string();
    assert!(error.contains("training.json"), "{error}");
}

/// How often checkpoints are saved is no part of a training.
#[test]
fn more_checkpoints_are_no_other_training() {
    let folder = tempfile::tempdir().unwrap();
    let base = base();
    let examples: Vec<SftExample> = pairs()
        .into_iter()
        .map(|pair| SftExample::new(pair.key, Conversation::of_turns(pair.prompt.messages, pair.chosen)))
        .collect();
    let train = |settings: &TrainSettings, stop| {
        let policy = CheckpointPolicy::Within { folder: folder.path(), base: &base };
        let split = Split::train_only(&examples);
        train_sft(&mut ScriptedLearner::new(), split, settings, policy, Seed(1), &mut Watcher::new(stop))
            .unwrap()
    };
    train(&settings(), 3);
    let finer = TrainSettings { checkpoint_every: Some(1), keep_checkpoints: 5, ..settings() };
    assert_eq!(train(&finer, 1000).plan.done, 3);
}

type Damage = fn(&Path);

#[test]
fn a_damaged_checkpoint_is_said_and_an_older_one_is_taken() {
    let whole_folder = tempfile::tempdir().unwrap();
    let mut whole = ScriptedLearner::new();
    run(&mut whole, whole_folder.path(), &mut Watcher::new(1000)).unwrap();

    let damages: [(&str, Damage); 6] = [
        ("a flipped bit in the learner's file", |folder| change(&folder.join("learner/bigram.json"), true)),
        ("a truncated file", |folder| change(&folder.join("learner/bigram.json"), false)),
        ("a flipped bit in the description", |folder| change(&folder.join("checkpoint.json"), true)),
        ("a truncated description", |folder| change(&folder.join("checkpoint.json"), false)),
        ("no description", |folder| fs::remove_file(folder.join("checkpoint.json")).unwrap()),
        ("no files", |folder| fs::remove_dir_all(folder.join("learner")).unwrap()),
    ];
    for (name, damage) in damages {
        for steps in [&["step-000006"][..], &["step-000004", "step-000006"]] {
            let folder = tempfile::tempdir().unwrap();
            run(&mut ScriptedLearner::new(), folder.path(), &mut Watcher::new(6)).unwrap();
            assert_eq!(names(folder.path()), ["step-000004", "step-000006"]);
            for step in steps {
                damage(&folder.path().join(step));
            }
            let (mut learner, mut watcher) = (ScriptedLearner::new(), Watcher::new(1000));
            let report = run(&mut learner, folder.path(), &mut watcher).unwrap();
            assert_eq!(report.plan.done, if steps.len() == 2 { 0 } else { 4 }, "{name}");
            assert_eq!(watcher.damaged.len(), steps.len(), "{name}: {:?}", watcher.damaged);
            assert!(learner.logits() == whole.logits(), "{name}");
            // The damaged one is there to be looked at, and counts no more.
            let left = names(folder.path());
            assert!(left.contains(&"damaged-step-000006".to_owned()), "{name}: {left:?}");
            assert_eq!(left.len(), 2 + steps.len(), "{name}: {left:?}");
        }
    }
}

fn change(path: &Path, flip: bool) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    if flip {
        bytes[middle] ^= 1;
    } else {
        bytes.truncate(middle);
    }
    fs::write(path, bytes).unwrap();
}

/// What a kill leaves of a checkpoint that was being written does not matter.
#[test]
fn an_unfinished_checkpoint_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    run(&mut ScriptedLearner::new(), folder.path(), &mut Watcher::new(4)).unwrap();
    let unfinished = folder.path().join("unfinished-step-000006/learner");
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(unfinished.join("bigram.json"), "half").unwrap();
    let report = run(&mut ScriptedLearner::new(), folder.path(), &mut Watcher::new(1000)).unwrap();
    assert_eq!(report.plan.done, 4);
    assert_eq!(names(folder.path()), ["step-000006", "step-000008"]);
}

#[test]
fn two_trainings_cannot_share_a_folder() {
    struct Second<'a>(&'a Path);
    impl TrainingObserver for Second<'_> {
        fn stepped(&mut self, record: &StepRecord) -> ControlFlow<()> {
            if record.step == 1 {
                let error = run(&mut ScriptedLearner::new(), self.0, &mut Watcher::new(1000)).unwrap_err();
                assert!(matches!(error, TrainingError::FolderInUse { .. }), "{error}");
            }
            ControlFlow::Continue(())
        }
    }
    let (folder, pairs, base) = (tempfile::tempdir().unwrap(), pairs(), base());
    let report = train_preference(
        &mut ScriptedLearner::new(),
        Split { train: &pairs[..10], held_out: &pairs[10..] },
        &PreferenceLoss::default(),
        &settings(),
        CheckpointPolicy::Within { folder: folder.path(), base: &base },
        Seed(3),
        &mut HashMap::new(),
        &mut Second(folder.path()),
    );
    assert_eq!(report.unwrap().steps.len(), 9);
}
