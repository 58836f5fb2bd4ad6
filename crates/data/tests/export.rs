//! The folder that trainers read.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{fs, path::Path};

use lancer_core::{Conversation, Message, ToolCall};
use lancer_data::{
    Card, Count, DataError, Export, PreferenceRow, SftRow, read_records, read_rows, write_export,
};
use serde_json::{Value, json};

fn sft() -> Vec<SftRow> {
    let row = |key: &str, score| SftRow {
        key: key.into(),
        seed: "bread".into(),
        iteration: 1,
        score,
        conversation: Conversation::of_pair(
            format!("The prompt of {key}, \"quoted\"\nand broken."),
            "A response.",
        ),
    };
    vec![row("a", Some(8.5)), row("b", None)]
}

fn preference() -> Vec<PreferenceRow> {
    vec![PreferenceRow {
        key: "c".into(),
        seed: "bread".into(),
        iteration: 2,
        chosen_score: Some(9.0),
        rejected_score: Some(4.25),
        prompt: vec![Message::user("p")].into(),
        chosen: Message::assistant("good"),
        rejected: Message::assistant("bad"),
    }]
}

fn card() -> Card {
    Card {
        title: "Bread: \"a\" test".into(),
        summary: "What a test writes.".into(),
        license: Some("apache-2.0".into()),
        languages: vec!["en".into()],
        lineage: vec![("model".into(), "SmolLM2 | 135M".into())],
        counts: vec![Count { stage: "generated".into(), records: 12 }],
        settings: "beta = 0.1 # ```\n".into(),
    }
}

fn rows(path: &Path) -> Vec<Value> {
    read_rows(path).unwrap().rows.into_iter().map(Value::Object).collect()
}

