//! Jobs of a program that behaves as `trl` does: what it is given, what is read of it, and what is made of each way to fail.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod fake;

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use fake::{Behaviour, environment, fixture};
use lancer_backend::{Conversation, Seed};
use lancer_model::{ConvertFormat, Model};
use lancer_prefer::{
    BatchSize, Examples, Outcome, SftExample, Split, StepRecord, TrainSettings, TrainingObserver,
    TrainingPlan,
};
use lancer_trainers::{Done, Job, JobSettings, Method, TrainedModel, Trainer, TrainerError};
use safetensors::{Dtype, tensor::TensorView};

fn examples() -> Vec<SftExample> {
    (0..6)
        .map(|number| {
            let (prompt, response) = (format!("Name colour number {number}."), format!("Blue <s> {number}."));
            SftExample::new(format!("example {number}"), Conversation::of_pair(prompt, response))
        })
        .collect()
}

fn train() -> TrainSettings {
    TrainSettings {
        batch: BatchSize::Examples(2),
        checkpoint_every: Some(2),
        max_length: 128,
        ..TrainSettings::default()
    }
}

struct Seen {
    steps: Vec<StepRecord>,
    corrected: Vec<StepRecord>,
    plan: Option<TrainingPlan>,
    /// Ends the training after its first step.
    stops: bool,
}

impl TrainingObserver for Seen {
    fn planned(&mut self, plan: &TrainingPlan) -> ControlFlow<()> {
        self.plan = Some(plan.clone());
        ControlFlow::Continue(())
    }

    fn stepped(&mut self, record: &StepRecord) -> ControlFlow<()> {
        self.steps.push(record.clone());
        ControlFlow::Continue(())
    }

    fn step_corrected(&mut self, record: &StepRecord) {
        self.corrected.push(record.clone());
    }

    fn waiting(&mut self) -> ControlFlow<()> {
        if self.stops && !self.steps.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// A folder with a job in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn job(&self) -> PathBuf {
        self.0.path().join("a job's folder")
    }

    fn run(&self, behaviour: Behaviour, method: &Method) -> (Result<Done, TrainerError>, Seen) {
        self.run_until(behaviour, method, false)
    }

    fn run_until(
        &self,
        behaviour: Behaviour,
        method: &Method,
        stops: bool,
    ) -> (Result<Done, TrainerError>, Seen) {
        let settings =
            JobSettings { python: Some(environment(self.0.path(), behaviour)), ..JobSettings::default() };
        let examples = examples();
        let mut seen = Seen { steps: Vec::new(), corrected: Vec::new(), plan: None, stops };
        let job = Job {
            trainer: Trainer::Trl,
            settings: &settings,
            method,
            model: &fixture("tiny-llama"),
            examples: Examples::Sft(Split::train_only(&examples)),
            train: &train(),
            seed: Seed(1),
            folder: &self.job(),
        };
        let done = job.run(&mut seen);
        (done, seen)
    }

    fn fails(&self, behaviour: Behaviour) -> String {
        self.run(behaviour, &Method::default()).0.unwrap_err().to_string()
    }
}

fn exported(model: &TrainedModel, folder: &Path) -> Model {
    let path = folder.join("exported");
    model.export(&path, ConvertFormat::F32).unwrap();
    Model::open(&path).unwrap()
}

#[test]
fn a_training_is_followed_and_its_model_taken_over() {
    let place = Place::new();
    let (done, seen) = place.run(Behaviour::Trains, &Method::default());
    let done = done.unwrap();
    let losses: Vec<f64> = seen.steps.iter().map(|step| step.loss).collect();
    assert_eq!(losses, [2.5, 2.25, 2.125]);
    assert_eq!(done.report.steps, seen.steps);
    assert!(seen.steps.iter().all(|step| step.examples == 2 && step.target_tokens < step.tokens));
    assert_eq!(done.versions["trl"], "1.16.0");
    let plan = seen.plan.unwrap();
    assert_eq!((plan.steps, plan.done, plan.examples), (3, 0, 6));
    assert!(plan.notes[0].contains("/bin/trl sft --config"), "{:?}", plan.notes);
    let start = Model::open(&fixture("tiny-llama")).unwrap();
    let model = exported(done.model.as_ref().unwrap(), place.0.path());
    // The tokenizer and the template are those of the start, not the job's.
    assert_eq!(model.tokenizer().encode_document("Blue"), start.tokenizer().encode_document("Blue"));
    assert!(model.chat_template().is_some());
    let changed = |name: &String| model.tensor(name).unwrap().data != start.tensor(name).unwrap().data;
    assert_eq!(start.tensor_names().iter().filter(|name| changed(name)).count(), 1);
    drop(done);
    Job::tidy(&place.job()).unwrap();
    for (name, stays) in [
        ("config.yaml", true),
        ("data", true),
        ("trainer.log", true),
        ("run.sh", true),
        ("output", false),
        ("model", false),
    ] {
        assert_eq!(place.job().join(name).exists(), stays, "{name}");
    }
}

