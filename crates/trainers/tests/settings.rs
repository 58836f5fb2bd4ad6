//! What each trainer is told, and which settings are refused by their names.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use lancer_prefer::{TrainSettings, loss::PreferenceLoss};
use lancer_trainers::{JobSettings, Method, Trainer, TrainerError, check};

fn table(text: &str) -> toml::Table {
    toml::from_str(text).unwrap()
}

fn checked(
    trainer: Trainer,
    job: &str,
    learner: &str,
    train: &str,
    loss: Option<&str>,
) -> Result<(), TrainerError> {
    let job = JobSettings::from_table(&table(job))?;
    let method = Method::from_table(&table(learner))?;
    let train: TrainSettings = table(train).try_into().unwrap();
    let loss: Option<PreferenceLoss> = loss.map(|loss| table(loss).try_into().unwrap());
    check(trainer, &job, &method, &train, loss.as_ref())
}

#[test]
fn usual_settings_are_taken() {
    for trainer in [Trainer::Trl, Trainer::LlamaFactory, Trainer::Axolotl] {
        for learner in ["", "method = { lora = { rank = 8, targets = [\"q_proj\"] } }\nproducts = \"bf16\""] {
            for loss in [None, Some("kind = \"dpo\"\nbeta = 0.2"), Some("kind = \"ipo\"")] {
                checked(
                    trainer,
                    "processes = 4\nconfig = { attn_implementation = \"sdpa\" }",
                    learner,
                    "",
                    loss,
                )
                .unwrap();
            }
        }
    }
    checked(Trainer::Trl, "", "", "", Some("kind = \"dpo\"\nnll_weight = 0.2")).unwrap();
    checked(Trainer::LlamaFactory, "", "", "", Some("kind = \"simpo\"")).unwrap();
    checked(Trainer::Command, "command = [\"train\", \"{job}\"]", "", "", Some("kind = \"kto\"")).unwrap();
}

#[test]
fn what_a_trainer_has_no_field_for_is_refused_by_name() {
    use Trainer::{Axolotl, Command, LlamaFactory, Trl};
    let dpo = |more: &str| format!("kind = \"dpo\"\n{more}");
    let (smooth, nll) = (dpo("label_smoothing = 0.1"), dpo("nll_weight = 0.5"));
    for (trainer, job, learner, train, loss, named) in [
        (Trl, "", "", "batch = { tokens = 4096 }", None, "train.batch"),
        (Trl, "processes = 3", "", "", None, "train.batch"),
        (Trl, "processes = 0", "", "", None, "job.processes"),
        (Trl, "device_batch = 5", "", "", None, "job.device_batch"),
        (Trl, "proceses = 3", "", "", None, "job: unknown field `proceses`"),
        (Trl, "", "method = { lora = { alpha = 0.5 } }", "", None, "learner.method.lora.alpha"),
        (Trl, "", "method = { lora = { targets = [\"qproj\"] } }", "", None, "learner.method.lora.targets"),
        (Trl, "", "device = \"wgpu\"", "", None, "learner: unknown variant `wgpu`"),
        (Trl, "config = { learning_rate = 1.0 }", "", "", None, "job.config.learning_rate"),
        (Trl, "command = [\"x\"]", "", "", None, "job.command"),
        (Trl, "", "", "", Some("kind = \"simpo\""), "loss.kind"),
        (Trl, "", "", "", Some(smooth.as_str()), "loss.label_smoothing"),
        (LlamaFactory, "", "", "", Some(nll.as_str()), "loss.nll_weight"),
        (LlamaFactory, "", "", "", Some("kind = \"kto\""), "loss.kind"),
        (LlamaFactory, "accelerate_config = \"fsdp2\"", "", "", None, "job.accelerate_config"),
        (Axolotl, "", "", "", Some(smooth.as_str()), "loss.label_smoothing"),
        (Axolotl, "config = { rl = \"kto\" }", "", "", Some("kind = \"dpo\""), "job.config.rl"),
        (Command, "", "", "", None, "job.command"),
    ] {
        let error = checked(trainer, job, learner, train, loss).unwrap_err().to_string();
        assert!(error.starts_with(named), "{trainer}, {named}: {error}");
    }
}
