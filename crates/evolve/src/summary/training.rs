//! Losses, reward margins and accuracies, from start to end.

use lancer_prefer::{BothFall, GradientSpike, SetAside, both_fall, gradient_spikes, loss::PreferenceLoss};
use serde::Serialize;

use crate::{
    error::EvolveError,
    ledger::{Ledger, Phase},
};

/// A value at the start and at the end of training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StartEnd {
    /// At the start.
    pub start: f64,
    /// At the end, or as far as training has come.
    pub end: f64,
}

/// What a phase of training did.
///
/// Values over training batches are means over the first and the last tenth of the steps, at least one. Held-out values
/// are those of the first and the last measurement, and absent before there are two.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainingSummary {
    /// Optimizer steps.
    pub steps: usize,
    /// Examples or pairs over all steps; more than there are where there is more than one epoch.
    pub examples: usize,
    /// Their tokens, prompts included.
    pub tokens: u64,
    /// The loss.
    pub loss: StartEnd,
    /// Chosen less rejected implicit reward, for preference training.
    pub reward_margin: Option<StartEnd>,
    /// The part of the pairs in which the chosen reward is the larger, 0 to 1.
    pub accuracy: Option<StartEnd>,
    /// Examples or pairs that are held out.
    pub held_out: usize,
    /// The loss on them.
    pub held_out_loss: Option<StartEnd>,
    /// The reward margin on them.
    pub held_out_margin: Option<StartEnd>,
    /// The accuracy on them.
    pub held_out_accuracy: Option<StartEnd>,
    /// Examples with which a loss or a gradient was not finite, and which were not trained on.
    pub set_aside: Vec<SetAside>,
    /// Steps whose gradient was far larger than before.
    pub gradient_spikes: Vec<GradientSpike>,
    /// Both responses of a pair became less probable, for preference training.
    pub both_fall: Option<BothFall>,
    /// The last three as sentences.
    pub notes: Vec<String>,
}

impl TrainingSummary {
    /// `None` before the first step. `loss` is that of preference training.
    pub(super) fn of(
        ledger: &Ledger,
        iteration: u32,
        phase: Phase,
        loss: &PreferenceLoss,
    ) -> Result<Option<Self>, EvolveError> {
        let steps = ledger.steps(iteration, phase)?;
        let losses: Vec<f64> = steps.iter().map(|step| step.loss).collect();
        let Some(losses) = StartEnd::of_tenths(&losses) else { return Ok(None) };
        let preferences: Vec<_> = steps.iter().filter_map(|step| step.preference).collect();
        let margins: Vec<f64> = preferences.iter().map(|metrics| metrics.reward_margin).collect();
        let accuracies: Vec<f64> = preferences.iter().map(|metrics| metrics.accuracy).collect();

        let held_out = ledger.held_out(iteration, phase)?;
        let held_out_preferences: Vec<_> = held_out.iter().filter_map(|row| row.preference).collect();
        let set_aside = ledger.set_aside(iteration, phase)?;
        let gradient_spikes = gradient_spikes(&steps);
        let both_fall = match phase {
            Phase::Sft => None,
            Phase::Preference => both_fall(loss, &preferences, &held_out_preferences),
        };
        Ok(Some(Self {
            notes: notes(&set_aside, &gradient_spikes, both_fall.as_ref()),
            set_aside,
            gradient_spikes,
            both_fall,
            steps: steps.len(),
            examples: steps.iter().map(|step| step.examples).sum(),
            tokens: steps.iter().map(|step| step.tokens).sum(),
            loss: losses,
            reward_margin: StartEnd::of_tenths(&margins),
            accuracy: StartEnd::of_tenths(&accuracies),
            held_out: held_out.first().map_or(0, |row| row.examples),
            held_out_loss: StartEnd::of_ends(held_out.iter().map(|row| row.loss)),
            held_out_margin: StartEnd::of_ends(held_out_preferences.iter().map(|row| row.reward_margin)),
            held_out_accuracy: StartEnd::of_ends(held_out_preferences.iter().map(|row| row.accuracy)),
        }))
    }
}

/// What a user should know, each in a sentence.
fn notes(set_aside: &[SetAside], spikes: &[GradientSpike], both_fall: Option<&BothFall>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(first) = set_aside.first() {
        let SetAside { key, step, reason } = first;
        notes.push(match set_aside.len() {
            1 => format!("1 example was set aside, {key} at step {step}: {reason}"),
            count => {
                format!("{count} examples were set aside, the first of them {key} at step {step}: {reason}")
            }
        });
    }
    if let Some(first) = spikes.first() {
        let more = match spikes.len() {
            1 => String::new(),
            count => format!(" ({} more steps had one)", count - 1),
        };
        notes.push(format!("gradient spike, {first}{more}"));
    }
    notes.extend(both_fall.map(ToString::to_string));
    notes
}

impl StartEnd {
    /// Means over the first and the last tenth, at least one value; `None` where there are none.
    fn of_tenths(values: &[f64]) -> Option<Self> {
        let tenth = (values.len() / 10).max(1);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        Some(Self {
            start: mean(values.get(..tenth)?),
            end: mean(values.get(values.len().checked_sub(tenth)?..)?),
        })
    }

    /// The first and the last value; `None` where they are the same one.
    fn of_ends(mut values: impl DoubleEndedIterator<Item = f64>) -> Option<Self> {
        Some(Self { start: values.next()?, end: values.next_back()? })
    }
}

#[cfg(test)]
mod tests {
    use super::StartEnd;

    #[test]
    fn the_first_and_the_last_tenth() {
        let values: Vec<f64> = (0..25).map(f64::from).collect();
        assert_eq!(StartEnd::of_tenths(&values), Some(StartEnd { start: 0.5, end: 23.5 }));
        assert_eq!(StartEnd::of_tenths(&[2.0, 1.0]), Some(StartEnd { start: 2.0, end: 1.0 }));
        assert_eq!(StartEnd::of_tenths(&[2.0]), Some(StartEnd { start: 2.0, end: 2.0 }));
        assert_eq!(StartEnd::of_tenths(&[]), None);
        assert_eq!(StartEnd::of_ends([3.0, 2.0, 1.0].into_iter()), Some(StartEnd { start: 3.0, end: 1.0 }));
        assert_eq!(StartEnd::of_ends([3.0].into_iter()), None);
    }
}