#[test]
fn the_data_has_the_models_own_tokens() {
    let place = Place::new();
    place.run(Behaviour::Trains, &Method::default()).0.unwrap();
    let text = fs::read_to_string(place.job().join("data/train.jsonl")).unwrap();
    let model = Model::open(&fixture("tiny-llama")).unwrap();
    let mut keys = Vec::new();
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let numbers = |name: &str| -> Vec<i64> {
            row[name].as_array().unwrap().iter().map(|number| number.as_i64().unwrap()).collect()
        };
        let (ids, labels) = (numbers("input_ids"), numbers("labels"));
        let targets: Vec<u32> =
            labels.iter().filter(|&&label| label != -100).map(|&label| label as u32).collect();
        assert_eq!(ids.last(), Some(&i64::from(model.tokenizer().end_of_turn())));
        assert!(ids.ends_with(&labels[labels.len() - targets.len()..]));
        let key = row["key"].as_str().unwrap();
        let said = format!("Blue <s> {}.", key.trim_start_matches("example "));
        assert_eq!(model.tokenizer().decode(&targets[..targets.len() - 1]), said);
        keys.push(key.to_owned());
    }
    keys.sort();
    assert_eq!(keys, (0..6).map(|number| format!("example {number}")).collect::<Vec<_>>());
}

#[test]
fn a_failure_says_what_the_program_said_last() {
    let place = Place::new();
    let error = place.fails(Behaviour::Fails);
    assert!(error.contains("exit status: 3") && error.contains("CUDA out of memory"), "{error}");
    let error = place.fails(Behaviour::IsKilled);
    assert!(error.contains("signal: 9"), "{error}");
    assert!(!error.contains("CUDA"), "the lines of an earlier start: {error}");
    assert!(place.run(Behaviour::Trains, &Method::default()).0.is_ok(), "it goes on");
}

#[test]
fn a_model_that_is_none_is_refused() {
    for (behaviour, said) in [
        (Behaviour::WritesNan, "has NaN in it"),
        (Behaviour::WritesTheSame, "nothing was trained"),
        (Behaviour::WritesOtherShapes, "its shape is"),
        (Behaviour::WritesNothing, "output"),
    ] {
        let place = Place::new();
        let error = place.fails(behaviour);
        assert!(error.contains(said), "{said}: {error}");
        // It is not taken for finished: the next start trains again.
        let (done, seen) = place.run(Behaviour::Trains, &Method::default());
        assert!(done.unwrap().model.is_some());
        assert_eq!(seen.steps.len(), 3);
    }
}

#[test]
fn a_training_goes_on_from_its_last_checkpoint() {
    let place = Place::new();
    place.fails(Behaviour::FailsAfterCheckpoint);
    let (done, seen) = place.run(Behaviour::FailsAfterCheckpoint, &Method::default());
    assert_eq!(seen.plan.unwrap().done, 2);
    let done = done.unwrap();
    let numbers = |steps: &[StepRecord]| -> Vec<(u64, f64)> {
        steps.iter().map(|step| (step.step, step.loss)).collect()
    };
    assert_eq!(numbers(&seen.steps), [(3, 2.125)], "the step that was made now");
    assert_eq!(numbers(&seen.corrected), [(1, 2.50001), (2, 2.25001)], "the checkpoint's exact numbers");
    assert_eq!(numbers(&done.report.steps), [(1, 2.50001), (2, 2.25001), (3, 2.125)]);
    assert!(done.model.is_some());
}

#[test]
fn a_finished_training_is_taken_over_without_another_one() {
    let place = Place::new();
    place.run(Behaviour::Trains, &Method::default()).0.unwrap();
    // As if lancer had been killed before the model was written.
    let (done, seen) = place.run(Behaviour::Fails, &Method::default());
    assert!(done.unwrap().model.is_some());
    assert!(seen.plan.unwrap().notes[0].contains("had finished"));
}

#[test]
fn another_job_in_the_folder_begins_anew() {
    let place = Place::new();
    place.run(Behaviour::Trains, &Method::default()).0.unwrap();
    let method: toml::Table = toml::from_str("method = { lora = { rank = 4 } }").unwrap();
    let (done, _) = place.run(Behaviour::Fails, &Method::from_table(&method).unwrap());
    assert!(matches!(done, Err(TrainerError::Failed { .. })));
}

