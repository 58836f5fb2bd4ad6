//! What is written is read back, or nothing is written at all.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{collections::BTreeMap, fs};

use lancer_data::{DataError, Pair, Record, read_records, read_rows, to_frame, write_rows};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Row {
    text: String,
    maybe: Option<String>,
    whole: i64,
    unsigned: u64,
    fraction: f64,
    truth: bool,
    list: Vec<String>,
    turns: Vec<Turn>,
    one: Turn,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Turn {
    role: String,
    weight: Option<f64>,
}

/// Fractions of few digits: from JSON, others may come back with another last digit.
fn fraction() -> impl Strategy<Value = f64> {
    any::<i16>().prop_map(|number| f64::from(number) / 8.0)
}

fn turn() -> impl Strategy<Value = Turn> {
    (any::<String>(), prop::option::of(fraction())).prop_map(|(role, weight)| Turn { role, weight })
}

fn row() -> impl Strategy<Value = Row> {
    (
        (any::<String>(), prop::option::of(any::<String>()), any::<i64>(), any::<u64>()),
        (fraction(), any::<bool>(), prop::collection::vec(any::<String>(), 0..3)),
        (prop::collection::vec(turn(), 0..3), turn()),
    )
        .prop_map(|((text, maybe, whole, unsigned), (fraction, truth, list), (turns, one))| Row {
            text,
            maybe,
            whole,
            unsigned,
            fraction,
            truth,
            list,
            turns,
            one,
        })
}

proptest! {
    #[test]
    fn rows_come_back_from_every_kind_of_file(rows in prop::collection::vec(row(), 1..8)) {
        let folder = tempfile::tempdir().unwrap();
        for ending in ["jsonl", "json", "parquet"] {
            let path = folder.path().join(format!("rows.{ending}"));
            write_rows(&path, &rows).unwrap();
            let read = read_rows(&path).unwrap();
            prop_assert_eq!(&read.rejects, &[]);
            let read: Vec<Row> =
                read.rows.into_iter().map(|row| serde_json::from_value(Value::Object(row)).unwrap()).collect();
            prop_assert_eq!(&read, &rows, "{}", ending);
        }
    }

    #[test]
    fn pairs_come_back_from_every_kind_of_file(
        pairs in prop::collection::btree_map("[^\0 ][^\0]{0,5}[^\0\\s]", ("[^\0]{0,30}[^\0\\s]", "[^\0]{0,30}[^\0\\s]"), 1..8),
    ) {
        let pairs: BTreeMap<String, (String, String)> = pairs;
        let pairs: Vec<Pair> =
            pairs.into_iter().map(|(key, (prompt, response))| Pair { key, prompt, response }).collect();
        let folder = tempfile::tempdir().unwrap();
        for ending in ["jsonl", "json", "parquet"] {
            let path = folder.path().join(format!("pairs.{ending}"));
            write_rows(&path, &pairs).unwrap();
            let read = read_records(&path).unwrap();
            prop_assert_eq!(&read.rejects, &[]);
            let read: Vec<Pair> = read.records.iter().map(Record::pair).collect();
            prop_assert_eq!(&read, &pairs, "{}", ending);
        }
    }
}

#[test]
fn fractions_come_back_from_parquet_to_the_last_digit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    let rows = [json!({"a": 1.244_935_878_071_670_9e299}), json!({"a": 0.1}), json!({"a": 3})];
    write_rows(&path, &rows).unwrap();
    let read: Vec<Value> = read_rows(&path).unwrap().rows.iter().map(|row| row["a"].clone()).collect();
    assert_eq!(read, [json!(1.244_935_878_071_670_9e299), json!(0.1), json!(3.0)]);
}

#[test]
fn columns_stand_in_the_order_of_their_fields() {
    let frame = to_frame(&[json!({"b": 1, "a": "x"}), json!({"a": "y", "c": [1.5]})]).unwrap();
    assert_eq!(frame.height(), 2);
    let rows = [Pair { key: "k".into(), prompt: "p".into(), response: "r".into() }];
    let frame = to_frame(&rows).unwrap();
    assert_eq!(
        frame.columns().iter().map(|column| column.name().as_str()).collect::<Vec<_>>(),
        ["key", "prompt", "response"]
    );
}

#[test]
fn no_rows_are_a_file_too() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ["jsonl", "json", "parquet"] {
        let path = folder.path().join(format!("rows.{ending}"));
        write_rows::<Pair>(&path, &[]).unwrap();
        assert!(matches!(read_records(&path), Err(DataError::Empty { .. })), "{ending}");
    }
}

#[test]
fn rows_that_fit_no_column_are_an_error_and_leave_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    write_rows(&path, &[json!({"a": 1})]).unwrap();
    let before = fs::read(&path).unwrap();
    for (rows, said) in [
        (vec![json!({"a": 1}), json!({"a": "x"})], "column `a`, row 2: text after a number"),
        (vec![json!({"a": [1, "x"]})], "column `a`, row 1: text after a number"),
        (vec![json!({"a": -1}), json!({"a": u64::MAX})], "column `a`, row 2: whole numbers below 0"),
        (vec![json!({"a": {}})], "column `a`, row 1: an object without fields"),
        (vec![json!(1)], "row 1 cannot be written as a JSON object"),
    ] {
        let error = write_rows(&path, &rows).unwrap_err().to_string();
        assert!(error.starts_with(said), "{error}");
    }
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_row_that_cannot_be_serialised_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ["jsonl", "json", "parquet"] {
        let path = folder.path().join(format!("rows.{ending}"));
        for rows in [vec![json!({"a": 1}), json!([1])], vec![json!({"a": 1}), json!("text")]] {
            let error = write_rows(&path, &rows).unwrap_err();
            assert!(matches!(error, DataError::Row { row: 2, .. }), "{ending}: {error}");
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_place_that_cannot_be_written_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [json!({"a": 1})];
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = write_rows(&file.join("rows.parquet"), &rows).unwrap_err();
    assert!(matches!(error, DataError::Output(_)), "{error}");
    assert!(error.to_string().contains("rows."));
    assert!(matches!(
        write_rows(&folder.path().join("rows.txt"), &rows),
        Err(DataError::UnknownEnding { .. })
    ));
    // A folder is in its place.
    let taken = folder.path().join("taken.jsonl");
    fs::create_dir_all(taken.join("inside")).unwrap();
    assert!(matches!(write_rows(&taken, &rows), Err(DataError::Output(_))));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}
