//! The summary of a run as tables of text.

#[cfg(test)]
mod tests;
mod trials;

use std::fmt::Write;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, TableComponent, presets};
use indicatif::HumanCount;
use lancer_evolve::summary::{
    IterationSummary, Notation, StageSummary, StartEnd, Summary, TaskEstimate, TrainingSummary,
};

pub(crate) use self::trials::print_standings;
use crate::shown;

/// The widest line, so that a table fits into a terminal or a mail.
const WIDTH: u16 = 100;

/// Prints the tables.
pub(crate) fn print(summary: &Summary) {
    outln!("{}", text(summary).trim_end_matches('\n'));
}

fn text(summary: &Summary) -> String {
    let mut text = String::new();
    let mut part = |title: &str, table: &dyn std::fmt::Display| {
        // A string takes all that is written to it.
        let _ = writeln!(text, "\n{title}\n{table}");
    };
    part("Before the first iteration", &stages(&summary.before));
    for iteration in &summary.iterations {
        let of = |what: &str| format!("Iteration {}: {what}", iteration.iteration);
        part(&of("records"), &funnel(summary, iteration));
        if !iteration.separations.is_empty() {
            part(&of("how well the review tells seeds from damaged seeds"), &separations(iteration));
        }
        if iteration.sft.is_some() || iteration.preference.is_some() {
            part(&of("training, from start to end"), &training(iteration));
        }
        let phases = [("SFT", &iteration.sft), ("preference", &iteration.preference)];
        let notes = phases.into_iter().filter_map(|(name, phase)| Some((name, phase.as_ref()?)));
        for (name, note) in notes.flat_map(|(name, phase)| phase.notes.iter().map(move |note| (name, note))) {
            part(&of(name), &wrapped(note));
        }
        part(&of("time and tokens"), &stages(&iteration.stages));
    }
    if !summary.baseline.is_empty() {
        let title = format!("Evaluation, with {:.0} % intervals", summary.confidence * 100.0);
        part(&title, &evaluation(summary));
    }
    text.push('\n');
    for iteration in &summary.iterations {
        text.push_str(&wrapped(&iteration.conclusion));
    }
    if let Some(last) = summary.iterations.last() {
        text.push_str(&wrapped(&last.advice));
    }
    if summary.iterations.iter().any(|iteration| iteration.rejected.is_some()) {
        text.push_str(&wrapped(&format!("The model that the run has come to is M_{}.", summary.kept.model)));
    }
    text.push('\n');
    for (name, value) in facts(summary) {
        let _ = writeln!(text, "{name:<11} {value}");
    }
    text
}

/// A table with these titles, without lines between the rows; the columns of these numbers are aligned right.
fn table<const N: usize>(columns: [&str; N], right: &[usize]) -> Table {
    let mut table = of(columns.map(str::to_owned).to_vec(), right);
    table.set_width(WIDTH);
    table
}

/// The same for a terminal of the usual width.
pub(crate) fn narrow<const N: usize>(columns: [&str; N], right: &[usize]) -> Table {
    narrow_of(columns.map(str::to_owned).to_vec(), right)
}

/// The same with as many columns as there are titles.
pub(crate) fn narrow_of(columns: Vec<String>, right: &[usize]) -> Table {
    let mut table = of(columns, right);
    table.set_width(shown::WIDTH as u16);
    table
}

/// Lets these columns be as wide as what is in them, so that the others give way.
pub(crate) fn keep_whole(table: &mut Table, columns: &[usize]) {
    for &column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
}

