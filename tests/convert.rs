//! `lancer convert`, as a user runs it.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod program;

use std::path::Path;

use program::{TINY, lancer, text};

#[test]
fn a_model_is_written_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (gguf, back) = (path("tiny.gguf"), path("tiny"));
    let first = lancer(&["convert", TINY, &gguf, "--format", "q8_0"]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert_eq!(text(&first.stdout), format!("{gguf}: llama, 20 tensors\n"));
    let second = lancer(&["--json", "convert", &gguf, &back, "--format", "half"]);
    let json: serde_json::Value = serde_json::from_slice(&second.stdout).unwrap();
    assert_eq!(json["tensors"], 20);
    assert!(Path::new(&back).join("model.safetensors").exists());
}

#[cfg(feature = "onnx")]
#[test]
fn a_model_is_written_as_onnx() {
    let folder = tempfile::tempdir().unwrap();
    for (format, file) in [("f32", "model.onnx"), ("half", "model_fp16.onnx"), ("int8", "model_int8.onnx")] {
        let to = folder.path().join(format);
        let to = to.display().to_string();
        let written = lancer(&["convert", TINY, &to, "--to", "onnx", "--format", format]);
        assert!(written.status.success(), "{}", text(&written.stderr));
        assert_eq!(text(&written.stdout), format!("{to}: llama, 20 tensors\n"));
        assert!(Path::new(&to).join("onnx").join(file).exists());
        assert!(Path::new(&to).join("tokenizer.json").exists());
    }
    let wrong = lancer(&["convert", TINY, "out.gguf", "--to", "onnx"]);
    assert_eq!(wrong.status.code(), Some(2));
    let wrong = lancer(&["convert", TINY, "out", "--to", "onnx", "--format", "q8_0"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("int8"), "{}", text(&wrong.stderr));
}

#[test]
fn a_failure_names_the_file_and_its_cause() {
    let failed = lancer(&["convert", "nothing-here.gguf", "out.gguf"]);
    assert_eq!(failed.status.code(), Some(1));
    let said = text(&failed.stderr);
    assert!(said.contains("cannot open nothing-here.gguf") && said.contains("caused by"), "{said}");
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    let wrong = lancer(&["convert", TINY, "out.gguf", "--format", "q2"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("f32, half, q8_0"));
}