#[test]
fn an_export_has_the_layouts_of_the_trainers() {
    let scratch = tempfile::tempdir().unwrap();
    // LANCER_EXPORT keeps the folder, for fixtures/data/check_export.py.
    let folder = std::env::var_os("LANCER_EXPORT")
        .map_or_else(|| scratch.path().join("made/on the way"), std::path::PathBuf::from);
    let written =
        write_export(&folder, &Export { sft: &sft(), preference: &preference(), card: card() }).unwrap();
    assert_eq!(written.len(), 10);
    assert!(written.iter().all(|path| path.is_file()));

    let prompt = "The prompt of a, \"quoted\"\nand broken.";
    let (user, assistant) = (
        |text: &str| json!({"role": "user", "content": text}),
        |text: &str| json!({"role": "assistant", "content": text}),
    );
    let of = json!({"key": "a", "seed": "bread", "iteration": 1, "score": 8.5});
    let with = |mut row: Value, more: &Value| {
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    let of_pair =
        json!({"key": "c", "seed": "bread", "iteration": 2, "score_chosen": 9.0, "score_rejected": 4.25});
    for ending in ["jsonl", "parquet"] {
        let read = |name: &str| rows(&folder.join(format!("{name}.{ending}")))[0].clone();
        assert_eq!(read("sft"), with(json!({"messages": [user(prompt), assistant("A response.")]}), &of));
        assert_eq!(read("plain/sft"), with(json!({"prompt": prompt, "completion": "A response."}), &of));
        assert_eq!(
            read("preference"),
            with(
                json!({"prompt": [user("p")], "chosen": [assistant("good")], "rejected": [assistant("bad")]}),
                &of_pair
            )
        );
        assert_eq!(
            read("plain/preference"),
            with(json!({"prompt": "p", "chosen": "good", "rejected": "bad"}), &of_pair)
        );
        // What is exported can be the seeds of another run.
        for name in ["sft", "plain/sft"] {
            let read = read_records(&folder.join(format!("{name}.{ending}"))).unwrap();
            assert_eq!((read.records.len(), read.records[1].key.as_str()), (2, "b"));
        }
    }

    let info: Value = serde_json::from_slice(&fs::read(folder.join("dataset_info.json")).unwrap()).unwrap();
    for dataset in info.as_object().unwrap().values() {
        assert!(folder.join(dataset["file_name"].as_str().unwrap()).is_file());
    }
    assert_eq!(info["lancer_preference"]["ranking"], true);

    let card = fs::read_to_string(folder.join("README.md")).unwrap();
    assert!(card.starts_with(
        "---\npretty_name: \"Bread: \\\"a\\\" test\"\nlicense: \"apache-2.0\"\nlanguage:\n- \"en\"\n"
    ));
    for part in [
        "- config_name: preference\n  data_files: preference.parquet\n",
        "\n# Bread: \"a\" test\n",
        "| model | SmolLM2 \\| 135M |\n",
        "| generated | 12 |\n",
        "\n````toml\nbeta = 0.1 # ```\n````\n",
        "2 examples for supervised fine-tuning and 1 preference pairs",
    ] {
        assert!(card.contains(part), "{part} is not in\n{card}");
    }
}

#[test]
fn conversations_with_tools_are_exported_whole() {
    let scratch = tempfile::tempdir().unwrap();
    // LANCER_EXPORT_TOOLS keeps the folder, for fixtures/data/check_export.py.
    let folder = std::env::var_os("LANCER_EXPORT_TOOLS")
        .map_or_else(|| scratch.path().to_path_buf(), std::path::PathBuf::from);
    let call = |city: &str| ToolCall {
        id: Some("c1".into()),
        name: "weather".into(),
        arguments: json!({"city": city}),
    };
    let tools = vec![json!({"type": "function", "function": {"name": "weather"}})];
    let prompt = vec![
        Message::system("Be brief."),
        Message::user("Rain?"),
        Message::assistant("").with_call(call("Ulm")),
        Message::tool("c1", "rain"),
    ];
    let prompt = Conversation { messages: prompt, tools };
    let response = Message::assistant("Yes.").with_reasoning("It rains.");
    let mut rows = sft();
    rows[0].conversation = prompt.clone().with(response.clone());
    let mut pairs = preference();
    (pairs[0].prompt, pairs[0].chosen) = (prompt, response);
    write_export(&folder, &Export { sft: &rows, preference: &pairs, card: card() }).unwrap();
    let read = read_records(&folder.join("sft.jsonl")).unwrap();
    assert_eq!(read.records[0].conversation(), &rows[0].conversation);
    let read = read_records(&folder.join("sft.parquet")).unwrap();
    assert_eq!(read.records[0].conversation(), &rows[0].conversation);
    let read = lancer_data::read_preferences(&folder.join("preference.parquet")).unwrap();
    assert_eq!((&read.records[0].prompt, &read.records[0].chosen), (&pairs[0].prompt, &pairs[0].chosen));
    // What does not fit there is not in the plain files.
    assert_eq!(rows_of(&folder, "plain/sft.jsonl"), 1);
    assert!(!folder.join("plain/preference.jsonl").exists());
    let card = fs::read_to_string(folder.join("README.md")).unwrap();
    assert!(card.contains("config_name: preference\n") && !card.contains("config_name: preference_plain"));
    // No text is a view, which `datasets` cannot sort.
    let bytes = fs::read(folder.join("sft.parquet")).unwrap();
    assert!(!bytes.windows(12).any(|bytes| bytes == b"ARROW:schema"));
}

fn rows_of(folder: &Path, name: &str) -> usize {
    rows(&folder.join(name)).len()
}

#[test]
fn of_an_empty_kind_no_file_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (sft, preference) = (sft(), preference());
    write_export(folder, &Export { sft: &sft, preference: &preference, card: card() }).unwrap();
    let written =
        write_export(folder, &Export { sft: &sft, preference: &[], card: Card::default() }).unwrap();
    assert_eq!(written.len(), 6);
    assert!(!folder.join("preference.jsonl").exists() && !folder.join("plain/preference.parquet").exists());
    let card = fs::read_to_string(folder.join("README.md")).unwrap();
    assert!(card.contains("config_name: sft\n") && !card.contains("config_name: preference"));
    let info: Value = serde_json::from_slice(&fs::read(folder.join("dataset_info.json")).unwrap()).unwrap();
    assert_eq!(info.as_object().unwrap().keys().collect::<Vec<_>>(), ["lancer_sft"]);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = write_export(&file, &Export { sft: &sft(), preference: &[], card: card() }).unwrap_err();
    assert!(matches!(error, DataError::Write { .. }), "{error}");
    assert!(error.to_string().contains("file"));
}
