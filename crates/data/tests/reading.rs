//! Files that are read: every layout, damaged and hostile ones.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use lancer_data::{
    DataError, MAX_LINE_BYTES, Pair, Record, Reject, each_row, files_of, polars::prelude::ParquetWriter,
    read_preferences, read_records, read_rows,
};
use proptest::prelude::*;
use serde_json::{Map, Value};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/data").join(name)
}

fn expected(name: &str) -> Vec<Map<String, Value>> {
    let all: Value = serde_json::from_slice(&fs::read(fixture("expected.json")).unwrap()).unwrap();
    serde_json::from_value(all[name].clone()).unwrap()
}

fn pair(key: &str, prompt: &str, response: &str) -> Pair {
    Pair { key: key.into(), prompt: prompt.into(), response: response.into() }
}

/// What records are compared by, and the rejects.
#[derive(Debug)]
struct Pairs {
    pairs: Vec<Pair>,
    rejects: Vec<Reject>,
}

fn read_pairs(path: &Path) -> Result<Pairs, DataError> {
    let read = read_records(path)?;
    Ok(Pairs { pairs: read.records.iter().map(Record::pair).collect(), rejects: read.rejects })
}

/// Reads bytes as a file of that name.
fn read(name: &str, bytes: &[u8]) -> Result<Pairs, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    read_pairs(&path)
}

/// The places of the rejects, each with its reason.
fn rejects(pairs: &Pairs) -> Vec<(u64, &str)> {
    pairs.rejects.iter().map(|reject| (reject.place, reject.reason.as_str())).collect()
}

#[test]
fn rows_of_pyarrow_are_those_that_pyarrow_reads() {
    for name in ["pairs", "types"] {
        let read = read_rows(&fixture(&format!("{name}.parquet"))).unwrap();
        assert_eq!(read.rows, expected(name), "{name}");
        assert_eq!(read.rejects, []);
    }
}

