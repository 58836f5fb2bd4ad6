//! `lancer inspect`: a run, or one of its records with all that led to it and came of it.

use std::path::{Path, PathBuf};

use clap::Args;
use lancer_evolve::{
    Run,
    ledger::Ledger,
    summary::{IterationSummary, Notation},
    view::{self, Lineage, RunOverview, RunView},
};
use serde::Serialize;
use serde_json::Value;

use super::runs;
use crate::{failure::Failure, output::Output, place, shown, table};

/// Show a run (its stages, counts, calibration and evaluation), or a record with its whole lineage: seed, prompt, response,
/// reviews, verdicts, pairs and the training steps that used it.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The run's folder.
    run: PathBuf,
    /// A record's key; `lancer query RUN "SELECT key, prompt FROM record"` lists them.
    record: Option<String>,
}

#[derive(Serialize)]
struct Inspected {
    #[serde(flatten)]
    overview: RunOverview,
    #[serde(flatten)]
    run: RunView,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    place::existing_run(&arguments.run)?;
    let ledger = Ledger::read(&arguments.run.join(Run::LEDGER))?;
    if let Some(key) = &arguments.record {
        let found = view::lineage(&ledger, key)?
            .ok_or_else(|| Failure::usage(no_record(&ledger, &arguments.run, key)))?;
        output.print(&found, print_lineage);
    } else {
        let name = arguments.run.display().to_string();
        let overview = view::overview(&ledger, &arguments.run, name)?;
        let run = RunView::of(&ledger, &arguments.run)?;
        output.print(&Inspected { overview, run }, print_run);
    }
    Ok(())
}

/// That there is no such record, with some that contain the key.
fn no_record(ledger: &Ledger, run: &Path, key: &str) -> String {
    let filter = view::RecordFilter { text: key.into(), limit: Some(5), ..view::RecordFilter::default() };
    let near = view::record_page(ledger, &filter).map(|page| page.rows).unwrap_or_default();
    let near: Vec<String> = near.into_iter().map(|row| shown::shown(&row.key)).collect();
    let run = run.display();
    match near.as_slice() {
        [] => format!(
            "{run} has no record {}; `lancer query {run} \"SELECT key FROM record\"` lists them",
            shown::shown(key)
        ),
        near => format!("{run} has no record {}; near it are {}", shown::shown(key), near.join(", ")),
    }
}

fn print_run(found: &Inspected) {
    let run = &found.overview;
    outln!("{}  {}", shown::shown(&run.name), run.status.as_str());
    outln!("at            {}", runs::place(run));
    if run.gain.is_some() {
        outln!("gain          {} standard deviations", runs::gain(run));
    }
    outln!("time          {}", table::duration(run.seconds));
    if let Some(active) = run.last_activity {
        outln!("last written  {}", runs::ago(active));
    }
    let summary = &found.run.summary;
    outln!("seeds         {}", summary.seeds);
    print_stages("Before the first iteration", &summary.before);
    for (iteration, rows) in summary.iterations.iter().zip(&found.run.funnels) {
        let number = iteration.iteration;
        print_stages(&format!("Iteration {number}"), &iteration.stages);
        if !rows.is_empty() {
            let mut funnel = table::narrow(["stage", "in", "out", "of these, and of the rest"], &[1, 2]);
            for row in rows {
                let parts: Vec<String> =
                    row.parts.iter().map(|(what, records)| format!("{records} {what}")).collect();
                funnel.add_row([
                    row.stage.title().to_owned(),
                    format!("{} {}", row.input, row.input_unit),
                    format!("{} {}", row.output, row.output_unit),
                    parts.join("; "),
                ]);
            }
            outln!("\nIteration {number}: records\n{funnel}");
        }
        print_calibration(iteration);
        print_evaluation(iteration);
        outln!("\n{}", shown::block(&iteration.conclusion, ""));
    }
}

