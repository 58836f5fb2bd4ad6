//! A few inputs of each target, the same each time, and all files that once were findings.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{fs, path::Path, process::Command};

/// Runs the program, and gives what it printed where it succeeded.
fn fuzz(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_lancer-fuzz")).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

macro_rules! short {
    ($($test:ident: $target:literal, $runs:literal;)*) => {
        $(
            #[test]
            fn $test() {
                let said = fuzz(&[$target, "--runs", $runs, "--seed", "1"]);
                assert!(said.contains(concat!($target, ": ", $runs, " inputs")), "{said}");
            }
        )*
    };
}

short! {
    gguf: "gguf", "1500";
    templates: "template", "3000";
    tokenizers: "tokenizer", "500";
    parquet: "parquet", "60";
    llama_cpp: "llama-cpp", "100";
    configurations: "config", "5000";
    tokenizer_configurations: "tokenizer-config", "500";
    safetensors: "safetensors", "500";
    indices: "index", "500";
    generation_configurations: "generation-config", "1000";
    adapter_configurations: "adapter-config", "1000";
    adapters: "adapter", "500";
    gguf_adapters: "gguf-adapter", "500";
    json_lines: "jsonl", "3000";
    json: "json", "3000";
    csv: "csv", "3000";
    gzip: "gzip", "2000";
    zstd: "zstd", "2000";
    tasks: "task", "3000";
    recipes: "recipe", "2000";
    ledgers: "ledger", "1000";
    checkpoints: "checkpoint", "100";
}

#[test]
fn no_file_that_once_was_a_finding_is_one_again() {
    let hostile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/hostile");
    let mut tried = 0;
    for target in fs::read_dir(hostile).unwrap() {
        let target = target.unwrap();
        let name = target.file_name().into_string().unwrap();
        let files: Vec<String> = fs::read_dir(target.path())
            .unwrap()
            .map(|file| file.unwrap().path().to_str().unwrap().to_owned())
            .collect();
        let arguments: Vec<&str> =
            ["--files", &name].into_iter().chain(files.iter().map(String::as_str)).collect();
        let said = fuzz(&arguments);
        assert_eq!(said.lines().count(), files.len(), "{said}");
        tried += files.len();
    }
    assert!(tried > 0);
}