#[test]
fn an_interrupted_training_ends_in_order() {
    let place = Place::new();
    let (done, _) = place.run_until(Behaviour::WaitsToBeEnded, &Method::default(), true);
    let done = done.unwrap();
    assert_eq!(done.report.outcome, Outcome::Interrupted { step: 1 });
    assert!(done.model.is_none());
    assert!(place.job().join("asked-to-end").exists(), "it was killed at once");
    assert!(!place.job().join("process").exists());
    assert!(place.run(Behaviour::Trains, &Method::default()).0.unwrap().model.is_some());
}

#[cfg(target_os = "linux")]
#[test]
fn a_training_that_still_runs_is_not_started_again() {
    let place = Place::new();
    fs::create_dir_all(place.job()).unwrap();
    let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", other.id())).unwrap();
    let began = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().to_owned();
    let process = place.job().join("process");
    fs::write(&process, format!("{} {began}\n", other.id())).unwrap();
    let error = place.fails(Behaviour::Trains);
    assert!(error.contains(&format!("still running as process {}", other.id())), "{error}");
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(place.run(Behaviour::Trains, &Method::default()).0.is_ok());
}

/// Writes an adapter of rank 2 on the first layer's query projection, all of whose factors are 0.5 and 0.25.
fn write_adapter(folder: &Path, change: fn(&mut serde_json::Value)) {
    let adapter = folder.join("environment/adapter");
    fs::create_dir_all(&adapter).unwrap();
    let mut config = serde_json::json!({
        "peft_type": "LORA", "r": 2, "lora_alpha": 8, "bias": "none", "use_rslora": false, "target_modules": ["q_proj"],
    });
    change(&mut config);
    fs::write(adapter.join("adapter_config.json"), config.to_string()).unwrap();
    let bytes = |value: f32, count: usize| value.to_le_bytes().repeat(count);
    let (a, b) = (bytes(0.5, 2 * 64), bytes(0.25, 64 * 2));
    let name =
        |factor: &str| format!("base_model.model.model.layers.0.self_attn.q_proj.lora_{factor}.weight");
    let tensors = [
        (name("A"), TensorView::new(Dtype::F32, vec![2, 64], &a).unwrap()),
        (name("B"), TensorView::new(Dtype::F32, vec![64, 2], &b).unwrap()),
    ];
    let file = safetensors::serialize(tensors, None).unwrap();
    fs::write(adapter.join("adapter_model.safetensors"), file).unwrap();
}

#[test]
fn an_adapter_is_merged() {
    let place = Place::new();
    write_adapter(place.0.path(), |_| {});
    let (done, _) = place.run(Behaviour::WritesAdapter, &Method::default());
    let model = exported(done.unwrap().model.as_ref().unwrap(), place.0.path());
    let start = Model::open(&fixture("tiny-llama")).unwrap();
    for name in start.tensor_names() {
        let (before, after) = (start.tensor(&name).unwrap(), model.tensor(&name).unwrap());
        // 8 / 2 · (0.25 · 0.5 + 0.25 · 0.5)
        let added = if name == "model.layers.0.self_attn.q_proj.weight" { 1.0 } else { 0.0 };
        let differs = |(before, after): (&f32, &f32)| (after - before - added).abs() > 1e-6;
        assert!(!before.data.iter().zip(&after.data).any(differs), "{name}");
    }
}

#[test]
fn an_adapter_of_another_kind_is_refused_by_name() {
    for (change, said) in [
        ((|config| config["use_dora"] = true.into()) as fn(&mut serde_json::Value), "DoRA"),
        (|config| config["peft_type"] = "LOHA".into(), "other than LoRA"),
        (|config| config["modules_to_save"] = serde_json::json!(["lm_head"]), "modules_to_save"),
        (|config| config["r"] = 4.into(), "do not fit"),
    ] {
        let place = Place::new();
        write_adapter(place.0.path(), change);
        let error = place.fails(Behaviour::WritesAdapter);
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn a_python_without_the_trainer_is_named() {
    let place = Place::new();
    let error = |python: &str| {
        let settings = JobSettings { python: Some(python.into()), ..JobSettings::default() };
        let examples = examples();
        let job = Job {
            trainer: Trainer::Trl,
            settings: &settings,
            method: &Method::default(),
            model: &fixture("tiny-llama"),
            examples: Examples::Sft(Split::train_only(&examples)),
            train: &train(),
            seed: Seed(1),
            folder: &place.job(),
        };
        job.run(&mut ()).unwrap_err().to_string()
    };
    let absent = error("/nowhere/bin/python");
    assert!(absent.contains("/nowhere/bin/python") && absent.contains("lancer setup trl"), "{absent}");
    let bare = place.0.path().join("bare");
    fs::write(&bare, "#!/bin/sh\necho '{\"python\": \"3.11.7\"}'\n").unwrap();
    fs::set_permissions(&bare, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let without = error(bare.to_str().unwrap());
    assert!(without.contains("has no package `trl`"), "{without}");
}