fn of(columns: Vec<String>, right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    for line in [
        TableComponent::HorizontalLines,
        TableComponent::LeftBorderIntersections,
        TableComponent::MiddleIntersections,
        TableComponent::RightBorderIntersections,
    ] {
        table.remove_style(line);
    }
    table.set_header(columns);
    for &column in right {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn funnel(summary: &Summary, iteration: &IterationSummary) -> Table {
    let mut table = table(["stage", "in", "out", "", "of these, and of the rest"], &[3]);
    let mut add = |stage: &str, input: (usize, &str), output: (usize, &str), parts: &[(String, usize)]| {
        let mut front = [stage.to_owned(), counted(input), counted(output)];
        let none = [(String::new(), 0)];
        for (what, records) in if parts.is_empty() { &none } else { parts } {
            let records = if what.is_empty() { String::new() } else { count(*records) };
            let [stage, input, output] = std::mem::take(&mut front);
            table.add_row([stage, input, output, records, what.clone()]);
        }
    };
    if iteration.iteration == 1 {
        let rejected: Vec<(String, usize)> =
            summary.rejected.iter().map(|(reason, lines)| (format!("rejected: {reason}"), *lines)).collect();
        let lines = summary.seeds + summary.rejected.values().sum::<usize>();
        add("import", (lines, "lines"), (summary.seeds, "seeds"), &rejected);
    }
    for row in iteration.funnel_rows() {
        let (input, output) = ((row.input, row.input_unit), (row.output, row.output_unit));
        add(row.stage.title(), input, output, &row.parts);
    }
    table
}

/// A number and what it counts, the numbers below each other.
fn counted((number, what): (usize, &str)) -> String {
    format!("{:>5} {what}", count(number))
}

fn separations(iteration: &IterationSummary) -> Table {
    let mut table = table(["review", "area under the ROC curve", "against each damage", "readable"], &[1, 3]);
    for (place, separation) in iteration.separations.iter().enumerate() {
        let kinds: Vec<String> =
            separation.by_damage.iter().map(|(damage, auc)| format!("{damage} {auc:.2}")).collect();
        let in_use = if place == 0 { " (in use)" } else { "" };
        table.add_row([
            format!("{}{in_use}", separation.mode),
            format!("{:.3}", separation.auc),
            kinds.join(", "),
            format!("{:.0} %", separation.parsed * 100.0),
        ]);
    }
    table
}

fn training(iteration: &IterationSummary) -> Table {
    let columns = ["", "steps", "loss", "held-out loss", "reward margin", "pairs ranked right"];
    let mut table = table(columns, &[1, 2, 3, 4, 5]);
    for (name, phase) in [("SFT", &iteration.sft), ("preference", &iteration.preference)] {
        let Some(phase) = phase else { continue };
        let TrainingSummary { loss, held_out_loss, .. } = *phase;
        // Where pairs are held out, what they show counts.
        let margin = phase.held_out_margin.or(phase.reward_margin);
        let accuracy = phase.held_out_accuracy.or(phase.accuracy);
        let percent = accuracy.map(|part| StartEnd { start: part.start * 100.0, end: part.end * 100.0 });
        table.add_row([
            name.into(),
            count(phase.steps),
            from_to(Some(loss), 3, ""),
            from_to(held_out_loss, 3, ""),
            from_to(margin, 3, ""),
            from_to(percent, 0, " %"),
        ]);
    }
    table
}

fn evaluation(summary: &Summary) -> Table {
    let mut table = table(["task", "model", "mean", "difference from M_0", "verdict"], &[2, 3]);
    for TaskEstimate { task, metric, estimate } in &summary.baseline {
        let notation = Notation::of(*metric);
        let mean = |estimate| format!("{}{}", notation.estimate(estimate), notation.unit());
        table.add_row([task.clone(), "M_0".into(), mean(estimate), String::new(), String::new()]);
        // What is measured stands below the task's name.
        let mut below = format!("  {}, {} items", metric.name(), count(estimate.items));
        for iteration in &summary.iterations {
            let Some(found) = iteration.tasks.iter().find(|found| found.task == *task) else { continue };
            let comparison = &found.comparison;
            table.add_row([
                std::mem::take(&mut below),
                format!(
                    "M_{}{}",
                    iteration.iteration,
                    if iteration.rejected.is_some() { ", rejected" } else { "" }
                ),
                mean(&comparison.after),
                notation.difference(&comparison.difference),
                comparison.verdict.to_string(),
            ]);
        }
        if !below.is_empty() {
            table.add_row([below]);
        }
    }
    table
}

fn stages(stages: &[StageSummary]) -> Table {
    let columns = ["stage", "time", "read", "reused", "written", "trained on", "tokens/s"];
    let mut table = table(columns, &[1, 2, 3, 4, 5, 6]);
    for stage in stages {
        let unfinished = if stage.finished { "" } else { " (unfinished)" };
        table.add_row([
            format!("{}{unfinished}", stage.stage),
            duration(stage.seconds),
            tokens(stage.read),
            tokens(stage.reused),
            tokens(stage.generated),
            tokens(stage.trained),
            stage.tokens_per_second.map(|rate| tokens(rate.round() as u64)).unwrap_or_default(),
        ]);
    }
    table
}

/// Where things are, by name.
fn facts(summary: &Summary) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    for iteration in &summary.iterations {
        let number = iteration.iteration;
        for (name, path) in [
            (format!("M_{number} GGUF"), &iteration.files.gguf),
            (format!("M_{number} folder"), &iteration.files.model),
            (format!("exports {number}"), &iteration.files.exports),
        ] {
            let rejected =
                if iteration.rejected.is_some() && !name.starts_with("exports") { " (rejected)" } else { "" };
            facts.extend(path.as_ref().map(|path| (name, format!("{}{rejected}", path.display()))));
        }
    }
    facts.push(("time".into(), duration(summary.seconds)));
    facts
}

/// A sentence in lines of [`WIDTH`] at most, a word that is longer on a line of its own.
fn wrapped(sentence: &str) -> String {
    let mut lines = String::new();
    let mut length = 0;
    for word in sentence.split(' ') {
        let more = word.chars().count() + 1;
        if length > 0 {
            let breaks = length + more > usize::from(WIDTH);
            lines.push(if breaks { '\n' } else { ' ' });
            length = if breaks { 0 } else { length };
        }
        lines.push_str(word);
        length += more;
    }
    lines + "\n"
}

fn count(number: usize) -> String {
    HumanCount(number as u64).to_string()
}

/// Nothing where there are none.
fn tokens(number: u64) -> String {
    if number == 0 { String::new() } else { HumanCount(number).to_string() }
}

fn from_to(value: Option<StartEnd>, digits: usize, unit: &str) -> String {
    value
        .map(|StartEnd { start, end }| format!("{start:.digits$} → {end:.digits$}{unit}"))
        .unwrap_or_default()
}

pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}
