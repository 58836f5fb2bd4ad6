//! Training by other programs through the built binary: by one that behaves as `trl` does, and by TRL itself where there is one.

#![cfg(all(unix, feature = "burn-cpu", feature = "llama-cpp"))]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

#[path = "../crates/trainers/tests/fake/mod.rs"]
mod fake;
mod program;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use fake::{Behaviour, environment};
use lancer_skipped::skip;
use program::{TINY, lancer, text};
use serde_json::{Value, json};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

/// The variable that names the Python of an environment with TRL.
const PYTHON: &str = "LANCER_TRL_PYTHON";

fn call(arguments: &[String]) -> std::process::Output {
    lancer(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn printed(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What every run here is started with: one iteration on the tiny model.
fn evolve(folder: &Path, python: &Path, settings: &[&str]) -> Vec<String> {
    let seeds = folder.join("seeds.jsonl");
    let all = fs::read_to_string(Path::new(FIXTURES).join("seeds.jsonl")).unwrap();
    fs::write(&seeds, all.lines().take(24).flat_map(|line| [line, "\n"]).collect::<String>()).unwrap();
    let mut arguments: Vec<String> = ["--json", "evolve"].map(str::to_owned).into();
    for (name, value) in [
        ("--run", folder.join("run").display().to_string()),
        ("--seeds", seeds.display().to_string()),
        ("--model", TINY.to_owned()),
        ("--task", format!("{FIXTURES}/tasks/held_out.toml")),
        ("--review", "likelihood".to_owned()),
        ("--threads", "1".to_owned()),
        ("--python", python.display().to_string()),
    ] {
        arguments.extend([name.to_owned(), value]);
    }
    let common = [
        "review.calibration_seeds=12",
        "format=f32",
        "expand.sources=6",
        "expand.prompts=2",
        "expand.responses=2",
        "expand.worse_responses=2",
        "generate.max_prompt_tokens=24",
        "generate.max_response_tokens=24",
        "annotate.sft_threshold=5.0",
        "annotate.review_examples=2",
        "sft.max_examples=8",
        "sft.train.batch={examples=4}",
        "sft.train.optimizer.learning_rate=0.001",
        "preference.max_pairs=6",
        "preference.train.batch={examples=2}",
        "sft.trainer=trl",
        "preference.trainer=trl",
    ];
    for setting in common.iter().chain(settings) {
        arguments.extend(["--set".to_owned(), (*setting).to_owned()]);
    }
    arguments
}

/// Checks a run of one iteration whose phases were trained elsewhere.
fn assert_whole(run: &Path) {
    for model in ["models/m1.gguf", "models/m1/model.safetensors", "report.html"] {
        assert!(run.join(model).exists(), "{model} is missing");
    }
    for phase in ["sft", "preference"] {
        let job = run.join(format!("training/iteration-1-{phase}"));
        for (name, stays) in [
            ("config.yaml", true),
            ("run.sh", true),
            ("trainer.log", true),
            ("output", false),
            ("model", false),
        ] {
            assert_eq!(job.join(name).exists(), stays, "{phase}: {name}");
        }
        let described: Value =
            serde_json::from_str(&fs::read_to_string(job.join("job.json")).unwrap()).unwrap();
        assert!(described["versions"]["trl"].is_string(), "{described}");
    }
    let checked = call(&["check".to_owned(), run.display().to_string()]);
    assert!(checked.status.success(), "{}", text(&checked.stdout));
}

#[test]
fn a_run_is_trained_by_a_program_that_fails_at_first() {
    let folder = tempfile::tempdir().unwrap();
    let python = environment(folder.path(), Behaviour::Fails);
    let arguments = evolve(folder.path(), &python, &[]);
    let failed = call(&arguments);
    assert_eq!(failed.status.code(), Some(1));
    let said = text(&failed.stderr);
    assert!(said.contains("CUDA out of memory") && said.contains("stage fine-tune"), "{said}");
    environment(folder.path(), Behaviour::Trains);
    let summary = printed(&call(&arguments));
    let training = &summary["iterations"][0]["sft"];
    assert_eq!(training["loss"]["start"], json!(2.5), "{training}");
    assert_whole(&folder.path().join("run"));
}

#[test]
fn a_setting_that_the_program_has_no_field_for_is_refused_before_the_run_begins() {
    let folder = tempfile::tempdir().unwrap();
    let python = environment(folder.path(), Behaviour::Fails);
    for (setting, said) in [
        ("sft.train.batch={tokens=2000}", "[sft]: train.batch: trl counts examples"),
        ("preference.loss.kind=simpo", "[preference]: loss.kind: `trl dpo` has no loss for `simpo`"),
        ("sft.trainer=trll", "there is no `trll`; there are burn, trl, llama-factory, axolotl, command"),
        ("sft.job.proceses=8", "unknown field `proceses`"),
    ] {
        let refused = call(&evolve(folder.path(), &python, &[setting]));
        assert_eq!(refused.status.code(), Some(2), "{setting}");
        let stderr = text(&refused.stderr);
        assert!(stderr.contains(said), "{setting}: {stderr}");
        assert!(!folder.path().join("run").exists(), "{setting}: the run has begun");
    }
}

#[test]
fn train_writes_what_a_program_trained() {
    let folder = tempfile::tempdir().unwrap();
    let python = environment(folder.path(), Behaviour::Trains);
    let data = data(folder.path());
    let report = printed(&call(&train(folder.path(), "sft", TINY, &data, "out", &trl(&python))));
    assert_eq!(report["steps"][0]["loss"], json!(2.5), "{report}");
    assert!(folder.path().join("out/model.safetensors").exists());
    assert!(folder.path().join("out-training/config.yaml").exists());
    // A folder of somebody else's is not written into.
    fs::create_dir(folder.path().join("mine-training")).unwrap();
    fs::write(folder.path().join("mine-training/notes.txt"), "mine").unwrap();
    let refused = call(&train(folder.path(), "sft", TINY, &data, "mine", &trl(&python)));
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
}

/// Twelve pairs over twelve prompts, of which ten are trained on: two whole batches of five.
fn data(folder: &Path) -> PathBuf {
    let seeds = fs::read_to_string(Path::new(FIXTURES).join("seeds.jsonl")).unwrap();
    let seeds: Vec<Value> = seeds.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let rows = (0..12).map(|place| {
        let (seed, other) = (&seeds[place], &seeds[place + 20]);
        json!({
            "id": seed["id"], "prompt": seed["prompt"], "response": seed["response"], "chosen": seed["response"],
            "rejected": other["response"],
        })
        .to_string()
    });
    let path = folder.join("data.jsonl");
    fs::write(&path, rows.collect::<Vec<_>>().join("\n")).unwrap();
    path
}

fn trl(python: &Path) -> Vec<String> {
    ["--trainer".to_owned(), "trl".into(), "--python".into(), python.display().to_string()].into()
}

fn train(folder: &Path, kind: &str, model: &str, data: &Path, to: &str, more: &[String]) -> Vec<String> {
    let mut arguments: Vec<String> = ["--json", "train", kind].map(str::to_owned).into();
    arguments.extend([data.display().to_string(), folder.join(to).display().to_string()]);
    arguments.extend(["--model".to_owned(), model.to_owned(), "--overwrite".to_owned()]);
    for setting in [
        "train.epochs=2",
        "train.batch={examples=5}",
        "train.max_length=512",
        "train.evaluate_every=2",
        "train.optimizer.weight_decay=0.1",
        "train.optimizer.learning_rate=0.0001",
        "held_out=0.2",
    ] {
        arguments.extend(["--set".to_owned(), setting.to_owned()]);
    }
    arguments.extend_from_slice(more);
    arguments
}

fn numbers(report: &Value, name: &str) -> Vec<f64> {
    let steps = report["steps"].as_array().unwrap();
    steps.iter().map(|step| step[name].as_f64().unwrap()).collect()
}

/// Trains with lancer's own trainer and with TRL, and holds their steps against one another.
fn compare(python: &Path, model: &str, kind: &str, settings: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let settings: Vec<String> =
        settings.iter().flat_map(|setting| ["--set".to_owned(), (*setting).to_owned()]).collect();
    let own = printed(&call(&train(folder.path(), kind, model, &data, "own", &settings)));
    let more = [settings, trl(python)].concat();
    let theirs = printed(&call(&train(folder.path(), kind, model, &data, "theirs", &more)));
    let what = format!("{model}, {kind}, {more:?}");
    for name in ["examples", "tokens", "target_tokens", "step"] {
        assert_eq!(numbers(&own, name), numbers(&theirs, name), "{what}: {name}");
    }
    let close = |name: &str, tolerance: f64, steps: usize| {
        let (own, theirs) = (numbers(&own, name), numbers(&theirs, name));
        eprintln!("{what}: {name}: {own:?}, TRL {theirs:?}");
        for (one, other) in own.iter().zip(&theirs).take(steps) {
            assert!(
                (one - other).abs() <= tolerance * one.abs().max(1.0),
                "{what}: {name}: {own:?}, TRL {theirs:?}"
            );
        }
    };
    close("loss", 1e-3, 3);
    close("learning_rate", 1e-9, usize::MAX);
    // An adapter's first weights are drawn at random, so its gradients are not the same.
    if !settings_have_lora(&more) {
        close("gradient_norm", 1e-2, 2);
    }
    let held_out = |report: &Value| report["held_out"][0]["loss"].as_f64().unwrap();
    if kind == "dpo" {
        assert!((held_out(&own) - held_out(&theirs)).abs() < 1e-3, "{what}: held out");
    }
    assert!(folder.path().join("theirs/model.safetensors").exists());
}

fn settings_have_lora(settings: &[String]) -> bool {
    settings.iter().any(|setting| setting.contains("lora"))
}

const LORA: &str = "learner.method={lora={rank=4,targets=[\"q_proj\",\"v_proj\",\"down_proj\"]}}";

fn python_with_trl() -> Option<PathBuf> {
    env::var_os(PYTHON).map(PathBuf::from)
}

#[test]
fn trl_has_the_losses_of_lancers_own_trainer_on_a_tiny_model() {
    let Some(python) = python_with_trl() else {
        skip!("{PYTHON} does not name the Python of an environment with TRL");
        return;
    };
    compare(&python, TINY, "sft", &[]);
    compare(&python, TINY, "sft", &[LORA]);
    compare(&python, TINY, "dpo", &["loss.nll_weight=0.2", "job.device_batch=5"]);
    compare(&python, TINY, "dpo", &[LORA]);
}

#[test]
fn trl_has_the_losses_of_lancers_own_trainer_on_a_language_model() {
    let Some(python) = python_with_trl() else {
        skip!("{PYTHON} does not name the Python of an environment with TRL");
        return;
    };
    let cache = env::var_os("HOME").map(|home| Path::new(&home).join(".cache/lancer")).unwrap_or_default();
    let model = cache.join("models/SmolLM2-135M-Instruct.Q4_1.gguf");
    if !model.exists() {
        skip!("{} is absent", model.display());
        return;
    }
    let model = model.display().to_string();
    compare(&python, &model, "sft", &["train.optimizer.learning_rate=0.00001"]);
    compare(&python, &model, "dpo", &[LORA, "train.optimizer.learning_rate=0.00001"]);
}

#[test]
fn a_run_is_trained_by_trl() {
    let Some(python) = python_with_trl() else {
        skip!("{PYTHON} does not name the Python of an environment with TRL");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let lora = format!("preference.{LORA}");
    let summary = printed(&call(&evolve(folder.path(), &python, &[&lora])));
    let iteration = &summary["iterations"][0];
    for phase in ["sft", "preference"] {
        assert!(iteration[phase]["steps"].as_u64().unwrap() > 0, "{iteration}");
    }
    assert_whole(&folder.path().join("run"));
}

/// An environment whose program asks a Python for its judgement of the configuration, prints it, and fails.
fn judging(folder: &Path, package: &str, program: &str, python: &Path, code: &str) -> PathBuf {
    let judge = folder.join("judge.py");
    fs::write(&judge, code).unwrap();
    let script = format!("#!/bin/sh\n{} {} $2\nexit 7\n", python.display(), judge.display());
    fake::write_program(folder, program, &script);
    fake::write_program(folder, "python", &format!("#!/bin/sh\necho '{{\"{package}\": \"0\"}}'\n"))
}

/// The configurations of fine-tuning and of DPO, in full and with LoRA, are accepted by the trainer's own parser.
fn assert_accepted(trainer: &str, package: &str, program: &str, python: &Path, code: &str) {
    for (kind, setting) in [
        ("sft", "train.epochs=1"),
        ("sft", LORA),
        ("dpo", "loss.beta=0.2"),
        ("dpo", LORA),
        ("dpo", "loss.kind=ipo"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let python = judging(folder.path(), package, program, python, code);
        let more = ["--trainer", trainer, "--python", python.to_str().unwrap(), "--set", setting];
        let more: Vec<String> = more.map(str::to_owned).into();
        let failed = call(&train(folder.path(), kind, TINY, &data(folder.path()), "out", &more));
        let said = text(&failed.stderr);
        assert!(said.contains("the configuration is accepted"), "{trainer}, {kind}, {setting}: {said}");
    }
}

#[test]
fn llama_factory_accepts_its_configurations() {
    let Some(python) = env::var_os("LANCER_LLAMA_FACTORY_PYTHON") else {
        skip!("LANCER_LLAMA_FACTORY_PYTHON does not name the Python of an environment with LLaMA-Factory");
        return;
    };
    let code = "
import json, pathlib, sys, yaml
from llamafactory.hparams import get_train_args
config = yaml.safe_load(open(sys.argv[1]))
info = json.load(open(pathlib.Path(config['dataset_dir']) / 'dataset_info.json'))
_, data, training, finetuning, _ = get_train_args(dict(config))
assert finetuning.disable_shuffling and data.template == 'empty' and training.learning_rate == config['learning_rate']
assert set(info) == {'train', 'held_out'}, info
print('the configuration is accepted')
";
    assert_accepted("llama-factory", "llamafactory", "llamafactory-cli", Path::new(&python), code);
}

#[test]
fn axolotl_accepts_its_configurations() {
    let Some(python) = env::var_os("LANCER_AXOLOTL_PYTHON") else {
        skip!("LANCER_AXOLOTL_PYTHON does not name the Python of an environment with Axolotl");
        return;
    };
    let code = "
import sys, yaml
from axolotl.utils.schemas.config import AxolotlInputConfig
config = yaml.safe_load(open(sys.argv[1]))
unknown = set(config) - set(AxolotlInputConfig.model_fields)
assert not unknown, unknown
AxolotlInputConfig(**config)
print('the configuration is accepted')
";
    assert_accepted("axolotl", "axolotl", "axolotl", Path::new(&python), code);
}
