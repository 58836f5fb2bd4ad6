//! TRL: `trl sft|dpo --config config.yaml`.

use lancer_prefer::loss::{Apo, BcoPair, Dpo, ExoPair, Ipo, PreferenceLoss, Robust, SigmoidNorm, SppoHard};
use serde_json::json;

use crate::{
    error::TrainerError,
    plan::{Paths, Plan},
    yaml::Config,
};

/// The configuration.
pub(crate) fn config(plan: &Plan<'_>) -> Result<Config, TrainerError> {
    let mut config = Config::default();
    config.set("model_name_or_path", Paths::text(&plan.paths.model()));
    config.set("dtype", "float32");
    config.set("dataset_name", Paths::text(&plan.paths.data()));
    config.set("dataset_train_split", "train");
    config.set("dataset_test_split", "test");
    config.set("max_length", plan.max_length);
    plan.transformers_fields(&mut config);
    config.set("train_sampling_strategy", "sequential");
    if let Some(lora) = plan.lora() {
        config.set("use_peft", true);
        config.set("lora_r", lora.rank);
        config.set("lora_alpha", alpha(plan, lora.alpha)?);
        config.set("lora_dropout", lora.dropout);
        config.set("lora_target_modules", json!(lora.targets));
    }
    match plan.loss {
        // Labels say which tokens count.
        None => config.set("completion_only_loss", false),
        Some(PreferenceLoss::Dpo(Dpo { beta, label_smoothing, nll_weight })) => {
            let has_nll = *nll_weight > 0.0;
            config.set("loss_type", if has_nll { json!(["sigmoid", "sft"]) } else { json!(["sigmoid"]) });
            if has_nll {
                config.set("loss_weights", json!([1.0, nll_weight]));
            }
            config.set("beta", *beta);
            // TRL takes label smoothing in other losses only.
            if *label_smoothing > 0.0 {
                return Err(
                    plan.no_field("loss.label_smoothing", "set it to 0, or train with lancer's own trainer")
                );
            }
        }
        Some(
            loss @ (PreferenceLoss::Robust(Robust { beta, label_smoothing })
            | PreferenceLoss::ExoPair(ExoPair { beta, label_smoothing })),
        ) => {
            config.set("loss_type", json!([loss.name()]));
            config.set("beta", *beta);
            config.set("label_smoothing", *label_smoothing);
        }
        // These have TRL's names.
        Some(
            loss @ (PreferenceLoss::Ipo(Ipo { beta })
            | PreferenceLoss::SigmoidNorm(SigmoidNorm { beta })
            | PreferenceLoss::SppoHard(SppoHard { beta })
            | PreferenceLoss::ApoZero(Apo { beta })
            | PreferenceLoss::ApoDown(Apo { beta })
            | PreferenceLoss::BcoPair(BcoPair { beta })),
        ) => {
            config.set("loss_type", json!([loss.name()]));
            config.set("beta", *beta);
        }
        Some(other) => {
            return Err(TrainerError::setting(
                "loss.kind",
                format!("`trl dpo` has no loss for `{}`; lancer's own trainer has it", other.name()),
            ));
        }
    }
    plan.further_fields(&mut config)?;
    Ok(config)
}

/// TRL and LLaMA-Factory take whole numbers only.
pub(crate) fn alpha(plan: &Plan<'_>, alpha: f64) -> Result<u64, TrainerError> {
    if alpha.fract() == 0.0 && alpha < 1e9 {
        return Ok(alpha as u64);
    }
    Err(TrainerError::setting(
        "learner.method.lora.alpha",
        format!("it is {alpha}; {} takes whole numbers only", plan.trainer),
    ))
}

/// The subcommand, which is the name of the script too.
pub(crate) fn subcommand(plan: &Plan<'_>) -> &'static str {
    if plan.loss.is_some() { "dpo" } else { "sft" }
}
