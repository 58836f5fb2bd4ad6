//! The README of an export, a dataset card as the Hugging Face hub reads it
//! (<https://huggingface.co/docs/hub/datasets-cards>).

use std::fmt::Write;

use crate::export::{Export, layout};

/// What an export says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Card {
    /// Its name.
    pub title: String,
    /// What it is, in a sentence or a paragraph.
    pub summary: String,
    /// The licence as the hub writes it, such as `apache-2.0`.
    pub license: Option<String>,
    /// The languages as the hub writes them, such as `en`.
    pub languages: Vec<String>,
    /// What it goes back to, name and value: the model, the seeds, the run.
    pub lineage: Vec<(String, String)>,
    /// How many records there were at each stage, in order.
    pub counts: Vec<Count>,
    /// The settings of the run, as TOML.
    pub settings: String,
}

/// A number of records at a stage of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The stage.
    pub stage: String,
    /// The records.
    pub records: u64,
}

pub(super) fn render(export: &Export<'_>) -> String {
    let card = &export.card;
    let title = if card.title.trim().is_empty() { "Training data made by lancer" } else { &card.title };
    let mut text = front_matter(export, title);
    // Writing to a string cannot fail.
    let _ = write!(text, "\n# {}\n\n", one_line(title));
    if !card.summary.trim().is_empty() {
        let _ = write!(text, "{}\n\n", card.summary.trim());
    }
    let _ = write!(
        text,
        "{} examples for supervised fine-tuning and {} preference pairs, written and reviewed by a language model \
         with lancer after LANCE (arXiv 2412.15151). Each row names the seed that it goes back to.\n\n{}",
        export.sft.len(),
        export.preference.len(),
        use_with(export),
    );
    if !card.lineage.is_empty() {
        text.push_str("\n## Where it comes from\n\n| | |\n|---|---|\n");
        for (name, value) in &card.lineage {
            let _ = writeln!(text, "| {} | {} |", cell(name), cell(value));
        }
    }
    if !card.counts.is_empty() {
        text.push_str("\n## Records\n\n| stage | records |\n|---|---:|\n");
        for Count { stage, records } in &card.counts {
            let _ = writeln!(text, "| {} | {records} |", cell(stage));
        }
    }
    if !card.settings.trim().is_empty() {
        let fence = fence(&card.settings);
        let _ = write!(text, "\n## Settings\n\n{fence}toml\n{}\n{fence}\n", card.settings.trim_end());
    }
    text
}

fn front_matter(export: &Export<'_>, title: &str) -> String {
    let card = &export.card;
    let mut text = format!("---\npretty_name: {}\n", yaml(title));
    if let Some(license) = &card.license {
        let _ = writeln!(text, "license: {}", yaml(license));
    }
    if !card.languages.is_empty() {
        text.push_str("language:\n");
        for language in &card.languages {
            let _ = writeln!(text, "- {}", yaml(language));
        }
    }
    text.push_str("task_categories:\n- text-generation\ntags:\n- lancer\n- synthetic\n");
    if !export.preference.is_empty() {
        text.push_str("- dpo\n");
    }
    let kinds = [("sft", export.sft.len()), ("preference", export.preference.len())];
    if kinds.iter().any(|(_, rows)| *rows > 0) {
        text.push_str("configs:\n");
    }
    // Conversations of more turns are not in the plain files.
    let plain = [layout::sft_plain(export.sft).len(), layout::preference_plain(export.preference).len()];
    for ((kind, rows), plain) in kinds.into_iter().zip(plain) {
        if rows > 0 {
            let _ = write!(text, "- config_name: {kind}\n  data_files: {kind}.parquet\n");
        }
        if plain > 0 {
            let _ = write!(text, "- config_name: {kind}_plain\n  data_files: plain/{kind}.parquet\n");
        }
    }
    text + "---\n"
}

/// How trainers are told of the files.
fn use_with(export: &Export<'_>) -> String {
    let mut text = String::from("## Use\n");
    let mut axolotl = String::new();
    if !export.sft.is_empty() {
        text.push_str(
            "\n`load_dataset(\"path/to/this\", \"sft\")` gives `messages` for TRL's `SFTTrainer`, `\"sft_plain\"` gives \
             `prompt` and `completion`. In LLaMA-Factory: `dataset_dir` this folder, `dataset: lancer_sft`.\n",
        );
        axolotl += "# fine-tuning\ndatasets:\n- path: path/to/this/sft.jsonl\n  ds_type: json\n  type: chat_template\n  \
                    field_messages: messages\n";
    }
    if !export.preference.is_empty() {
        text.push_str(
            "\n`load_dataset(\"path/to/this\", \"preference\")` gives `prompt`, `chosen` and `rejected` as messages for \
             TRL's `DPOTrainer`, `\"preference_plain\"` the same as text. In LLaMA-Factory: `dataset: \
             lancer_preference`.\n",
        );
        axolotl += "# preference optimisation\nrl: dpo\ndatasets:\n- path: path/to/this/preference.jsonl\n  ds_type: json\n  \
                    split: train\n  type: chat_template.default\n  field_messages: prompt\n";
    }
    if !axolotl.is_empty() {
        let _ = write!(text, "\nIn Axolotl:\n\n```yaml\n{axolotl}```\n");
    }
    text
}

/// A JSON string is a YAML string too.
fn yaml(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cell(text: &str) -> String {
    one_line(text).replace('|', "\\|")
}

/// A fence longer than any run of backticks in the text.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}
