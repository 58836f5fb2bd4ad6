//! Training data as a folder that TRL, LLaMA-Factory, Axolotl and Hugging Face's `datasets` read.

mod card;
mod layout;

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use lancer_core::{Conversation, Message};
use lancer_output::{Existing, Place};
use serde::Serialize;

use crate::{
    DataError,
    write::{write_rows, write_to},
};

pub use card::{Card, Count};
use layout::Form;

/// An example for supervised fine-tuning.
#[derive(Debug, Clone, PartialEq)]
pub struct SftRow {
    /// Its name.
    pub key: String,
    /// The key of the seed that it goes back to.
    pub seed: String,
    /// The iteration in which it was made.
    pub iteration: u32,
    /// Its review, 0 to 10, where it has one.
    pub score: Option<f64>,
    /// The conversation, which ends with the response.
    pub conversation: Conversation,
}

/// A pair for preference optimisation.
#[derive(Debug, Clone, PartialEq)]
pub struct PreferenceRow {
    /// Its name.
    pub key: String,
    /// The key of the seed that it goes back to.
    pub seed: String,
    /// The iteration in which it was made.
    pub iteration: u32,
    /// The review of the chosen response, 0 to 10, where it has one.
    pub chosen_score: Option<f64>,
    /// The review of the rejected response, 0 to 10, where it has one.
    pub rejected_score: Option<f64>,
    /// The turns before the response.
    pub prompt: Conversation,
    /// The better response.
    pub chosen: Message,
    /// The worse response.
    pub rejected: Message,
}

/// What is written into a folder.
#[derive(Debug, Clone)]
pub struct Export<'a> {
    /// Examples for supervised fine-tuning.
    pub sft: &'a [SftRow],
    /// Pairs for preference optimisation.
    pub preference: &'a [PreferenceRow],
    /// What the folder says of itself.
    pub card: Card,
}

/// Writes an export into `folder`, which is made where it is missing; the files that were written.
///
/// | file | columns | read by |
/// |---|---|---|
/// | `sft.jsonl`, `sft.parquet` | `messages`, `tools` where there are some | TRL, Axolotl, LLaMA-Factory |
/// | `preference.jsonl`, `preference.parquet` | `prompt`, `chosen`, `rejected`, each a list of messages, `tools` where there are some | TRL, Axolotl |
/// | `plain/sft.jsonl`, `plain/sft.parquet` | `prompt`, `completion` | TRL |
/// | `plain/preference.jsonl`, `plain/preference.parquet` | `prompt`, `chosen`, `rejected` as text | TRL, LLaMA-Factory |
/// | `dataset_info.json` | | LLaMA-Factory: what is where |
/// | `README.md` | | Hugging Face's `datasets`, people |
///
/// `tools` is JSON as text, and in Parquet so are the arguments of calls, since a column has one type. In `plain` are the rows of
/// one user turn and one answer without tools, with `system` where there is a system prompt; the others do not fit there.
///
/// Every row has `key`, `seed` and `iteration` too, and `score`, or `score_chosen` and `score_rejected`, null where there
/// is none. Of an empty kind no file is written, and those of an earlier export are removed. Each file is complete or
/// not there; the README comes last.
pub fn write_export(folder: &Path, export: &Export<'_>) -> Result<Vec<PathBuf>, DataError> {
    let plain = folder.join("plain");
    fs::create_dir_all(&plain).map_err(|source| DataError::Write { path: plain, source })?;
    let mut written = Vec::new();
    let mut both = Files { folder, written: &mut written };
    both.rows("sft", |form| layout::sft_messages(export.sft, form))?;
    both.rows("plain/sft", |_| layout::sft_plain(export.sft))?;
    both.rows("preference", |form| layout::preference_messages(export.preference, form))?;
    both.rows("plain/preference", |_| layout::preference_plain(export.preference))?;
    both.text("dataset_info.json", &layout::llama_factory_info(export))?;
    both.text("README.md", &card::render(export))?;
    Ok(written)
}

/// The files of one folder.
struct Files<'a> {
    folder: &'a Path,
    written: &'a mut Vec<PathBuf>,
}

impl Files<'_> {
    fn rows<T: Serialize>(&mut self, name: &str, rows: impl Fn(Form) -> Vec<T>) -> Result<(), DataError> {
        for (ending, form) in [("jsonl", Form::Lines), ("parquet", Form::Columns)] {
            let rows = rows(form);
            let path = self.folder.join(format!("{name}.{ending}"));
            if rows.is_empty() {
                match fs::remove_file(&path) {
                    Err(source) if source.kind() != io::ErrorKind::NotFound => {
                        return Err(DataError::Write { path, source });
                    }
                    _ => continue,
                }
            }
            write_rows(&path, &rows)?;
            self.written.push(path);
        }
        Ok(())
    }

    fn text(&mut self, name: &str, text: &str) -> Result<(), DataError> {
        let path = self.folder.join(name);
        let place = Place::file(&path, Existing::Own)?;
        write_to(&place, |file| file.write_all(text.as_bytes()))?;
        self.written.push(path);
        Ok(())
    }
}
