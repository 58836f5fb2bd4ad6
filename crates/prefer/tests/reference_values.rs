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
struct BatchRow {
    loss: PreferenceLoss,
    /// KTO's, TRL's clamp at 0 already applied.
    divergence: f64,
    value: f64,
    pairs: Vec<PairRow>,
}

#[derive(Deserialize)]
struct PairRow {
    policy: PairLogProb,
    reference: PairLogProb,
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

/// Every loss of TRL's DPO trainer that there is here, DPO with and without the NLL term, and KTO, each a batch of pairs of
/// several lengths.
#[test]
fn batches_are_those_of_trl() {
    let rows: Vec<BatchRow> = rows("batches.json");
    assert_eq!(rows.len(), 13);
    for row in rows {
        // TRL has the logarithms of EXO's smoothing in 32 bits.
        let tolerance = if row.loss.name() == "exo_pair" { 1e-5 } else { 1e-9 };
        let close = |what: &str, found: f64, expected: f64| {
            assert!((found - expected).abs() <= tolerance, "{:?} {what}: {found}, TRL {expected}", row.loss);
        };
        let totals = BatchTotals {
            pairs: row.pairs.len(),
            chosen_tokens: row.pairs.iter().map(|pair| pair.policy.chosen.tokens).sum(),
            kl: row.divergence,
        };
        let mut value = 0.0;
        for pair in &row.pairs {
            let found = row.loss.pair(pair.policy, pair.reference, &totals);
            close("chosen", found.chosen, pair.chosen_gradient);
            close("rejected", found.rejected, pair.rejected_gradient);
            value += found.value;
        }
        close("value", value, row.value);
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
