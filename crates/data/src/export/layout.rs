//! The rows as trainers read them.

use serde::Serialize;
use serde_json::json;

use crate::{
    export::{Export, PreferenceRow, SftRow},
    record::Role,
};

/// A [`Message`](crate::Message) whose text stands in a row.
#[derive(Serialize)]
pub(super) struct Turn<'a> {
    role: Role,
    content: &'a str,
}

fn user(content: &str) -> Turn<'_> {
    Turn { role: Role::User, content }
}

fn assistant(content: &str) -> Turn<'_> {
    Turn { role: Role::Assistant, content }
}

/// TRL's "conversational language modeling".
#[derive(Serialize)]
pub(super) struct SftMessages<'a> {
    messages: [Turn<'a>; 2],
    key: &'a str,
    seed: &'a str,
    iteration: u32,
    score: Option<f64>,
}

pub(super) fn sft_messages(rows: &[SftRow]) -> Vec<SftMessages<'_>> {
    rows.iter()
        .map(|row| SftMessages {
            messages: [user(&row.prompt), assistant(&row.response)],
            key: &row.key,
            seed: &row.seed,
            iteration: row.iteration,
            score: row.score,
        })
        .collect()
}

/// TRL's "prompt-completion".
#[derive(Serialize)]
pub(super) struct SftPlain<'a> {
    prompt: &'a str,
    completion: &'a str,
    key: &'a str,
    seed: &'a str,
    iteration: u32,
    score: Option<f64>,
}

pub(super) fn sft_plain(rows: &[SftRow]) -> Vec<SftPlain<'_>> {
    rows.iter()
        .map(|row| SftPlain {
            prompt: &row.prompt,
            completion: &row.response,
            key: &row.key,
            seed: &row.seed,
            iteration: row.iteration,
            score: row.score,
        })
        .collect()
}

/// TRL's "preference" with an explicit prompt: of messages, or of text.
#[derive(Serialize)]
pub(super) struct Preference<'a, T> {
    prompt: T,
    chosen: T,
    rejected: T,
    key: &'a str,
    seed: &'a str,
    iteration: u32,
    score_chosen: Option<f64>,
    score_rejected: Option<f64>,
}

pub(super) fn preference_messages(rows: &[PreferenceRow]) -> Vec<Preference<'_, [Turn<'_>; 1]>> {
    preference(rows, |text| [user(text)], |text| [assistant(text)])
}

pub(super) fn preference_plain(rows: &[PreferenceRow]) -> Vec<Preference<'_, &str>> {
    preference(rows, |text| text, |text| text)
}

fn preference<'a, T>(
    rows: &'a [PreferenceRow],
    prompt: impl Fn(&'a str) -> T,
    response: impl Fn(&'a str) -> T,
) -> Vec<Preference<'a, T>> {
    rows.iter()
        .map(|row| Preference {
            prompt: prompt(&row.prompt),
            chosen: response(&row.chosen),
            rejected: response(&row.rejected),
            key: &row.key,
            seed: &row.seed,
            iteration: row.iteration,
            score_chosen: row.chosen_score,
            score_rejected: row.rejected_score,
        })
        .collect()
}

/// LLaMA-Factory's `dataset_info.json`: `lancer_sft` and `lancer_preference`.
pub(super) fn llama_factory_info(export: &Export<'_>) -> String {
    let mut info = serde_json::Map::new();
    if !export.sft.is_empty() {
        let tags = json!({
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        });
        let columns = json!({ "messages": "messages" });
        info.insert(
            "lancer_sft".into(),
            json!({ "file_name": "sft.jsonl", "formatting": "sharegpt", "columns": columns, "tags": tags }),
        );
    }
    if !export.preference.is_empty() {
        let columns = json!({ "prompt": "prompt", "chosen": "chosen", "rejected": "rejected" });
        info.insert(
            "lancer_preference".into(),
            json!({ "file_name": "plain/preference.jsonl", "ranking": true, "columns": columns }),
        );
    }
    format!("{:#}\n", serde_json::Value::Object(info))
}
