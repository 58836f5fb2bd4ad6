//! The data of a job: JSON lines in the order in which the trainer is to see them.

use std::{collections::HashMap, fmt::Write as _, path::Path};

use lancer_backend::{Message, TrainingSequence};
use lancer_output::{Existing, OutputError, Place};
use lancer_prefer::{Examples, PreparedExample};
use serde_json::{Value, json};

use crate::{error::TrainerError, settings::Trainer, token_text::text};

/// The file of what is trained on, within the folder of the data.
pub(crate) const TRAIN: &str = "train.jsonl";

/// The file of what is held out.
pub(crate) const HELD_OUT: &str = "test.jsonl";

/// Texts beside the tokens, for who looks into the data: no trainer reads them.
pub(crate) fn readable(examples: Examples<'_>) -> HashMap<&str, Value> {
    let chat = |messages: &[Message]| -> Value {
        messages.iter().map(|turn| json!({"role": turn.role.as_str(), "content": turn.said()})).collect()
    };
    match examples {
        Examples::Sft(split) => split
            .train
            .iter()
            .chain(split.held_out)
            .map(|one| {
                (one.key.as_str(), json!({"prompt": chat(one.chat.prompt()), "response": one.chat.answer()}))
            })
            .collect(),
        Examples::Preference(split, _) => split
            .train
            .iter()
            .chain(split.held_out)
            .map(|one| {
                let text = json!({
                    "prompt": chat(&one.prompt.messages),
                    "chosen": one.chosen.said(),
                    "rejected": one.rejected.said(),
                });
                (one.key.as_str(), text)
            })
            .collect(),
    }
}

/// The row of an example in the form that a trainer reads.
pub(crate) fn row(trainer: Trainer, example: &PreparedExample, readable: &HashMap<&str, Value>) -> Value {
    let first = &example.sequences[0];
    let prompt = &first.tokens[..first.prompt_length()];
    // What comes after the prompt, with turns of others where several of the model's are trained on.
    let after = |sequence: &TrainingSequence| text(&sequence.tokens[sequence.prompt_length()..]);
    let mut row = json!({"key": example.key});
    match (trainer, example.sequences.get(1)) {
        (Trainer::LlamaFactory, None) => {
            row["prompt"] = text(prompt).into();
            row["response"] = after(first).into();
        }
        (_, None) => {
            let ids: Vec<u32> = first.tokens.iter().map(|token| token.0).collect();
            // The number that PyTorch's cross-entropy passes over.
            let mut labels = vec![-100; ids.len()];
            for place in first.target_places() {
                labels[place] = i64::from(ids[place]);
            }
            row["labels"] = labels.into();
            row["attention_mask"] = vec![1; ids.len()].into();
            row["input_ids"] = ids.into();
        }
        (_, Some(second)) => {
            row["prompt"] = text(prompt).into();
            row["chosen"] = after(first).into();
            row["rejected"] = after(second).into();
        }
    }
    // As one text, so that no trainer takes it for a chat.
    row["text"] = readable.get(example.key.as_str()).map(Value::to_string).into();
    row
}

/// Writes rows, whole or not at all.
pub(crate) fn write(path: &Path, rows: impl Iterator<Item = Value>) -> Result<String, TrainerError> {
    let mut lines = String::new();
    for row in rows {
        let _ = writeln!(lines, "{row}");
    }
    write_text(path, &lines)?;
    Ok(lines)
}

/// Writes a file of the job, whole or not at all.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), TrainerError> {
    let place = Place::file(path, Existing::Own)?;
    place.write(|scratch| std::fs::write(scratch, text).map_err(OutputError::write(scratch)))?;
    Ok(())
}