#[test]
fn pairs_are_read_from_parquet() {
    let read = read_pairs(&fixture("pairs.parquet")).unwrap();
    assert_eq!(read.pairs, [pair("3", "Red or blue?", "Red."), pair("pairs-4", "Now or later?", "Now.")]);
    assert_eq!(read.rejects.iter().map(|reject| reject.place).collect::<Vec<_>>(), [2, 3]);
    assert!(read.rejects[0].reason.starts_with("found `id`, `prompt`; a record is"), "{:?}", read.rejects[0]);
    assert_eq!(read.rejects[1].reason, "an earlier record has the key `3`");
    assert!(read.rejects[1].text.contains(r#""prompt":"Left or right?""#), "{:?}", read.rejects[1]);
}

#[test]
fn conversations_are_read_from_parquet_beside_columns_of_other_types() {
    let path = fixture("conversations.parquet");
    let read = read_pairs(&path).unwrap();
    assert_eq!(
        read.pairs,
        [
            // What the user wrote, all turns of it, and the last answer.
            pair("conversations-1", "Name a river in Asia.\n\nAnother?", "The Indus."),
            pair("conversations-2", "Say hello in French.", "Bonjour\u{a0}! \u{1f44b}"),
        ]
    );
    assert_eq!(rejects(&read), [(3, "nothing after the first user turn is an answer")]);
    // All columns cannot be read, and the error names the first that cannot.
    let error = read_rows(&path).unwrap_err();
    assert!(matches!(&error, DataError::ColumnType { column, .. } if column == "made"), "{error}");
}

#[test]
fn parquet_files_are_read_row_group_by_row_group() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("groups.parquet");
    let expected: Vec<Pair> = (0..100).map(|n| pair(&format!("k{n}"), &format!("p{n}"), "r")).collect();
    let mut frame = lancer_data::to_frame(&expected).unwrap();
    ParquetWriter::new(fs::File::create(&path).unwrap())
        .with_row_group_size(Some(7))
        .finish(&mut frame)
        .unwrap();
    let mut places = Vec::new();
    let mut pairs = Vec::new();
    each_row(&path, &mut |row| {
        let row = row.unwrap();
        pairs.push(Record::of_row(row.fields, "").unwrap().pair());
        places.push(row.automatic_key);
        Ok(())
    })
    .unwrap();
    assert_eq!(pairs, expected);
    assert_eq!(places, (1..=100).map(|place| format!("groups-{place}")).collect::<Vec<_>>());
}

#[test]
fn preference_pairs_are_read_from_lines_and_from_parquet() {
    let rows = [
        serde_json::json!({ "prompt": "p", "chosen": "good", "rejected": "bad", "margin": 1.5 }),
        serde_json::json!({ "prompt": "p", "chosen": "same", "rejected": "same", "margin": 0.5 }),
        serde_json::json!({ "prompt": "q", "chosen": "better", "rejected": "worse", "margin": 2.5 }),
    ];
    let folder = tempfile::tempdir().unwrap();
    for ending in ["jsonl", "parquet", "csv"] {
        let path = folder.path().join(format!("preferences.{ending}"));
        lancer_data::write_rows(&path, &rows).unwrap();
        let read = read_preferences(&path).unwrap();
        let found: Vec<_> = read
            .records
            .iter()
            .map(|pair| {
                let texts = [&pair.prompt.messages[0], &pair.chosen, &pair.rejected];
                let [prompt, chosen, rejected] = texts.map(|message| message.content.as_str());
                (prompt, chosen, rejected)
            })
            .collect();
        assert_eq!(found, [("p", "good", "bad"), ("q", "better", "worse")], "{ending}");
        assert_eq!(read.rejects.len(), 1);
        assert_eq!(read.rejects[0].reason, "`chosen` and `rejected` are the same text");
    }
}

#[test]
fn a_damaged_parquet_file_is_an_error() {
    for path in [fixture("damaged.parquet"), fixture("expected.json")] {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.parquet");
        fs::copy(path, &copy).unwrap();
        assert!(matches!(read_pairs(&copy), Err(DataError::Parquet { .. })));
    }
}

#[test]
fn a_parquet_file_cut_anywhere_is_an_error() {
    let whole = fs::read(fixture("pairs.parquet")).unwrap();
    for length in 0..whole.len() {
        let error = read("cut.parquet", &whole[..length]).unwrap_err();
        assert!(matches!(error, DataError::Parquet { .. }), "{length}: {error}");
    }
}

#[test]
fn a_parquet_file_that_claims_more_than_it_holds_is_an_error() {
    let whole = fs::read(fixture("pairs.parquet")).unwrap();
    // In each place of the footer a variable-length number that claims some 2^48.
    let footer = u32::from_le_bytes(whole[whole.len() - 8..whole.len() - 4].try_into().unwrap()) as usize;
    let start = whole.len() - 8 - footer;
    for place in start..whole.len() - 8 {
        let mut bytes = whole.clone();
        let end = (place + 7).min(whole.len() - 8);
        bytes[place..end].fill(0xff);
        bytes[end - 1] = 0x7f;
        // A panic or an allocation of that size would end the test.
        let _ = read("claims.parquet", &bytes);
    }
}

#[test]
fn a_malformed_line_does_not_end_the_reading() {
    let mut lines: Vec<&[u8]> = vec![
        b"\xef\xbb\xbf{\"prompt\":\"a\",\"response\":\"b\"}\r",
        b"",
        b"  \t",
        b"{\"prompt\":\"a\"",
        b"{\"prompt\":\"\xff\",\"response\":\"b\"}",
        b"42",
        b"{\"id\":1,\"id\":2,\"prompt\":\"a\",\"response\":\"b\"}",
        b"{\"prompt\":\"a\",\"response\":\"b\0c\"}",
        b"{\"key\":\"pairs-1\",\"prompt\":\"a\",\"response\":\"b\"}",
        b"{\"prompt\":\"a\",\"response\":\"b\"}{}",
        b"\0\0\0\0",
        br#"{"id":"last","prompt":"a","response":"b"}"#,
    ];
    let deep = [&b"{\"a\":"[..], &b"[".repeat(100_000), &b"]".repeat(100_000), b"}"].concat();
    lines.insert(3, &deep);
    let read = read("pairs.jsonl", &lines.join(&b"\n"[..])).unwrap();
    assert_eq!(read.pairs, [pair("pairs-1", "a", "b"), pair("last", "a", "b")]);
    let found = rejects(&read);
    let expected = [
        (4, "not JSON: recursion limit exceeded"),
        (5, "not JSON: EOF while parsing an object"),
        (6, "not UTF-8 from byte 12"),
        (7, "a number, not a JSON object"),
        (8, "the field `id` is there twice"),
        (9, "not JSON: control character"),
        (10, "an earlier record has the key `pairs-1`"),
        (11, "not JSON: trailing characters"),
        (12, "not JSON: expected value"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.0 == expected.0 && found.1.starts_with(expected.1), "{found:?}, expected {expected:?}");
    }
    assert_eq!(read.rejects[0].text, format!("{{\"a\":{}", "[".repeat(195)));
    assert_eq!(read.rejects[2].text, "{\"prompt\":\"\u{fffd}\",\"response\":\"b\"}");
}

#[test]
fn ids_that_begin_anew_in_each_file_are_no_duplicates() {
    let folder = tempfile::tempdir().unwrap();
    let line =
        |id: u32, prompt: &str| format!("{{\"id\": {id}, \"prompt\": \"{prompt}\", \"response\": \"R.\"}}\n");
    fs::write(folder.path().join("a.jsonl"), line(1, "One?") + &line(2, "Two?")).unwrap();
    fs::write(folder.path().join("b.jsonl"), line(1, "Three?") + &line(3, "Four?") + &line(1, "Five?"))
        .unwrap();
    fs::create_dir(folder.path().join("more")).unwrap();
    // Without ids, and of the same name as another file.
    fs::write(folder.path().join("more/b.jsonl"), r#"{"prompt": "Six?", "response": "R."}"#).unwrap();
    fs::write(folder.path().join("more/a.jsonl"), line(1, "Seven?")).unwrap();

    let found = read_pairs(folder.path()).unwrap();
    let keys = |pairs: &Pairs| pairs.pairs.iter().map(|pair| pair.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&found), ["1", "2", "b:1", "3"]);
    assert_eq!(rejects(&found), [(3, "an earlier record has the key `1`")]);
    assert_eq!(found.rejects[0].file.as_deref(), Some(&*folder.path().join("b.jsonl")));

    let pattern = folder.path().join("**/*.jsonl");
    assert_eq!(files_of(&pattern).unwrap().len(), 4);
    let found = read_pairs(&pattern).unwrap();
    assert_eq!(keys(&found), ["1", "2", "b:1", "3", "more/a:1", "b-1"]);
}

#[test]
fn a_line_of_100_mb_is_a_reject() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pairs.jsonl");
    let long = format!("{{\"prompt\":\"{}\",\"response\":\"b\"}}", "a".repeat(100_000_000));
    fs::write(&path, format!("{long}\n{{\"prompt\":\"a\",\"response\":\"b\"}}\n")).unwrap();
    let read = read_pairs(&path).unwrap();
    assert_eq!(read.pairs, [pair("pairs-2", "a", "b")]);
    assert_eq!(
        rejects(&read),
        [(1, format!("the line has {} bytes; at most {MAX_LINE_BYTES} are read", long.len() + 1).as_str())]
    );
}