fn print_stages(title: &str, stages: &[lancer_evolve::summary::StageSummary]) {
    if stages.is_empty() {
        return;
    }
    let mut rows = table::narrow(["stage", "", "time", "tokens", "tokens/s"], &[2, 3, 4]);
    for stage in stages {
        rows.add_row([
            stage.stage.title().to_owned(),
            if stage.finished { "finished" } else { "unfinished" }.to_owned(),
            table::duration(stage.seconds),
            (stage.read + stage.generated + stage.trained).to_string(),
            stage.tokens_per_second.map(|rate| format!("{rate:.0}")).unwrap_or_default(),
        ]);
    }
    outln!("\n{title}\n{rows}");
}

fn print_calibration(iteration: &IterationSummary) {
    if iteration.separations.is_empty() {
        return;
    }
    let mut rows = table::narrow(["review", "area", "against each damage"], &[1]);
    for separation in &iteration.separations {
        let kinds: Vec<String> =
            separation.by_damage.iter().map(|(damage, area)| format!("{damage} {area:.2}")).collect();
        rows.add_row([separation.mode.to_string(), format!("{:.3}", separation.auc), kinds.join(", ")]);
    }
    outln!("\nIteration {}: how well the review tells seeds from damaged seeds\n{rows}", iteration.iteration);
}

fn print_evaluation(iteration: &IterationSummary) {
    if iteration.tasks.is_empty() {
        return;
    }
    let mut rows = table::narrow(["task", "M_0", "this model", "difference", "verdict"], &[1, 2, 3]);
    for task in &iteration.tasks {
        let compared = &task.comparison;
        let notation = Notation::of(compared.metric);
        rows.add_row([
            shown::line(&task.task, 24),
            format!("{}{}", notation.value(compared.before.mean), notation.unit()),
            format!("{}{}", notation.value(compared.after.mean), notation.unit()),
            notation.difference(&compared.difference),
            compared.verdict.to_string(),
        ]);
    }
    outln!("\nIteration {}: evaluation\n{rows}", iteration.iteration);
}

fn print_lineage(found: &Lineage) {
    let record = &found.record;
    let from =
        if record.iteration == 0 { String::new() } else { format!(", iteration {}", record.iteration) };
    outln!("{}  {}{from}", shown::shown(&record.key), record.origin.as_str().replace('_', " "));
    quote("Prompt", &record.prompt);
    quote("Response", &record.response);

    heading("Comes from", !found.ancestors.is_empty());
    if let Some(prompt) = &found.prompt_sample {
        outln!(
            "  its prompt is the sample {} ({} tokens, {})",
            shown::shown(&prompt.key),
            prompt.tokens,
            prompt.finish
        );
    }
    if let Some(sample) = &found.sample {
        outln!(
            "  its response is the sample {} ({} tokens, {})",
            shown::shown(&sample.key),
            sample.tokens,
            sample.finish
        );
    }
    for ancestor in &found.ancestors {
        let what = if ancestor.iteration == 0 { "seed" } else { "record" };
        outln!("  {what} {}: {}", shown::shown(&ancestor.key), shown::line(&ancestor.prompt, 50));
    }

    heading("Reviews", !found.reviews.is_empty());
    for review in &found.reviews {
        let score = review.score.map_or_else(|| "no score".to_owned(), |score| format!("{score:.2}"));
        let reason = review.reason.as_ref().map(|reason| format!(" ({})", shown::line(reason, 50)));
        outln!("  iteration {}: {score}{}", review.iteration, reason.unwrap_or_default());
        print_review(&review.detail);
    }
    if let Some(verdict) = &found.verdict {
        heading("Cleaning", true);
        match &verdict.rule {
            None => outln!("  kept"),
            Some(rule) => {
                let detail = verdict.detail.as_ref().map(|detail| format!(" ({})", shown::line(detail, 50)));
                outln!("  dropped: {}{}", rule.replace('_', " "), detail.unwrap_or_default());
            }
        }
        if let Some(other) = &found.resembles {
            outln!("  it resembles {}: {}", shown::shown(&other.key), shown::line(&other.prompt, 50));
        }
    }
    heading("People", !found.judgements.is_empty());
    for judgement in &found.judgements {
        let of = &judgement.judgement;
        let score = of.score.map(|score| format!(" {score}")).unwrap_or_default();
        outln!("  {} {}{score}, {}", judgement.at, of.action.as_str(), shown::line(&of.person, 30));
        if let Some(response) = &of.response {
            outln!("{}", shown::block(response, "    "));
        }
    }
    if let Some(pool) = found.pool {
        heading("Pool", true);
        outln!("  a seed from iteration {pool} on");
    }
    print_training(found);
    heading("Written from it", !found.descendants.is_empty());
    for link in &found.descendants {
        outln!("  {}: {}", shown::shown(&link.key), shown::line(&link.words, 50));
    }
    for sample in &found.unusable {
        let why = sample.unusable.as_deref().unwrap_or_default();
        outln!("  {}: unusable, {}", shown::shown(&sample.key), shown::line(why, 40));
    }
}

