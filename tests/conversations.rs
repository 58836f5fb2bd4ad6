//! Records are conversations: what each command does with system prompts, earlier turns, tools and thoughts.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod program;

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Output, Stdio},
};

use program::{command, lancer, text};
use serde_json::{Value, json};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

fn write(folder: &Path, name: &str, rows: &[Value]) -> String {
    let path = folder.join(name);
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    path.display().to_string()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn read(path: &str) -> Vec<Value> {
    lines(&fs::read_to_string(path).unwrap())
}

fn finished(output: &Output) -> &Output {
    assert!(output.status.success(), "{}", text(&output.stderr));
    output
}

fn turn(role: &str, content: &str) -> Value {
    json!({ "role": role, "content": content })
}

/// Twelve questions that have nothing in common but the system prompt.
fn under_one_system_prompt() -> Vec<Value> {
    let system = "You are a careful assistant of the town library. Answer in two short sentences, and never guess: where you \
                  do not know something, say who would know it.";
    [
        "Why does bread dough rise?",
        "Which river runs through Vienna?",
        "How many legs has a spider?",
        "When was the printing press invented?",
        "Who painted the Night Watch?",
        "What is a prime number?",
        "Can cats see in the dark?",
        "Where do swallows spend the winter?",
        "Is glass a liquid at room temperature?",
        "How is cheese made from milk?",
        "Does sound travel faster in water?",
        "What makes leaves turn red in autumn?",
    ]
    .into_iter()
    .enumerate()
    .map(|(id, question)| {
        let answer = format!("This is answer number {id}, which is about something else than all the others are about.");
        json!({ "id": id, "messages": [turn("system", system), turn("user", question), turn("assistant", &answer)] })
    })
    .collect()
}

#[test]
fn different_questions_under_one_system_prompt_are_no_copies() {
    let folder = tempfile::tempdir().unwrap();
    let rows = under_one_system_prompt();
    let from = write(folder.path(), "from.jsonl", &rows);
    let to = |name: &str| folder.path().join(name).display().to_string();
    for (command, more) in [("clean", &[][..]), ("dedup", &[]), ("dedup", &["--method", "minhash"])] {
        let kept = to(&format!("{command}{}.jsonl", more.len()));
        finished(&lancer(&[&[command, &from, &kept], more].concat()));
        // And they are in the layout in which they came.
        assert_eq!(read(&kept), rows, "{command} {more:?}");
    }
}

#[test]
fn a_question_in_chinese_is_found_in_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let question = "一列火车以每小时八十公里的速度行驶了三个小时,请问它一共行驶了多少公里?";
    let evaluation =
        write(folder.path(), "evaluation.jsonl", &[json!({ "question": question, "answer": "240" })]);
    let answer = "答案是这样的,我们先把速度和时间写下来,然后把它们相乘,就得到了总的路程。";
    let pair = |id: &str, prompt: &str| json!({ "id": id, "prompt": prompt, "response": answer });
    let from = write(
        folder.path(),
        "from.jsonl",
        &[
            pair("copy", question),
            pair("near", &format!("小明问老师:{}", &question.replace("请问", "那么"))),
            pair("other", "请写一首关于秋天的短诗,要提到落叶和远山。"),
            pair(
                "japanese",
                "東京の天気を教えてください。明日は雨が降りますか。傘を持って行くべきでしょうか。",
            ),
        ],
    );
    let kept = folder.path().join("kept.jsonl").display().to_string();
    finished(&lancer(&["clean", &from, &kept, "--evaluation", &evaluation]));
    let keys: Vec<Value> = read(&kept).iter().map(|row| row["id"].clone()).collect();
    assert_eq!(keys, ["other", "japanese"]);
}

#[test]
fn a_short_prompt_is_no_copy_of_all_that_hold_it() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept.jsonl").display().to_string();
    for (name, ids) in [
        ("contained.jsonl", json!(["a", "b", "c", "d", "e"])),
        // "cat" is there twice; the others are different texts, though short.
        ("short.jsonl", json!([0, 1, 3, 4, 5, 6, 7, 8])),
    ] {
        finished(&lancer(&["dedup", &format!("{FIXTURES}/data/{name}"), &kept, "--overwrite"]));
        let found: Vec<Value> = read(&kept).iter().map(|row| row["id"].clone()).collect();
        assert_eq!(json!(found), ids, "{name}");
    }
}

