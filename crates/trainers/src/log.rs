//! What a trainer tells about its steps: lines of its log, and the exact numbers of its checkpoints.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The numbers of a line or of an entry, by their names.
pub(crate) type Numbers = BTreeMap<String, f64>;

/// The numbers that a line of a log has, where it has any: a Python dictionary as transformers prints it, or a JSON object.
pub(crate) fn numbers(line: &str) -> Option<Numbers> {
    let start = line.find('{')?;
    let end = line.rfind('}')?;
    let inner = line.get(start..=end)?;
    if let Ok(Value::Object(fields)) = serde_json::from_str(inner) {
        let found: Numbers =
            fields.iter().filter_map(|(name, value)| Some((name.clone(), number(value)?))).collect();
        return (!found.is_empty()).then_some(found);
    }
    let mut found = Numbers::new();
    for field in inner.trim_start_matches('{').trim_end_matches('}').split(", ") {
        let (name, value) = field.split_once(": ")?;
        let value = value.trim().trim_matches(['\'', '"']);
        if let Ok(value) = value.parse() {
            found.insert(name.trim().trim_matches(['\'', '"']).to_owned(), value);
        }
    }
    (!found.is_empty()).then_some(found)
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// A checkpoint that a trainer has saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SavedStep {
    pub(crate) step: u64,
    pub(crate) folder: PathBuf,
}

/// The checkpoints in a trainer's folder that have their state, the last first.
pub(crate) fn checkpoints(output: &Path) -> Vec<SavedStep> {
    let mut found: Vec<SavedStep> = fs::read_dir(output)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let folder = entry.ok()?.path();
            let step = folder.file_name()?.to_str()?.strip_prefix("checkpoint-")?.parse().ok()?;
            state(&folder)?;
            Some(SavedStep { step, folder })
        })
        .collect();
    found.sort_by_key(|saved| std::cmp::Reverse(saved.step));
    found
}

/// The entries of `trainer_state.json` in a folder: each with its step and its numbers.
pub(crate) fn history(folder: &Path) -> Vec<(u64, Numbers)> {
    let Some(state) = state(folder) else { return Vec::new() };
    let entries = state["log_history"].as_array().cloned().unwrap_or_default();
    entries
        .iter()
        .filter_map(|entry| {
            let step = entry["step"].as_u64()?;
            let fields = entry.as_object()?;
            Some((
                step,
                fields.iter().filter_map(|(name, value)| Some((name.clone(), number(value)?))).collect(),
            ))
        })
        .collect()
}

fn state(folder: &Path) -> Option<Value> {
    serde_json::from_str(&fs::read_to_string(folder.join("trainer_state.json")).ok()?).ok()
}

/// Cuts what comes of a log into whole lines. A bar that is drawn over itself ends its lines with a carriage return.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// The lines that are whole with these bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|&byte| byte == b'\n') else { return Vec::new() };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        String::from_utf8_lossy(&whole)
            .split(['\n', '\r'])
            .filter(|line| !line.trim().is_empty())
            .map(str::to_owned)
            .collect()
    }
}

/// The last lines of a text that are no progress bars.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text
        .split(['\n', '\r'])
        .map(str::trim_end)
        .filter(|line| !line.trim().is_empty() && !line.contains("%|"))
        .collect();
    lines[lines.len().saturating_sub(count)..]
        .iter()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::{Lines, last_lines, numbers};

    #[test]
    fn a_line_of_transformers_is_read() {
        let line = " 33%|███▎      | 1/3 [00:00<00:00,  4.84it/s]    {'loss': '2.135', 'grad_norm': '10.88', 'learning_rate': '0', \
                    'rewards/chosen': '-1e-05', 'epoch': '0.3333'}";
        let found = numbers(line).unwrap();
        assert_eq!((found["loss"], found["learning_rate"], found["rewards/chosen"]), (2.135, 0.0, -1e-5));
        // Older ones print numbers without quotes.
        assert!((numbers("{'loss': 2.5, 'epoch': 1.0}").unwrap()["loss"] - 2.5).abs() < 1e-12);
        assert!(numbers("{'loss': 'nan'}").unwrap()["loss"].is_nan());
    }

    #[test]
    fn a_line_of_json_is_read_and_others_are_not() {
        assert_eq!(numbers(r#"{"loss": 0.5, "step": 3, "note": "x"}"#).unwrap().len(), 2);
        for line in ["", "Loading {model}", "{}: nothing", "warnings.warn("] {
            assert_eq!(numbers(line), None, "{line}");
        }
    }

    #[test]
    fn lines_are_cut_where_they_end() {
        let mut lines = Lines::default();
        assert!(lines.push(b"one\rtwo {'lo").is_empty());
        assert_eq!(lines.push(b"ss': '1'}\nthree"), ["one", "two {'loss': '1'}"]);
        assert_eq!(lines.push(b"\n"), ["three"]);
    }

    #[test]
    fn the_last_lines_leave_bars_out() {
        assert_eq!(last_lines("a\nb\r 10%|# | 1/9\nc\n\n", 2), "  b\n  c");
    }
}
