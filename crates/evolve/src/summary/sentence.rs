//! What an evaluation says, in plain words.

use lancer_eval::{Comparison, Estimate, Verdict};

use super::{Notation, Outcome, TaskSummary};
use crate::{ledger::Rejection, stage::Stage};

/// Whether the model of an iteration is better, worse or not told apart from `M_0`, on which tasks, by how much.
/// `confidence` is that of the intervals.
pub(super) fn conclusion(
    iteration: u32,
    unfinished: Option<Stage>,
    (outcome, gain): (Outcome, Option<&Estimate>),
    tasks: &[TaskSummary],
    confidence: f64,
) -> String {
    if tasks.is_empty() {
        return match unfinished {
            Some(stage) if stage <= Stage::Evaluate => {
                format!("Iteration {iteration} has not been evaluated yet: its next stage is “{stage}”.")
            }
            _ => format!("M_{iteration} was not evaluated: the recipe names no task."),
        };
    }
    let parts: Vec<String> =
        [(Verdict::Better, "better"), (Verdict::Worse, "worse"), (Verdict::NotToldApart, "not told apart")]
            .into_iter()
            .filter_map(|(verdict, words)| {
                let found: Vec<String> = tasks
                    .iter()
                    .filter(|task| task.comparison.verdict == verdict)
                    .map(|task| change(task, confidence))
                    .collect();
                (!found.is_empty()).then(|| format!("{words} on {}", listed(&found)))
            })
            .collect();
    let parts = parts.join("; ");
    match gain {
        None => format!("So far M_{iteration} is, against M_0, {parts}."),
        Some(gain) => format!("M_{iteration} {} {parts}.", overall(outcome, gain, confidence)),
    }
}

/// What follows where the gate rejected the model.
pub(super) fn rejection(Rejection { kept, reason }: &Rejection) -> String {
    format!(" It is rejected, and M_{kept} is kept: {reason}.")
}

/// The outcome, with the gain over all tasks.
fn overall(outcome: Outcome, gain: &Estimate, confidence: f64) -> String {
    let words = match outcome {
        Outcome::Better => "is better than M_0",
        Outcome::Mixed => "is better than M_0 in some things and worse in others",
        Outcome::Worse => "is worse than M_0",
        Outcome::NotToldApart | Outcome::NotEvaluated => "is not told apart from M_0",
    };
    let notation = Notation::of_gain();
    format!(
        "{words}: {}{} over all tasks, {:.0} % interval {} to {};",
        notation.change(gain.mean),
        notation.unit_of_change(),
        confidence * 100.0,
        notation.change(gain.low),
        notation.change(gain.high),
    )
}

fn change(task: &TaskSummary, confidence: f64) -> String {
    let Comparison { metric, before, after, difference, corrected_p_value, .. } = task.comparison;
    let notation = Notation::of(metric);
    format!(
        "{} ({} {} to {}{}: {}{}, {:.0} % interval {} to {}, p {})",
        task.task,
        metric.name(),
        notation.value(before.mean),
        notation.value(after.mean),
        notation.unit(),
        notation.change(difference.mean),
        notation.unit_of_change(),
        confidence * 100.0,
        notation.change(difference.low),
        notation.change(difference.high),
        probability(corrected_p_value),
    )
}

/// A p-value as it is written.
fn probability(p_value: f64) -> String {
    if p_value < 0.001 { "< 0.001".into() } else { format!("{p_value:.3}") }
}

fn listed(parts: &[String]) -> String {
    match parts {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => parts.concat(),
    }
}

#[cfg(test)]
mod tests {
    use lancer_eval::{BootstrapSettings, Metric, compare};

    use super::*;

    fn task(name: &str, metric: Metric, before: &[f64], after: &[f64]) -> TaskSummary {
        let weighted = |values: &[f64]| values.iter().map(|&value| (value, 1.0)).collect::<Vec<_>>();
        let settings = BootstrapSettings::default();
        TaskSummary {
            task: name.into(),
            comparison: compare(metric, &weighted(before), &weighted(after), &settings),
        }
    }

    #[test]
    fn a_sentence_names_verdicts_tasks_and_amounts() {
        let tasks = [
            task("held-out", Metric::Nll, &[2.5; 8], &[2.25; 8]),
            task("sums", Metric::Accuracy, &[1.0, 0.0], &[1.0, 1.0]),
            task("facts", Metric::Accuracy, &[1.0; 8], &[0.0; 8]),
        ];
        let gain = Estimate { mean: 0.1, low: -0.02, high: 0.22, items: 18 };
        assert_eq!(
            conclusion(2, None, (Outcome::Mixed, Some(&gain)), &tasks, 0.95),
            "M_2 is better than M_0 in some things and worse in others: +0.100 standard deviations over all tasks, 95 % \
             interval −0.020 to +0.220; better on held-out (NLL 2.500 to 2.250: −0.250, 95 % interval −0.250 to −0.250, \
             p 0.008); worse on facts (accuracy 100.0 to 0.0 %: −100.0 points, 95 % interval −100.0 to −100.0, p 0.008); \
             not told apart on sums (accuracy 50.0 to 100.0 %: +50.0 points, 95 % interval 0.0 to +100.0, p 1.000)."
        );
    }

    #[test]
    fn without_an_evaluation_it_says_why() {
        let none = (Outcome::NotEvaluated, None);
        let tasks = [task("t", Metric::Nll, &[1.0], &[1.0])];
        assert!(conclusion(1, Some(Stage::Evaluate), none, &tasks, 0.95).starts_with("So far M_1"));
        assert!(conclusion(1, Some(Stage::Generate), none, &[], 0.95).contains("next stage is “generate”"));
        assert!(conclusion(1, None, none, &[], 0.95).contains("no task"));
    }
}