#[test]
fn records_come_from_standard_input_and_go_to_standard_output() {
    let rows = under_one_system_prompt();
    for (name, input) in [
        ("lines", rows.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")),
        ("an array", json!(rows).to_string()),
    ] {
        let mut child = command(&["dedup", "-", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        finished(&output);
        assert_eq!(lines(&text(&output.stdout)), rows, "{name}");
        assert!(text(&output.stderr).contains("12 of 12 records kept"), "{}", text(&output.stderr));
    }
}

#[test]
fn what_is_not_used_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = under_one_system_prompt();
    for row in &mut rows[..2] {
        row["messages"].as_array_mut().unwrap().push(turn("user", "Thanks."));
    }
    let from = write(folder.path(), "from.jsonl", &rows);
    let kept = folder.path().join("kept.jsonl").display().to_string();
    let output = lancer(&["clean", &from, &kept]);
    finished(&output);
    assert!(
        text(&output.stderr).contains("not used of 2 records: turns after the last answer"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(read(&kept), rows);
}

#[cfg(feature = "burn")]
mod training {
    use super::*;

    /// The tiny model with another chat template.
    fn model(folder: &Path, template: &str) -> String {
        let model = folder.join("model");
        fs::create_dir(&model).unwrap();
        for entry in fs::read_dir(Path::new(FIXTURES).join("tiny-llama")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
        }
        fs::write(model.join("chat_template.jinja"), template).unwrap();
        model.display().to_string()
    }

    const REFUSING: &str = "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('tools are not known here') }}{% endif %}\
                            {{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}\
                            {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    fn train(folder: &Path, kind: &str, data: &str, model: &str, settings: &[&str]) -> Value {
        let to = folder.join("trained").display().to_string();
        let mut arguments = vec!["--json", "train", kind, data, &to, "--model", model, "--overwrite"];
        for setting in settings {
            arguments.extend(["--set", setting]);
        }
        let output = lancer(&arguments);
        serde_json::from_slice(&finished(&output).stdout).unwrap()
    }

    #[test]
    fn a_row_that_the_template_refuses_is_set_aside_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let model = model(folder.path(), REFUSING);
        let pair = |id: &str, prompt: Value| json!({ "id": id, "prompt": prompt, "chosen": "Yes, rain.", "rejected": "No idea." });
        let rows = [
            pair("good", json!([turn("user", "Is it raining?")])),
            pair(
                "refused",
                json!([turn("user", "Is it raining?"), turn("assistant", "I look."), turn("tool", "rain")]),
            ),
            pair("also good", json!([turn("user", "Is it wet outside?")])),
        ];
        let data = write(folder.path(), "pairs.jsonl", &rows);
        let report = train(folder.path(), "dpo", &data, &model, &["held_out=0"]);
        assert_eq!(report["examples"], 2);
        assert_eq!(report["skipped"][0]["key"], "refused");
        assert!(
            report["skipped"][0]["said"].as_str().unwrap().contains("tools are not known here"),
            "{report}"
        );
    }

    #[test]
    fn fine_tuning_is_on_the_last_turn_or_on_all() {
        let folder = tempfile::tempdir().unwrap();
        let model = format!("{FIXTURES}/tiny-llama");
        let rows: Vec<Value> = (0..4)
            .map(|id| {
                let messages = [
                    turn("system", "Be brief."),
                    turn("user", &format!("One and {id}?")),
                    turn("assistant", "It is a first answer of many words, to be counted."),
                    turn("user", "And two?"),
                    turn("assistant", "Three."),
                ];
                json!({ "id": id, "messages": messages })
            })
            .collect();
        let data = write(folder.path(), "chats.jsonl", &rows);
        let targets = |turns: &str| {
            let settings = ["held_out=0", &format!("turns={turns}"), "train.epochs=1"];
            let report = train(folder.path(), "sft", &data, &model, &settings);
            let steps = report["steps"].as_array().unwrap();
            let sum = |name: &str| steps.iter().map(|step| step[name].as_u64().unwrap()).sum::<u64>();
            (sum("tokens"), sum("target_tokens"))
        };
        let (last, all) = (targets("last"), targets("all"));
        assert_eq!(last.0, all.0, "both read the whole conversation");
        assert!(all.1 > 3 * last.1, "{all:?} against {last:?}");
        let wrong = ["--json", "train", "sft", &data, "x", "--model", &model, "--set", "turns=first"];
        let said = lancer(&wrong);
        assert!(!said.status.success());
        assert!(text(&said.stderr).contains("turns"), "{}", text(&said.stderr));
    }
}
