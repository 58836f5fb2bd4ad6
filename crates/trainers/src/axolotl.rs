//! Axolotl: `axolotl train config.yaml`.

use lancer_prefer::{
    Decay,
    loss::{Dpo, Ipo, PreferenceLoss},
};
use serde_json::{Value, json};

use crate::{
    data,
    error::TrainerError,
    plan::{Paths, Plan},
    yaml::Config,
};

/// The configuration.
pub(crate) fn config(plan: &Plan<'_>) -> Result<Config, TrainerError> {
    let optimizer = &plan.train.optimizer;
    let mut config = Config::default();
    config.set("base_model", Paths::text(&plan.paths.model()));
    config.set("output_dir", Paths::text(&plan.paths.output()));
    config.set("datasets", json!([dataset(plan, data::TRAIN)]));
    if plan.evaluate_every().is_some() {
        config.set("test_datasets", json!([dataset(plan, data::HELD_OUT)]));
    }
    config.set("dataset_prepared_path", Paths::text(&plan.paths.folder.join("prepared")));
    config.set("shuffle_merged_datasets", false);
    config.set("curriculum_sampling", true);
    config.set("sequence_len", plan.max_length);
    config.set("sample_packing", false);
    config.set("micro_batch_size", plan.division.device_batch);
    config.set("gradient_accumulation_steps", plan.division.passes);
    config.set("num_epochs", 1);
    config.set("optimizer", "adamw_torch");
    config.set("learning_rate", optimizer.learning_rate);
    config.set(
        "lr_scheduler",
        match plan.train.schedule.decay {
            Decay::Constant => "constant_with_warmup",
            Decay::Linear => "linear",
            Decay::Cosine => "cosine",
        },
    );
    config.set("warmup_steps", plan.warmup_steps());
    config.set("adam_beta1", optimizer.beta_1);
    config.set("adam_beta2", optimizer.beta_2);
    config.set("adam_epsilon", optimizer.epsilon);
    config.set("weight_decay", optimizer.weight_decay);
    config.set("max_grad_norm", optimizer.max_gradient_norm.unwrap_or(0.0));
    config.set("bf16", plan.is_bf16());
    config.set("fp16", false);
    config.set("tf32", false);
    config.set("gradient_checkpointing", plan.recomputes());
    config.set("logging_steps", 1);
    config.set("save_steps", plan.save_steps());
    config.set("save_total_limit", plan.train.keep_checkpoints);
    if let Some(every) = plan.evaluate_every() {
        config.set("eval_steps", every);
    }
    config.set("seed", plan.seed());
    if let Some(checkpoint) = &plan.resume {
        config.set("resume_from_checkpoint", Paths::text(checkpoint));
    }
    if let Some(lora) = plan.lora() {
        config.set("adapter", "lora");
        config.set("lora_r", lora.rank);
        config.set("lora_alpha", super::trl::alpha(plan, lora.alpha)?);
        config.set("lora_dropout", lora.dropout);
        config.set("lora_target_modules", json!(lora.targets));
    }
    match plan.loss {
        None => {}
        Some(PreferenceLoss::Dpo(Dpo { beta, label_smoothing, nll_weight })) => {
            for (name, value) in [("loss.label_smoothing", label_smoothing), ("loss.nll_weight", nll_weight)]
            {
                if *value > 0.0 {
                    return Err(plan.no_field(name, "set it to 0"));
                }
            }
            config.set("rl", "dpo");
            config.set("rl_beta", *beta);
        }
        Some(PreferenceLoss::Ipo(Ipo { beta })) => {
            config.set("rl", "dpo");
            config.set("dpo_loss_type", json!(["ipo"]));
            config.set("rl_beta", *beta);
        }
        Some(other) => {
            return Err(TrainerError::setting(
                "loss.kind",
                format!("axolotl gets `dpo` and `ipo` from lancer, not `{}`", other.name()),
            ));
        }
    }
    plan.further_fields(&mut config)?;
    Ok(config)
}

fn dataset(plan: &Plan<'_>, file: &str) -> Value {
    let path = Paths::text(&plan.paths.data().join(file));
    if plan.loss.is_none() {
        // Tokens and labels, as they are: axolotl has an empty type for it.
        return json!({"path": path, "ds_type": "json", "split": "train", "type": ""});
    }
    json!({"path": path, "ds_type": "json", "split": "train", "type": {
        "field_prompt": "prompt", "field_chosen": "chosen", "field_rejected": "rejected",
        "prompt_format": "{prompt}", "chosen_format": "{chosen}", "rejected_format": "{rejected}",
    }})
}