#[test]
fn a_line_of_the_longest_length_is_read() {
    let empty = r#"{"prompt":"a","response":""}"#;
    for (over, pairs) in [(0, 1), (1, 0)] {
        let response = "b".repeat(MAX_LINE_BYTES - empty.len() + over);
        let read =
            read("pairs.jsonl", format!(r#"{{"prompt":"a","response":"{response}"}}"#).as_bytes()).unwrap();
        assert_eq!((read.pairs.len(), read.rejects.len()), (pairs, 1 - pairs));
    }
}

#[test]
fn json_is_an_array_or_lines() {
    let array = b" \n[{\"prompt\":\"a\",\"response\":\"b\"}, 1, {\"prompt\":\"c\"},\n {\"prompt\":\"e\",\"response\":\"f\"}]\n";
    let read_array = read("pairs.json", array).unwrap();
    assert_eq!(read_array.pairs, [pair("pairs-1", "a", "b"), pair("pairs-4", "e", "f")]);
    assert_eq!(rejects(&read_array)[0], (2, "a number, not a JSON object"));
    assert_eq!(read_array.rejects[1].place, 3);

    let read_lines = read("pairs.json", b"\n{\"prompt\":\"a\",\"response\":\"b\"}\n{}\n").unwrap();
    assert_eq!(read_lines.pairs, [pair("pairs-2", "a", "b")]);
    assert_eq!(read_lines.rejects[0].place, 3);
}

#[test]
fn a_broken_element_of_an_array_loses_that_element_alone() {
    let good = |n: u32| format!("{{\"id\":{n},\"prompt\":\"a\",\"response\":\"b\"}}");
    for (broken, reason) in [
        (r#"{"prompt":"a","response":"b","score":NaN}"#, "not JSON: expected"),
        (r#"{"prompt":"a","response":"b","score":1e999}"#, "not JSON: number out of range"),
        (r#"{"prompt":"a","response":"cut \ud83d here"}"#, "not JSON: "),
        (r#"{"prompt":"a","response":"\x41"}"#, "not JSON: invalid escape"),
        (r#"{"prompt":"a","response":"\u0000"}"#, "the response has a NUL"),
        ("{\"prompt\":\"a\",\"response\":\"b", "not JSON: "),
        (r#"{"prompt":"a" "response":"b"}"#, "not JSON: "),
        ("", "not JSON: nothing between two commas"),
        ("[]", "a list, not a JSON object"),
    ] {
        let text = format!("[\n{},\n{broken}\n,\n{},{}\n]\n", good(1), good(3), good(4));
        let found = read("pairs.json", text.as_bytes()).unwrap();
        let keys: Vec<&str> = found.pairs.iter().map(|pair| pair.key.as_str()).collect();
        assert_eq!(keys, ["1", "3", "4"], "{broken}");
        let [(2, said)] = rejects(&found)[..] else { panic!("{broken}: {:?}", found.rejects) };
        assert!(said.starts_with(reason), "{broken}: {said}");
    }
}

#[test]
fn of_an_array_that_is_cut_off_what_comes_before_is_read() {
    let good = r#"{"prompt":"a","response":"b"}"#;
    for (broken, place) in
        [(format!("[{good},{{\"prompt\":"), 2), (format!("[{good}"), 1), (format!("[{good}] x"), 2)]
    {
        let read = read("pairs.json", broken.as_bytes()).unwrap();
        assert_eq!(read.pairs.len() as u64, place - 1, "{broken}");
        assert_eq!(read.rejects.len(), 1, "{broken}");
        assert_eq!(read.rejects[0].place, place, "{broken}");
    }
}

#[test]
fn the_cases_of_neighbouring_projects_are_read() {
    // Tool calls, thoughts and parts: a record is kept whole, or rejected with a reason.
    let read = read_records(&fixture("tools.jsonl")).unwrap();
    assert!(read.rejects.is_empty(), "{:?}", read.rejects);
    let by_key = |key: &str| read.records.iter().find(|record| record.key == key).unwrap().conversation();
    for key in ["null-content", "empty-content", "text-and-call", "old-function"] {
        let chat = by_key(key);
        assert!(chat.messages.iter().any(|message| !message.tool_calls.is_empty()), "{key}");
        assert!(
            chat.answer().contains("raining") || chat.answer().contains("dry"),
            "{key}: {}",
            chat.answer()
        );
    }
    // What is written is what was read.
    let rows = read_rows(&fixture("tools.jsonl")).unwrap().rows;
    for (record, row) in read.records.iter().zip(rows) {
        assert_eq!(record.to_row(), row, "{}", record.key);
    }
    let pairs = read_preferences(&fixture("tool_pairs.jsonl")).unwrap();
    assert!(pairs.rejects.is_empty(), "{:?}", pairs.rejects);
    assert_eq!(pairs.records[1].prompt.messages.len(), 3);
    assert_eq!(pairs.records[2].chosen.tool_calls[0].name, "weather");
    assert_eq!(pairs.records[3].prompt.tools.len(), 1);
    // A lone surrogate and a NUL reject their records alone, in lines as in an array.
    for name in ["surrogates.jsonl", "surrogates.json"] {
        let read = read_pairs(&fixture(name)).unwrap();
        assert_eq!((read.pairs.len(), read.rejects.len()), (2, 2), "{name}: {:?}", read.rejects);
    }
}

#[test]
fn tables_may_have_semicolons_and_tabs() {
    for (name, text) in [
        ("a.csv", "id;prompt;response\n1;Which, and why?;\"This; since\"\n"),
        ("a.csv", "id,prompt,response\n1,\"Which, and why?\",This; since\n"),
        ("a.tsv", "id\tprompt\tresponse\n1\tWhich, and why?\tThis; since\n"),
        ("a.csv", "id\tprompt\tresponse\n1\tWhich, and why?\tThis; since\n"),
    ] {
        let found = read(name, text.as_bytes()).unwrap();
        assert_eq!(found.pairs, [pair("1", "Which, and why?", "This; since")], "{text}");
    }
}

#[test]
fn whole_numbers_beyond_64_bits_are_kept_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let line = r#"{"id":123456789012345678901234567890,"prompt":"a","response":"b","n":[-99999999999999999999,1.5]}"#;
    for (name, text) in [("a.jsonl", format!("{line}\n")), ("a.json", format!("[{line}]"))] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let read = read_records(&path).unwrap();
        assert_eq!(read.records[0].key, "123456789012345678901234567890");
        let out = folder.path().join("out.jsonl");
        lancer_data::write_rows(&out, &read.records).unwrap();
        assert_eq!(fs::read_to_string(&out).unwrap().trim_end(), line, "{name}");
    }
}

#[test]
fn labelled_responses_are_paired_and_bad_ones_are_no_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kto.jsonl");
    let row = |id: u32, prompt: &str, completion: &str, label: bool| serde_json::json!({"id": id, "prompt": prompt, "completion": completion, "label": label});
    let rows = [row(1, "p", "good", true), row(2, "q", "alone", true), row(3, "p", "bad", false)];
    lancer_data::write_rows(&path, &rows).unwrap();
    let pairs = read_preferences(&path).unwrap();
    assert_eq!(pairs.records.len(), 1);
    assert_eq!(
        (pairs.records[0].chosen.content.as_str(), pairs.records[0].rejected.content.as_str()),
        ("good", "bad")
    );
    assert_eq!(pairs.rejects.len(), 1);
    assert!(pairs.rejects[0].reason.contains("other `label`"), "{:?}", pairs.rejects);
    let read = read_pairs(&path).unwrap();
    assert_eq!((read.pairs.len(), read.rejects.len()), (2, 1));
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_that_names_it() {
    for (name, bytes) in [("a.jsonl", &b""[..]), ("a.jsonl", b"\n \n"), ("a.json", b""), ("a.json", b"[]")] {
        let error = read(name, bytes).unwrap_err();
        assert!(matches!(error, DataError::Empty { .. }), "{name}: {error}");
        assert!(error.to_string().contains(name));
    }
    assert!(matches!(read("a.parquet", b""), Err(DataError::Parquet { .. })));
    for name in ["a.txt", "a", "jsonl"] {
        assert!(matches!(read(name, b"{}"), Err(DataError::UnknownEnding { .. })), "{name}");
    }
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("a.jsonl");
    assert!(matches!(read_pairs(&inside), Err(DataError::Read { .. })));
    fs::create_dir(&inside).unwrap();
    assert!(matches!(read_pairs(&inside), Err(DataError::NoFile { .. })));
}

#[test]
fn the_ending_may_be_in_capitals() {
    assert_eq!(read("A.JSONL", br#"{"prompt":"a","response":"b"}"#).unwrap().pairs[0].key, "A-1");
}

/// Bytes that are anything, or close to a file of pairs.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(r#"{"prompt":"a","response":"b"}"#.as_bytes().to_vec()),
        Just(br#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#.to_vec()),
        Just(br#"{"id":1,"instruction":"a","output":"b"}"#.to_vec()),
        Just(b"\n".to_vec()),
        Just(b",".to_vec()),
        Just(b"[".to_vec()),
        Just(b"]".to_vec()),
        prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A table of text, and separators where they do not belong.
fn table() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"prompt,response\n".to_vec()),
        Just(b"a,\"b, c\"\r\n".to_vec()),
        Just(b"\"".to_vec()),
        Just(b",".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\xef\xbb\xbf".to_vec()),
        prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Packed lines, some of whose bytes are changed and the last of which are cut off.
fn damaged(packed: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = packed.len();
    (prop::collection::vec((0..length, any::<u8>()), 0..4), 0..=length).prop_map(move |(changes, keep)| {
        let mut bytes = packed.clone();
        for (place, byte) in changes {
            bytes[place] = byte;
        }
        bytes.truncate(keep);
        bytes
    })
}

/// Lines of pairs as they are packed.
fn packed(ending: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("pairs.jsonl.{ending}"));
    let pairs: Vec<Pair> = (0..50).map(|n| pair(&format!("k{n}"), &format!("p{}", n * n), "r")).collect();
    lancer_data::write_rows(&path, &pairs).unwrap();
    fs::read(path).unwrap()
}

proptest! {
    #[test]
    fn no_bytes_make_the_csv_reader_fail(bytes in table()) {
        match read("pairs.csv", &bytes) {
            Ok(read) => prop_assert!(read.pairs.len() + read.rejects.len() > 0),
            Err(error) => prop_assert!(matches!(error, DataError::Empty { .. }), "{}", error),
        }
    }

    #[test]
    fn a_damaged_packed_file_is_an_error_or_has_no_other_pairs(
        (gzip, zstd) in (damaged(packed("gz")), damaged(packed("zst"))),
    ) {
        for (name, bytes) in [("pairs.jsonl.gz", gzip), ("pairs.jsonl.zst", zstd)] {
            // Both have a check sum: what passes it is what was written.
            match read(name, &bytes) {
                Ok(read) => prop_assert_eq!(read.pairs.len(), 50),
                Err(error) => {
                    let known = matches!(error, DataError::Read { .. } | DataError::Empty { .. });
                    prop_assert!(known, "{}", error);
                }
            }
        }
    }

    #[test]
    fn every_line_that_is_not_empty_is_a_pair_or_a_reject(bytes in bytes()) {
        let lines: Vec<u64> = (1..)
            .zip(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes).split(|&byte| byte == b'\n'))
            .filter(|(_, line)| !line.trim_ascii().is_empty())
            .map(|(place, _)| place)
            .collect();
        match read("pairs.jsonl", &bytes) {
            Ok(read) => {
                prop_assert_eq!(read.pairs.len() + read.rejects.len(), lines.len());
                prop_assert!(read.rejects.iter().all(|reject| lines.contains(&reject.place)));
            }
            Err(error) => {
                prop_assert!(matches!(error, DataError::Empty { .. }), "{}", error);
                prop_assert!(lines.is_empty());
            }
        }
    }

    #[test]
    fn no_bytes_make_the_json_reader_fail(bytes in bytes()) {
        match read("pairs.json", &bytes) {
            Ok(read) => prop_assert!(read.pairs.len() + read.rejects.len() > 0),
            Err(error) => prop_assert!(matches!(error, DataError::Empty { .. }), "{}", error),
        }
    }
}
