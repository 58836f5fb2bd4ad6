//! Layouts of rows that are read, and of rows that are written.

use lancer_core::ToolCall;
use serde_json::json;

use super::*;
use crate::Pair;

fn read(row: &str) -> Result<(String, String, String), String> {
    let row = serde_json::from_str(row).unwrap();
    record(row, "file-1").map(|record| {
        let Pair { key, prompt, response } = record.pair();
        (key, prompt, response)
    })
}

fn texts(key: &str, prompt: &str, response: &str) -> (String, String, String) {
    (key.into(), prompt.into(), response.into())
}

#[test]
fn every_layout_is_recognised() {
    for (row, expected) in [
        (r#"{"prompt":"p","response":"r"}"#, texts("file-1", "p", "r")),
        (r#"{"key":"a","prompt":"p","completion":"r"}"#, texts("a", "p", "r")),
        (r#"{"id":7,"instruction":"p","input":"","output":"r"}"#, texts("7", "p", "r")),
        (r#"{"instruction":"p","input":"i","output":"r"}"#, texts("file-1", "p\n\ni", "r")),
        (r#"{"instruction":"p","input":null,"response":"r"}"#, texts("file-1", "p", "r")),
        (
            r#"{"id":"x","conversations":[{"from":"human","value":"p"},{"from":"gpt","value":"r"}]}"#,
            texts("x", "p", "r"),
        ),
        (
            r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"p"},{"role":"assistant","content":"r"},{"role":"user","content":"q"}]}"#,
            texts("file-1", "p", "r"),
        ),
        // UltraChat 200k repeats the first turn beside the messages.
        (
            r#"{"prompt":"p","prompt_id":"1","messages":[{"role":"user","content":"p"},{"role":"assistant","content":"r"}]}"#,
            texts("file-1", "p", "r"),
        ),
        (r#"{"system":"s","prompt":"p","response":"r"}"#, texts("file-1", "p", "r")),
        (r#"{"id":"0","data":["p","r","q"]}"#, texts("0", "p", "r")),
        (r#"{"question":"p","answer":"r"}"#, texts("file-1", "p", "r")),
        (r#"{"input":"p","output":"r"}"#, texts("file-1", "p", "r")),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"p"},{"type":"text","text":"q"}]},{"role":"assistant","content":"r"}]}"#,
            texts("file-1", "pq", "r"),
        ),
        (r#"{"prompt":"p","responses":["bad","r"],"ratings":[1,"4.5"]}"#, texts("file-1", "p", "r")),
        // TRL's conversational prompt and completion.
        (
            r#"{"prompt":[{"role":"user","content":"p"}],"completion":[{"role":"assistant","content":"r"}]}"#,
            texts("file-1", "p", "r"),
        ),
    ] {
        assert_eq!(read(row), Ok(expected), "{row}");
    }
}

#[test]
fn what_is_no_pair_says_why() {
    for (row, reason) in [
        ("{}", "found no field"),
        (r#"{"prompt":"p"}"#, "found `prompt`; a record is"),
        (r#"{"prompt":"p","response":null}"#, "found `prompt`; a record is"),
        (r#"{"prompt":{"text":"p"},"response":"r"}"#, "`prompt` is an object, not text"),
        (r#"{"prompt":"p","response":["r"]}"#, "`response` is a list, not text"),
        (r#"{"prompt":" ","response":"r"}"#, "the prompt is empty"),
        (r#"{"prompt":"p","response":"a\u0000b"}"#, "the response has a NUL"),
        (r#"{"id":1.5,"prompt":"p","response":"r"}"#, "`id` is a number, not text or a whole number"),
        (r#"{"messages":"p"}"#, "`messages` is text, not a list of turns"),
        (r#"{"messages":[]}"#, "no turn of a user"),
        (r#"{"messages":[{"role":"user","content":"p"}]}"#, "nothing after the first user turn is an answer"),
        (r#"{"messages":[{"role":"user","content":"p"},{"role":"user","content":"q"}]}"#, "is an answer"),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]},{"role":"assistant","content":"r"}]}"#,
            "turn 1: `content` has a part of the type `image_url`",
        ),
        (r#"{"messages":[{"role":"critic","content":"p"}]}"#, "turn 1: the role `critic` is not known"),
        (r#"{"prompt":"p","response":"r","label":false}"#, "the response is bad"),
        (r#"{"prompt":"p","response":"<think>\nHm"}"#, "a thought without an answer"),
        (r#"{"prompt":"p","response":"r","tools":"x"}"#, "`tools` is text and not JSON"),
        (r#"{"messages":[{"content":"p"}]}"#, "turn 1 has no `role`"),
        (r#"{"messages":["p"]}"#, "turn 1 is text, not an object"),
        (r#"{"data":["p"]}"#, "nothing after the first user turn"),
    ] {
        let found = read(row).unwrap_err();
        assert!(found.contains(reason), "{row}: {found}");
    }
}

fn row(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_conversation_is_kept_whole() {
    let found = record(
        row(r#"{"id":"a","lang":"en","tools":[{"name":"weather","parameters":{}}],"messages":[
            {"role":"system","content":"Be brief."},{"role":"user","content":"Rain?"},
            {"role":"assistant","content":null,"function_call":{"name":"weather","arguments":"{\"city\":\"Ulm\"}"}},
            {"role":"tool","name":"weather","content":"rain"},
            {"role":"assistant","content":"<think>\nWet.\n</think>\n\nYes.","weight":1},
            {"role":"user","content":"Thanks."}]}"#),
        "file-1",
    )
    .unwrap();
    let call = ToolCall { id: None, name: "weather".into(), arguments: json!({"city": "Ulm"}) };
    let mut tool = Message::new(Role::Tool, "rain");
    tool.name = Some("weather".into());
    assert_eq!(
        found.conversation().messages,
        [
            Message::system("Be brief."),
            Message::user("Rain?"),
            Message::assistant("").with_call(call),
            tool,
            Message::assistant("Yes.").with_reasoning("Wet."),
        ]
    );
    let function = json!({"name": "weather", "parameters": {}});
    assert_eq!(found.conversation().tools, [json!({"type": "function", "function": function})]);
    assert_eq!(found.unused(), ["`weight` of turns", "turns after the last answer"]);
    assert_eq!(found.pair().prompt, "Rain?");
    assert_eq!(found.fields(), row(r#"{"lang":"en"}"#));
}

#[test]
fn a_row_is_written_as_it_was_read() {
    for text in [
        r#"{"id":"a","prompt":"p","response":"r","source":{"x":[1,null]}}"#,
        r#"{"key":"a","system":"s","instruction":"p","input":"i","output":"r"}"#,
        r#"{"id":7,"conversations":[{"from":"human","value":"p"},{"from":"gpt","value":"r"}],"lang":"en"}"#,
        r#"{"id":"a","messages":[{"role":"user","content":"p"},{"role":"assistant","content":null,"tool_calls":[{"type":"function","function":{"name":"f","arguments":"{}"}}]}],"tools":"[]"}"#,
        r#"{"id":"a","messages":[{"role":"user","content":[{"type":"text","text":"p"}]},{"role":"assistant","content":"<think>\nt</think>r"},{"role":"user","content":"q"}]}"#,
        r#"{"id":"a","data":["p","r"]}"#,
        r#"{"id":"a","prompt":"p","responses":["bad","good"],"ratings":[1,2]}"#,
    ] {
        let mut expected = row(text);
        expected.iter_mut().for_each(|(_, value)| {
            if let Value::Object(fields) = value {
                fields.retain(|_, _| true);
            }
        });
        let written = record(row(text), "file-1").unwrap().to_row();
        assert_eq!(serde_json::to_string(&written).unwrap(), serde_json::to_string(&expected).unwrap());
    }
    // A record without a name gets the one that it is known by.
    let written = record(row(r#"{"prompt":"p","response":"r"}"#), "file-1").unwrap().to_row();
    assert_eq!(serde_json::to_string(&written).unwrap(), r#"{"key":"file-1","prompt":"p","response":"r"}"#);
}

#[test]
fn another_conversation_is_written_in_the_layout_where_it_fits() {
    let read = |text: &str| record(row(text), "file-1").unwrap();
    let masked = |record: Record, text: &str| {
        let mut chat = record.conversation().clone();
        chat.messages.last_mut().unwrap().content = text.into();
        serde_json::to_string(&record.with_conversation(chat).to_row()).unwrap()
    };
    let alpaca = read(r#"{"id":"a","instruction":"p","input":"i","output":"r","lang":"en"}"#);
    assert_eq!(
        masked(alpaca, "x"),
        r#"{"id":"a","instruction":"p\n\ni","input":"","output":"x","lang":"en"}"#
    );
    let turns =
        read(r#"{"id":"a","conversations":[{"from":"human","value":"p"},{"from":"gpt","value":"r"}]}"#);
    assert_eq!(
        masked(turns.clone(), "x"),
        r#"{"id":"a","conversations":[{"from":"human","value":"p"},{"from":"gpt","value":"x"}]}"#
    );
    let longer = Conversation::from(vec![
        Message::user("p"),
        Message::assistant("r"),
        Message::user("q"),
        Message::assistant("s"),
    ]);
    let pair = read(r#"{"id":"a","prompt":"p","response":"r","lang":"en"}"#);
    let written = serde_json::to_string(&pair.with_conversation(longer).to_row()).unwrap();
    assert!(
        written.starts_with(r#"{"id":"a","lang":"en","messages":[{"role":"user","content":"p"}"#),
        "{written}"
    );
    let like = turns.like("b", Conversation::of_pair("q", "s"));
    assert_eq!(
        serde_json::to_string(&like.to_row()).unwrap(),
        r#"{"key":"b","conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"s"}]}"#
    );
}
