//! The commands that need no model: cleaning and deduplicating files.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod program;

use std::{fs, path::Path};

use program::{lancer, text};
use serde_json::{Value, json};

/// Rows in a file `NAME` of a folder, as lines of JSON.
fn write(folder: &Path, name: &str, rows: &[Value]) -> String {
    let path = folder.join(name);
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    path.display().to_string()
}

fn read(path: &str) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Runs a command that is to succeed and print JSON.
fn json_of(arguments: &[&str]) -> Value {
    let output = lancer(&[&["--json"], arguments].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn pair(id: &str, prompt: &str, response: &str) -> Value {
    json!({ "id": id, "prompt": prompt, "response": response })
}

const BREAD: &str = "Rye, pita and naan are three kinds of bread that people bake all over the world.";

#[test]
fn near_copies_are_found_by_either_method() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let long =
        "the old baker told every child in the village how the rye was sown and cut and ground and baked";
    let from = write(
        folder.path(),
        "from.jsonl",
        &[
            json!({ "id": "a", "prompt": "Name three kinds of bread that I could bake today.", "response": long, "score": 3 }),
            json!({ "id": "b", "prompt": "Name three kinds of bread that I could bake tomorrow.", "response": format!("{long} slowly"), "score": 9 }),
            json!({ "id": "c", "prompt": "Why does dough rise faster in summer than in winter?", "response": "Yeast likes it warm.", "score": 5 }),
        ],
    );
    for (method, by) in [("rouge-l", "prompt"), ("minhash", "response")] {
        let (to, dropped) = (path(&format!("{method}.jsonl")), path(&format!("{method}-dropped.jsonl")));
        let report = json_of(&[
            "dedup",
            &from,
            &to,
            "--method",
            method,
            "--by",
            by,
            "--best",
            "score",
            "--dropped",
            &dropped,
        ]);
        assert_eq!((report["records"].as_u64(), report["kept"].as_u64()), (Some(3), Some(2)), "{method}");
        let kept: Vec<String> = read(&to).iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(kept, ["b", "c"], "{method}");
        assert_eq!(read(&to)[0]["score"], 9);
        let dropped = read(&dropped);
        assert_eq!((&dropped[0]["key"], &dropped[0]["resembles"]), (&json!("a"), &json!("b")));
    }
}

#[test]
fn pairs_with_evaluation_data_in_them_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let question = "A baker sells twelve loaves in the morning and nine more after noon, so how many loaves are left of thirty?";
    let from = write(
        folder.path(),
        "from.jsonl",
        &[
            pair("leaked", &format!("Please solve this. {question}"), BREAD),
            pair("clean", "Name three kinds of bread, please.", BREAD),
        ],
    );
    let evaluation = write(folder.path(), "test.jsonl", &[json!({ "question": question, "answer": "9" })]);
    let (to, dropped) = (path("to.jsonl"), path("dropped.jsonl"));
    let report = json_of(&["clean", &from, &to, "--evaluation", &evaluation, "--dropped", &dropped]);
    assert_eq!(report["dropped"], json!({ "contaminated": 1 }));
    assert_eq!(read(&to)[0]["id"], "clean");
    assert!(read(&dropped)[0]["detail"].as_str().unwrap().contains("test.jsonl"), "{}", read(&dropped)[0]);
}

#[test]
fn personal_data_is_masked_or_dropped_and_quality_is_ruled() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let from = write(
        folder.path(),
        "from.jsonl",
        &[
            pair(
                "mail",
                "To whom do I write about the bakery's rye bread?",
                &format!("Write to anna@bakery.example about it. {BREAD}"),
            ),
            pair(
                "refusal",
                "Which bread is best for a long journey?",
                "I'm sorry, but as an AI language model I cannot answer that question for you.",
            ),
            pair(
                "good",
                "Name three kinds of bread, please.",
                "There are rye bread, white bread and a flat bread that is called pita.",
            ),
        ],
    );
    let rules = path("quality.toml");
    fs::write(&rules, "[response]\nrefusals = 0\n").unwrap();
    let to = path("to.jsonl");
    let report = json_of(&["clean", &from, &to, "--quality", &rules, "--personal-data", "mask"]);
    assert_eq!(report["dropped"], json!({ "quality": 1 }));
    let example = report["examples"]["quality"][0].as_str().unwrap();
    assert!(example.starts_with("refusal: response: refusals"), "{report}");
    let by_rule = &report["quality"][0];
    assert_eq!((&by_rule["rule"], &by_rule["pairs"]), (&json!("refusals"), &json!(1)));
    assert_eq!(by_rule["examples"][0][0], "refusal");
    assert!(read(&to)[0]["response"].as_str().unwrap().starts_with("Write to <email> about it."));
    let report = json_of(&["clean", &from, &to, "--personal-data", "drop", "--overwrite"]);
    assert_eq!(report["dropped"], json!({ "personal_data": 1 }));

    fs::write(&rules, "[response]\nrefusal = 0\n").unwrap();
    let wrong = lancer(&["clean", &from, &to, "--quality", &rules, "--overwrite"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        text(&wrong.stderr).contains("quality.toml") && text(&wrong.stderr).contains("refusals"),
        "{}",
        text(&wrong.stderr)
    );
}

#[test]
fn packed_files_and_folders_are_read_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let from = write(folder.path(), "a.jsonl", &[pair("a", "Name three kinds of bread, please.", BREAD)]);
    fs::create_dir(path("all")).unwrap();
    for ending in ["jsonl.gz", "jsonl.zst", "csv", "parquet"] {
        let to = path(&format!("all/rows.{ending}"));
        json_of(&["clean", &from, &to]);
        let back = path(&format!("back-{ending}.jsonl"));
        json_of(&["clean", &to, &back]);
        assert_eq!(read(&back)[0]["response"], BREAD, "{ending}");
    }
    // One pair four times.
    let report = json_of(&["dedup", &path("all"), &path("one.jsonl")]);
    assert_eq!((report["records"].as_u64(), report["kept"].as_u64()), (Some(4), Some(1)));
}

/// A file system that takes no more than so much of a file stands for a full one: both end a write with an error.
#[test]
fn where_nothing_more_can_be_written_nothing_is_lost_and_nothing_half_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let words = |from: usize, count: usize| {
        (from..from + count).map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ")
    };
    let rows: Vec<Value> =
        (0..300).map(|row| pair(&format!("k{row}"), &words(row * 10, 10), &words(row * 400, 400))).collect();
    let from = write(folder.path(), "from.jsonl", &rows);
    for ending in ["jsonl", "json", "csv", "parquet"] {
        let to = folder.path().join(format!("to.{ending}"));
        fs::write(&to, "what was there before").unwrap();
        let output = std::process::Command::new("bash")
            .args([
                "-c",
                r#"trap "" XFSZ; ulimit -f 16; exec "$0" clean "$1" "$2" --overwrite --set max_response_words=1000"#,
            ])
            .arg(program::command(&[]).get_program())
            .args([Path::new(&from), &to])
            .output()
            .unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{ending}: {said}");
        assert!(said.contains(&format!("cannot write {}", to.display())), "{ending}: {said}");
        assert_eq!(fs::read_to_string(&to).unwrap(), "what was there before", "{ending}");
        fs::remove_file(&to).unwrap();
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["from.jsonl"]);
}
