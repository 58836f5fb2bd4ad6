//! Any program: it reads `job.json`, trains, and writes a Hugging Face folder.

use serde_json::{Value, json};

use crate::{data, plan::Plan};

/// What the program is told, all numbers of the recipe included.
pub(crate) fn description(plan: &Plan<'_>) -> Value {
    let held_out = plan.has_held_out.then(|| plan.paths.data().join(data::HELD_OUT));
    json!({
        "model": plan.paths.model(),
        "train": plan.paths.data().join(data::TRAIN),
        "held_out": held_out,
        "output": plan.paths.output(),
        "steps": plan.steps,
        "batch": {
            "examples": plan.division.batch,
            "processes": plan.job.processes,
            "device_batch": plan.division.device_batch,
            "passes": plan.division.passes,
        },
        "max_length": plan.max_length,
        "warmup_steps": plan.warmup_steps(),
        "settings": plan.train,
        "learner": plan.method,
        "loss": plan.loss,
        "seed": plan.seed.0,
        "config": plan.job.config,
    })
}
