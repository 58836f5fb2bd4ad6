//! LLaMA-Factory: `llamafactory-cli train config.yaml`, with `dataset_info.json` beside the data.

use lancer_prefer::loss::{Dpo, Ipo, PreferenceLoss, SimPo};
use serde_json::{Value, json};

use crate::{
    data,
    error::TrainerError,
    plan::{Paths, Plan},
    trl::alpha,
    yaml::Config,
};

/// The configuration.
pub(crate) fn config(plan: &Plan<'_>) -> Result<Config, TrainerError> {
    let mut config = Config::default();
    config.set("stage", if plan.loss.is_some() { "dpo" } else { "sft" });
    config.set("do_train", true);
    config.set("model_name_or_path", Paths::text(&plan.paths.model()));
    config.set("dataset_dir", Paths::text(&plan.paths.data()));
    config.set("dataset", "train");
    if plan.evaluate_every().is_some() {
        config.set("eval_dataset", "held_out");
    }
    // The data has the chat template's text already.
    config.set("template", "empty");
    config.set("cutoff_len", plan.max_length);
    config.set("disable_shuffling", true);
    plan.transformers_fields(&mut config);
    if let Some(lora) = plan.lora() {
        config.set("finetuning_type", "lora");
        config.set("lora_rank", lora.rank);
        config.set("lora_alpha", alpha(plan, lora.alpha)?);
        config.set("lora_dropout", lora.dropout);
        config.set("lora_target", lora.targets.iter().cloned().collect::<Vec<_>>().join(","));
    } else {
        config.set("finetuning_type", "full");
    }
    match plan.loss {
        None => {}
        Some(PreferenceLoss::Dpo(Dpo { beta, label_smoothing, nll_weight })) => {
            if *nll_weight > 0.0 {
                return Err(plan.no_field(
                    "loss.nll_weight",
                    "its `pref_ftx` is a mean over responses, not over tokens; set the weight to 0, and \
                     `job.config.pref_ftx` where that mean is wanted",
                ));
            }
            config.set("pref_loss", "sigmoid");
            config.set("pref_beta", *beta);
            config.set("dpo_label_smoothing", *label_smoothing);
        }
        Some(PreferenceLoss::Ipo(Ipo { beta })) => {
            config.set("pref_loss", "ipo");
            config.set("pref_beta", *beta);
        }
        Some(PreferenceLoss::SimPo(SimPo { beta, gamma, nll_weight })) => {
            if *nll_weight > 0.0 {
                return Err(plan.no_field("loss.nll_weight", "set it to 0"));
            }
            config.set("pref_loss", "simpo");
            config.set("pref_beta", *beta);
            config.set("simpo_gamma", *gamma);
        }
        Some(other) => {
            return Err(TrainerError::setting(
                "loss.kind",
                format!("llama-factory gets `dpo`, `ipo` and `simpo` from lancer, not `{}`", other.name()),
            ));
        }
    }
    plan.further_fields(&mut config)?;
    Ok(config)
}

/// `dataset_info.json`, which says what the files of the data hold.
pub(crate) fn dataset_info(plan: &Plan<'_>) -> Value {
    let of = |file: &str| {
        if plan.loss.is_some() {
            json!({
                "file_name": file, "ranking": true,
                "columns": {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"},
            })
        } else {
            json!({"file_name": file, "columns": {"prompt": "prompt", "response": "response"}})
        }
    };
    let mut info = json!({"train": of(data::TRAIN)});
    if plan.has_held_out {
        info["held_out"] = of(data::HELD_OUT);
    }
    info
}
