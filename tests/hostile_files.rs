//! The binary on files and options that are not what they should be: an error, and the process ends as it should.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod program;

use std::{fs, io::Write, path::Path};

use program::{TINY, lancer, text};

/// Runs a command that is to fail with this exit code, and gives what it says.
fn failed(arguments: &[&str], code: i32) -> String {
    let output = lancer(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

#[test]
fn more_threads_than_the_processor_has_are_refused() {
    for arguments in [
        ["eval", "task.toml", "--threads", "100000"],
        ["generate", "a.jsonl", "--threads", "4294967295"],
        ["review", "a.jsonl", "--threads", "100000"],
    ] {
        let said = failed(&arguments, 2);
        assert!(said.contains("--threads") && said.contains("give at most as many"), "{said}");
    }
}

/// A Parquet file in which the length of a run of levels is some 2^60: Polars asks for as much memory.
fn damaged_page() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/hostile/parquet/long_run");
    fs::read(path).unwrap()
}

#[test]
fn a_damaged_parquet_page_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("rows.parquet"), folder.path().join("out.jsonl"));
    fs::write(&from, damaged_page()).unwrap();
    let said = failed(&["clean", from.to_str().unwrap(), to.to_str().unwrap()], 1);
    assert!(said.contains("rows.parquet"), "{said}");
    assert!(!to.exists());
}

#[test]
fn a_decompression_bomb_is_an_error_that_can_be_overruled() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("bomb.jsonl.zst"), folder.path().join("out.jsonl"));
    let mut packed = zstd::Encoder::new(fs::File::create(&from).unwrap(), 1).unwrap();
    // A line of spaces that unpacks to more than a GiB.
    let spaces = vec![b' '; 1 << 20];
    for _ in 0..1100 {
        packed.write_all(&spaces).unwrap();
    }
    packed
        .write_all(b"\n{\"prompt\": \"Name a colour of the sky.\", \"response\": \"It is blue by day.\"}\n")
        .unwrap();
    packed.finish().unwrap();
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    let said = failed(&["clean", from, to], 1);
    assert!(said.contains("bomb.jsonl.zst") && said.contains("more than 200 times"), "{said}");
    let allowed = lancer(&["clean", from, to, "--unpack-ratio", "100000000"]);
    let said = text(&allowed.stderr);
    assert!(allowed.status.success(), "{said}");
    // It is read to its end, and what is in it is judged as anything is.
    assert!(said.contains("the line has 1153433601 bytes"), "{said}");
}

#[test]
fn a_hostile_chat_template_neither_hangs_nor_ends_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
        fs::copy(Path::new(TINY).join(file), model.join(file)).unwrap();
    }
    let hostile = "{% set n = namespace(s='ha') %}{% for i in range(99999) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}";
    fs::write(model.join("chat_template.jinja"), hostile).unwrap();
    let to = folder.path().join("model.gguf");
    // The template is data until a chat is rendered: it is converted as it is.
    let converted = lancer(&["convert", model.to_str().unwrap(), to.to_str().unwrap()]);
    assert!(converted.status.success(), "{}", text(&converted.stderr));
    for hostile in ["{{ 'a' * 1000000000000 }}", "{% include '/etc/passwd' %}", "{% for"] {
        fs::write(model.join("chat_template.jinja"), hostile).unwrap();
        let to = folder.path().join("another.gguf");
        let converted = lancer(&["convert", model.to_str().unwrap(), to.to_str().unwrap()]);
        assert!(converted.status.success(), "{}", text(&converted.stderr));
        fs::remove_file(to).unwrap();
    }
}
