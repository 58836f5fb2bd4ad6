//! Whether a model is better than `M_0`, taking all tasks together, and what to try next.

use lancer_eval::{BootstrapSettings, Estimate, Verdict};
use lancer_review::Separation;
use serde::Serialize;

use super::TaskSummary;
use crate::comparison::{self, PairedTask};

/// A review that tells seeds from damaged seeds less well than this is hardly better than chance (0.5).
pub(crate) const USEFUL_AUC: f64 = 0.7;

/// Whether a model is better than `M_0`, taking all tasks together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The interval of the overall gain is above zero, and no task is worse.
    Better,
    /// The interval of the overall gain is above zero, but a task is worse.
    Mixed,
    /// The interval of the overall gain is below zero, or a task is worse and none better.
    Worse,
    /// None of the others: the difference is inside the noise.
    NotToldApart,
    /// There was no task, or the evaluation is not finished.
    NotEvaluated,
}

impl Outcome {
    pub(super) fn of(gain: Option<&Estimate>, tasks: &[TaskSummary]) -> Self {
        let Some(gain) = gain else { return Self::NotEvaluated };
        let any = |verdict| tasks.iter().any(|task| task.comparison.verdict == verdict);
        match (any(Verdict::Worse), any(Verdict::Better)) {
            _ if gain.high < 0.0 => Self::Worse,
            (true, _) if gain.low > 0.0 => Self::Mixed,
            (false, _) if gain.low > 0.0 => Self::Better,
            (true, true) => Self::Mixed,
            (true, false) => Self::Worse,
            (false, _) => Self::NotToldApart,
        }
    }

    /// Of a model whose items are paired with those of `M_0`.
    pub(crate) fn of_paired(
        paired: &[PairedTask],
        gain: Option<&Estimate>,
        settings: &BootstrapSettings,
    ) -> Self {
        let tasks = comparison::judged(paired, settings);
        let tasks: Vec<_> =
            tasks.into_iter().map(|(task, comparison)| TaskSummary { task, comparison }).collect();
        Self::of(gain, &tasks)
    }

    /// What to try next, in a sentence.
    pub(super) fn advice(self, tasks: &[TaskSummary], separations: &[Separation]) -> String {
        if let Some(in_use) = separations.first().filter(|in_use| in_use.auc < USEFUL_AUC) {
            return format!(
                "The {} review hardly tells seeds from damaged seeds (area under the ROC curve {:.2}), so that what was \
                 trained on is close to noise: try another review.mode, or a larger model.",
                in_use.mode, in_use.auc
            );
        }
        let fewest = tasks.iter().map(|task| task.comparison.before.items).min().unwrap_or(0);
        match self {
            Self::Better => {
                "Another iteration may gain more: the same command with one more in --iterations.".into()
            }
            Self::Mixed => {
                "To lose less, leave fine-tuning out and learn from preferences alone, the seeds' responses \
                            against the model's own: recipe = \"spin\" with sft.max_examples=0 (docs/lab/runs/small-model.md)."
                    .into()
            }
            Self::Worse => {
                "Train more gently (a lower learning rate, fewer epochs), and leave a phase out to see which \
                            one does it: preference.max_pairs=0 or sft.max_examples=0."
                    .into()
            }
            Self::NotToldApart if fewest < 200 => format!(
                "A task has only {fewest} items: more of them would show smaller differences. More seeds, or a higher \
                 learning rate, would make larger ones."
            ),
            Self::NotToldApart => {
                "More seeds, more epochs or a higher learning rate would make larger differences.".into()
            }
            Self::NotEvaluated => {
                "Name tasks with --task FILE to see whether the model has become better.".into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lancer_eval::{BootstrapSettings, Metric, compare};

    use super::*;

    fn task(before: f64, after: f64) -> TaskSummary {
        let items = |value| vec![(value, 1.0); 20];
        let comparison =
            compare(Metric::Accuracy, &items(before), &items(after), &BootstrapSettings::default());
        TaskSummary { task: "t".into(), comparison }
    }

    #[test]
    fn outcomes_follow_from_the_gain_and_the_tasks() {
        let gain = |low, high| Some(Estimate { mean: f64::midpoint(low, high), low, high, items: 9 });
        let (better, worse, same) = (task(0.0, 1.0), task(1.0, 0.0), task(1.0, 1.0));
        for (gain, tasks, outcome) in [
            (gain(0.1, 0.2), vec![better.clone(), same.clone()], Outcome::Better),
            (gain(0.1, 0.2), vec![better.clone(), worse.clone()], Outcome::Mixed),
            (gain(-0.1, 0.2), vec![better, worse.clone()], Outcome::Mixed),
            (gain(-0.1, 0.2), vec![worse, same.clone()], Outcome::Worse),
            (gain(-0.2, -0.1), vec![same.clone()], Outcome::Worse),
            (gain(-0.1, 0.1), vec![same], Outcome::NotToldApart),
            (None, vec![], Outcome::NotEvaluated),
        ] {
            assert_eq!(Outcome::of(gain.as_ref(), &tasks), outcome);
            assert!(outcome.advice(&tasks, &[]).ends_with('.'));
        }
    }
}