fn print_training(found: &Lineage) {
    heading("Training", !(found.sft.is_empty() && found.chosen.is_empty() && found.rejected.is_empty()));
    let by = |judgement: Option<u64>| if judgement.is_some() { ", as a person decided" } else { "" };
    for example in &found.sft {
        let kind = example.row.kind.as_str();
        outln!("  iteration {}: fine-tuned on ({kind}){}", example.iteration, by(example.row.judgement));
    }
    for (side, pairs) in [("chosen", &found.chosen), ("rejected", &found.rejected)] {
        for pair in pairs {
            let row = &pair.row;
            outln!(
                "  iteration {}: {side} in {} ({}){}",
                pair.iteration,
                shown::shown(&row.key),
                row.rejected_kind.replace('_', " "),
                by(row.judgement)
            );
            let other = if side == "chosen" { &row.rejected } else { &row.chosen };
            outln!("    against: {}", shown::line(other, 60));
        }
    }
    for step in &found.steps {
        let margin = step.margin.map(|margin| format!(", reward margin {margin:.3}")).unwrap_or_default();
        outln!(
            "  iteration {} {} step {}: loss {:.3}{margin}",
            step.iteration,
            step.phase,
            step.step,
            step.loss
        );
    }
}

/// The texts and numbers of which a review's score was made.
fn print_review(detail: &str) {
    let Ok(detail) = serde_json::from_str::<Value>(detail) else { return };
    for left_out in detail["left_out"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        outln!("    not shown to the reviewer: {}", shown::line(left_out, 50));
    }
    for sample in detail["samples"].as_array().into_iter().flatten() {
        if let Some(text) = sample["text"].as_str() {
            outln!("{}", shown::block(text, "    "));
        }
    }
    if let Some(likelihoods) = detail["likelihoods"].as_object() {
        let parts: Vec<String> = likelihoods
            .iter()
            .filter_map(|(name, value)| Some(format!("{} {:.3}", name.replace('_', " "), value.as_f64()?)))
            .collect();
        outln!("{}", shown::block(&parts.join(", "), "    "));
    }
    if let Some(probabilities) = detail["probabilities"].as_array() {
        let parts: Vec<String> = (0..)
            .zip(probabilities)
            .filter_map(|(score, value): (u32, _)| Some(format!("{score}: {:.3}", value.as_f64()?)))
            .collect();
        outln!("{}", shown::block(&parts.join(", "), "    "));
    }
}

fn heading(title: &str, is_wanted: bool) {
    if is_wanted {
        outln!("\n{title}");
    }
}

fn quote(title: &str, text: &str) {
    outln!("\n{title}\n{}", shown::block(text, "  "));
}
