//! Losses against TRL's functions, learning rates against transformers'.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{fs, path::Path};

use lancer_prefer::{
    Decay, Schedule,
    loss::{BatchTotals, Orpo, PairLogProb, PairLoss, PreferenceLoss, orpo},
};
use serde::{Deserialize, de::DeserializeOwned};

#[derive(Deserialize)]
struct LossRow {
    loss: PreferenceLoss,
    policy: PairLogProb,
    reference: PairLogProb,
    value: f64,
    chosen_gradient: f64,
    rejected_gradient: f64,
}

#[derive(Deserialize)]
struct ScheduleRow {
    decay: Decay,
    steps: u64,
    warmup: u64,
    factors: Vec<f64>,
}

fn rows<Row: DeserializeOwned>(file: &str) -> Vec<Row> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/prefer"));
    serde_json::from_slice(&fs::read(folder.join(file)).unwrap()).unwrap()
}

fn of(loss: &PreferenceLoss, policy: PairLogProb, reference: PairLogProb) -> PairLoss {
    match loss {
        // TRL's function is the odds-ratio part alone.
        PreferenceLoss::Orpo(settings) => orpo(&Orpo { ..*settings }, policy),
        other => other.pair(
            policy,
            reference,
            &BatchTotals { pairs: 1, chosen_tokens: policy.chosen.tokens, kl: 0.0 },
        ),
    }
}

#[test]
fn losses_and_gradients_are_those_of_trl() {
    let rows: Vec<LossRow> = rows("losses.json");
    assert_eq!(rows.len(), 100);
    for row in rows {
        let found = of(&row.loss, row.policy, row.reference);
        for (name, found, expected) in [
            ("value", found.value, row.value),
            ("chosen", found.chosen, row.chosen_gradient),
            ("rejected", found.rejected, row.rejected_gradient),
        ] {
            // TRL computes the odds ratio in 32 bits.
            let tolerance = 1e-5 * expected.abs().max(1.0);
            assert!((found - expected).abs() <= tolerance, "{:?} {name}: {found}, TRL {expected}", row.loss);
        }
    }
}

#[test]
fn schedules_are_those_of_transformers() {
    for row in rows::<ScheduleRow>("schedules.json") {
        let schedule = Schedule { warmup_ratio: row.warmup as f64 / row.steps as f64, decay: row.decay };
        assert_eq!(schedule.warmup_steps(row.steps), row.warmup);
        for (done, expected) in row.factors.iter().enumerate() {
            let found = schedule.factor(done as u64, row.steps);
            assert!((found - expected).abs() < 1e-12, "{:?} step {done}: {found}, {expected}", row.decay);
        }
    }
}
