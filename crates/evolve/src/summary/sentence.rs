//! What an evaluation says, in plain words.

use lancer_eval::{Comparison, Verdict};

use super::{Notation, TaskSummary};
use crate::stage::Stage;

/// Whether the model of an iteration is better, worse or not told apart from `M_0`, on which tasks, by how much.
/// `confidence` is that of the intervals.
pub(super) fn conclusion(
    iteration: u32,
    unfinished: Option<Stage>,
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
    let parts: Vec<String> = [
        (Verdict::Better, "better than M_0"),
        (Verdict::Worse, "worse than M_0"),
        (Verdict::NotToldApart, "not told apart from M_0"),
    ]
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
    let so_far = if unfinished == Some(Stage::Evaluate) { "So far " } else { "" };
    format!("{so_far}M_{iteration} is {}.", parts.join("; "))
}

fn change(task: &TaskSummary, confidence: f64) -> String {
    let Comparison { metric, before, after, difference, .. } = task.comparison;
    let notation = Notation::of(metric);
    format!(
        "{} ({} {} to {}{}: {}{}, {:.0} % interval {} to {})",
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
    )
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
        assert_eq!(
            conclusion(2, None, &tasks, 0.95),
            "M_2 is better than M_0 on held-out (NLL 2.500 to 2.250: −0.250, 95 % interval −0.250 to −0.250); \
             worse than M_0 on facts (accuracy 100.0 to 0.0 %: −100.0 points, 95 % interval −100.0 to −100.0); \
             not told apart from M_0 on sums (accuracy 50.0 to 100.0 %: +50.0 points, 95 % interval 0.0 to +100.0)."
        );
    }

    #[test]
    fn without_an_evaluation_it_says_why() {
        assert!(
            conclusion(1, Some(Stage::Evaluate), &[task("t", Metric::Nll, &[1.0], &[1.0])], 0.95)
                .starts_with("So far M_1")
        );
        assert!(conclusion(1, Some(Stage::Generate), &[], 0.95).contains("next stage is “generate”"));
        assert!(conclusion(1, None, &[], 0.95).contains("no task"));
    }
}
