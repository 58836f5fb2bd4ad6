//! Files of records.

use std::{
    env,
    fs::File,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use lancer_data::{read_preferences, read_records, read_rows, write_rows};
use serde_json::json;

use super::{file, fixture};
use crate::outcome::Outcome;

/// The first argument of the process that decodes a Parquet file.
pub(crate) const PARQUET_TRIAL: &str = "--decode-parquet";
/// What that process may have of memory and of the processor's time.
const TRIAL_BYTES: u64 = 4 << 30;
const TRIAL_SECONDS: u64 = 10;

/// Reads the input as a file of this name, in each of the ways in which records are read.
fn read(input: &[u8], folder: &Path, name: &str) -> Outcome {
    let path = match file(folder, name, input) {
        Ok(path) => path,
        Err(outcome) => return outcome,
    };
    let rows = match read_rows(&path) {
        Ok(rows) => rows,
        Err(error) => return Outcome::refused(&error),
    };
    let reasons = |rejects: &[lancer_data::Reject]| -> String {
        rejects.iter().take(3).map(|reject| reject.reason.as_str()).collect::<Vec<_>>().join("; ")
    };
    let mut said = reasons(&rows.rejects);
    if let Ok(read) = read_records(&path) {
        said += &reasons(&read.rejects);
    }
    if let Ok(read) = read_preferences(&path) {
        said += &reasons(&read.rejects);
    }
    Outcome::Read(format!("{} rows, {} rejects: {said}", rows.rows.len(), rows.rejects.len()))
}

pub(super) fn json_lines(input: &[u8], folder: &Path) -> Outcome {
    read(input, folder, "data.jsonl")
}

pub(super) fn json(input: &[u8], folder: &Path) -> Outcome {
    read(input, folder, "data.json")
}

pub(super) fn csv(input: &[u8], folder: &Path) -> Outcome {
    read(input, folder, "data.csv")
}

pub(super) fn gzip(input: &[u8], folder: &Path) -> Outcome {
    read(input, folder, "data.jsonl.gz")
}

pub(super) fn zstd(input: &[u8], folder: &Path) -> Outcome {
    read(input, folder, "data.jsonl.zst")
}

pub(super) fn parquet(input: &[u8], folder: &Path) -> Outcome {
    read(input, folder, "data.parquet")
}

/// Has Parquet files decoded in another process first, as `lancer` does.
pub(super) fn prepare() {
    lancer_data::try_parquet_with(|path, columns| {
        let program = env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.arg(PARQUET_TRIAL).arg(path).args(columns);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().map_err(|error| error.to_string())?;
        if matches!(status.code(), Some(0 | 1)) { Ok(()) } else { Err(status.to_string()) }
    });
}

/// What that process does: `PATH COLUMN...`.
pub(crate) fn decode_parquet(arguments: &[String]) -> ExitCode {
    lancer_memory::limit_process(TRIAL_BYTES, TRIAL_SECONDS);
    let [path, columns @ ..] = arguments else { return ExitCode::from(2) };
    match lancer_data::decode_parquet(&PathBuf::from(path), columns) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(1),
    }
}

pub(super) fn lines() -> Vec<Vec<u8>> {
    [
        r#"{"id": 1, "prompt": "a", "response": "b"}"#,
        r#"{"instruction": "a", "input": "b", "output": "c"}"#,
        r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#,
        r#"{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "system": "s"}"#,
        r#"{"data": ["a", "b"]}"#,
        r#"{"prompt": "a", "chosen": [{"role": "assistant", "content": "b"}], "rejected": "c"}"#,
        r#"{"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"}"#,
    ]
    .map(|line| format!("{line}\n").into_bytes())
    .into()
}

pub(super) fn arrays() -> Vec<Vec<u8>> {
    let text = |line: &[u8]| String::from_utf8_lossy(line).trim().to_owned();
    let mut arrays: Vec<Vec<u8>> =
        lines().iter().map(|line| format!("[{}]", text(line)).into_bytes()).collect();
    arrays.push(b" [1, null, \"a\", [[]], {\"a\": {\"b\": [1]}}]".to_vec());
    arrays
}

pub(super) fn tables() -> Vec<Vec<u8>> {
    vec![
        b"prompt,response\na,b\n\"a \"\"q\"\"\",\"b\nc\"\n".to_vec(),
        b"\xef\xbb\xbfprompt,chosen,rejected\r\na,b,c\r\n".to_vec(),
    ]
}

fn packed(ending: &str) -> Vec<Vec<u8>> {
    let rows: Vec<_> =
        (0..40).map(|n| json!({"id": n, "prompt": format!("p{n}"), "response": "r"})).collect();
    let written = tempfile::tempdir().ok().and_then(|folder| {
        let path = folder.path().join(format!("rows.jsonl.{ending}"));
        write_rows(&path, &rows).ok()?;
        std::fs::read(path).ok()
    });
    written.into_iter().collect()
}

pub(super) fn zipped() -> Vec<Vec<u8>> {
    packed("gz")
}

pub(super) fn zstd_packed() -> Vec<Vec<u8>> {
    packed("zst")
}

pub(super) fn parquets() -> Vec<Vec<u8>> {
    let mut files: Vec<Vec<u8>> = ["pairs", "types", "conversations", "damaged"]
        .map(|name| fixture(&format!("data/{name}.parquet")))
        .into();
    // Uncompressed pages, so that a change within one is met by its decoder.
    let rows: Vec<_> =
        (0..200).map(|n| json!({"id": n, "prompt": format!("p{}", n % 9), "ok": n % 2 == 0})).collect();
    let written = tempfile::tempdir().ok().and_then(|folder| {
        use lancer_data::polars::prelude::{ParquetCompression, ParquetWriter};

        let path = folder.path().join("rows.parquet");
        let mut frame = lancer_data::to_frame(&rows).ok()?;
        let writer = ParquetWriter::new(File::create(&path).ok()?);
        writer
            .with_compression(ParquetCompression::Uncompressed)
            .with_row_group_size(Some(70))
            .finish(&mut frame)
            .ok()?;
        std::fs::read(path).ok()
    });
    files.extend(written);
    files
}
