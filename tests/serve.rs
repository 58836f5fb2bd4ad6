//! `lancer serve` over a real connection: who may ask, what is answered, and what a person decides.

#![cfg(all(feature = "llama-cpp", feature = "burn-cpu", feature = "serve"))]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod page;
mod program;
mod tiny_run;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    sync::OnceLock,
    thread,
    time::Duration,
};

use page::{Answer, Page};
use program::{lancer, text};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with the finished run `one`.
fn runs() -> &'static Path {
    static RUNS: OnceLock<TempDir> = OnceLock::new();
    RUNS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        tiny_run::evolve(&folder.path().join("one"), 1, &[]);
        folder
    })
    .path()
}

/// One test, since each test is a process of its own under nextest, and would make the run again.
#[test]
fn a_finished_run_is_served_to_whom_it_may() {
    only_this_page_may_ask_and_change();
    other_machines_need_the_token();
    nothing_outside_of_the_folder_is_read();
    texts_are_handed_over_as_data();
    many_watch_and_one_never_reads();
    a_model_of_the_run_answers();
}

fn only_this_page_may_ask_and_change() {
    let page = Page::new(runs(), &[]);
    let port = page.address.port();
    assert_eq!(page.get("/").status, 200);
    assert_eq!(page.send("GET", "/", &[("Host", &format!("localhost:{port}"))], "").status, 200);
    // A name that somebody else points at this machine.
    for host in [
        format!("evil.example:{port}"),
        "evil.example".into(),
        "localhost".into(),
        format!("127.0.0.1:{}", port ^ 1),
    ] {
        assert_eq!(page.send("GET", "/api/runs", &[("Host", &host)], "").status, 421, "{host}");
    }
    // Two hosts, and none.
    let host = page.address.to_string();
    let two = page.send("GET", "/api/runs", &[("Host", &host), ("Host", "evil.example")], "");
    assert!(matches!(two.status, 400 | 421), "{two:?}");
    let mut stream = page.connect();
    stream.write_all(b"GET /api/runs HTTP/1.0\r\n\r\n").unwrap();
    let mut none = String::new();
    stream.read_to_string(&mut none).unwrap();
    assert!(matches!(Answer::of(&none).status, 400 | 421), "{none}");

    let body = json!({ "run": "one", "judgement": { "subject": "record", "iteration": 0, "key": "x", "action": "accept", "person": "Eve" } }).to_string();
    let post = |headers: &[(&str, &str)]| {
        page.send("POST", "/api/judge", &[&[("Content-Type", "application/json")], headers].concat(), &body)
    };
    for headers in [
        &[][..],
        &[("Origin", "http://evil.example")],
        &[("Origin", "null")],
        &[("Origin", &format!("http://127.0.0.1:{}", port ^ 1))],
        &[("Origin", &format!("http://{host}")), ("Sec-Fetch-Site", "cross-site")],
    ] {
        assert_eq!(post(headers).status, 403, "{headers:?}");
    }
    assert_eq!(page.send("GET", "/api/runs", &[("Sec-Fetch-Site", "cross-site")], "").status, 403);
    // A form of another page can send text, but not JSON.
    let form = [("Origin", &*format!("http://{host}")), ("Content-Type", "text/plain")];
    assert_eq!(page.send("POST", "/api/judge", &form, &body).status, 415);
    // Its own words are heard, and refused for what they say.
    let own = page.tell("/api/judge", &serde_json::from_str(&body).unwrap());
    assert_eq!(own.status, 400, "{own:?}");
    assert!(own.body.contains("no such record"), "{own:?}");
    for answer in [page.get("/"), page.get("/api/runs"), page.get("/nothing"), post(&[])] {
        assert!(
            answer.headers.contains("content-security-policy: default-src 'none'; script-src 'self'"),
            "{answer:?}"
        );
        assert!(answer.headers.contains("x-content-type-options: nosniff"));
        assert!(!answer.headers.contains("access-control-allow"), "{answer:?}");
        assert!(!answer.headers.contains("unsafe-inline"));
    }
    assert_eq!(page.send("OPTIONS", "/api/judge", &[("Origin", "http://evil.example")], "").status, 403);
}

fn other_machines_need_the_token() {
    let refused = lancer(&["serve", &runs().display().to_string(), "--token", "short"]);
    assert_eq!(refused.status.code(), Some(2));
    let page = Page::new(runs(), &["--bind", "0.0.0.0"]);
    let token = page.token.clone().unwrap();
    assert!(token.len() >= 32, "{token}");
    for path in [
        "/",
        "/page.js",
        "/api/runs",
        "/api/run/events?run=one",
        "/?token=wrong",
        "/api/runs?token=wrong",
        &format!("/api/runs?token={token}"),
    ] {
        assert_eq!(page.get(path).status, 401, "{path}");
    }
    let wrong = format!("Bearer {}x", &token[1..]);
    assert_eq!(page.send("GET", "/api/runs", &[("Authorization", &wrong)], "").status, 401);
    assert_eq!(
        page.send("GET", "/api/runs", &[("Authorization", &format!("Bearer {token}"))], "").status,
        200
    );
    let visit = page.get(&format!("/?token={token}"));
    assert_eq!(visit.status, 303);
    assert!(
        visit.headers.contains("set-cookie: lancer_token=")
            && visit.headers.contains("httponly; samesite=strict"),
        "{visit:?}"
    );
    let cookie = format!("a=b; lancer_token={token}");
    assert_eq!(page.send("GET", "/api/runs", &[("Cookie", &cookie)], "").status, 200);
    assert_eq!(
        page.send("GET", "/api/runs", &[("Cookie", &cookie), ("Host", "evil.example")], "").status,
        421
    );
}

fn nothing_outside_of_the_folder_is_read() {
    let outside = tempfile::tempdir().unwrap();
    let inside = outside.path().join("runs");
    fs::create_dir(&inside).unwrap();
    for place in [outside.path().join("secret"), inside.join("mine")] {
        fs::create_dir(&place).unwrap();
        fs::copy(runs().join("one/ledger.sqlite"), place.join("ledger.sqlite")).unwrap();
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(outside.path().join("secret"), inside.join("link")).unwrap();
        fs::create_dir(inside.join("file-link")).unwrap();
        std::os::unix::fs::symlink(
            outside.path().join("secret/ledger.sqlite"),
            inside.join("file-link/ledger.sqlite"),
        )
        .unwrap();
    }
    let page = Page::new(&inside, &[]);
    assert_eq!(page.get("/api/records?run=mine").status, 200);
    let secret = outside.path().join("secret").display().to_string();
    for name in [
        "../secret",
        "mine/../../secret",
        "%2e%2e/secret",
        "..%2Fsecret",
        "link",
        "file-link",
        "",
        "/",
        "mine//",
        ".",
        "..",
        "mine%00",
        "mine/",
        &secret,
        "a%5c..%5csecret",
    ] {
        for path in ["records", "run", "record", "run/events", "agreement"] {
            let answer = page.get(&format!("/api/{path}?run={name}&key=x"));
            assert!(matches!(answer.status, 400 | 404), "{path} {name}: {answer:?}");
        }
        let started = page.tell("/api/stop", &json!({ "run": name }));
        assert!(matches!(started.status, 400 | 404 | 409), "{name}: {started:?}");
    }
    for path in
        ["/../Cargo.toml", "/..%2f..%2fetc/passwd", "/page.js/../../x", "//etc/passwd", "/mine/ledger.sqlite"]
    {
        assert_eq!(page.get(path).status, 404, "{path}");
    }
}

fn texts_are_handed_over_as_data() {
    let page = Page::new(runs(), &[]);
    let found = page.get("/api/records?run=one&text=onerror&origin=seed").json();
    let key = found["rows"][0]["key"].as_str().unwrap();
    let answer = page.get(&format!("/api/record?run=one&key={key}"));
    assert!(answer.headers.contains("content-type: application/json"), "{answer:?}");
    assert!(answer.json()["record"]["response"].as_str().unwrap().ends_with(tiny_run::HOSTILE));
    assert!(!page.get("/").body.contains("alert"));
    let wrong = page.get("/api/records?run=one&sort=%3Cscript%3E");
    assert_eq!(wrong.status, 400);
    assert!(wrong.headers.contains("application/json"), "{wrong:?}");
    for (path, part) in [
        ("/api/batch?run=one&iteration=1&phase=sft&step=1", "examples"),
        ("/api/queue?run=one&subject=pair&iteration=1", "items"),
        ("/api/agreement?run=one", "kappa"),
        ("/api/compare?runs=%5B%22one%22%2C%22one%22%5D", "differences"),
    ] {
        assert!(!page.get(path).json()[part].is_null() || part == "kappa", "{path}");
    }
    assert_eq!(page.get("/api/batch?run=one&iteration=1&phase=sft&step=99").status, 404);
    assert_eq!(page.get("/api/compare?runs=%5B%22one%22%5D").status, 400);
}

fn many_watch_and_one_never_reads() {
    let page = Page::new(runs(), &[]);
    // They ask, and nothing of what they are sent is ever taken.
    let idle: Vec<TcpStream> = (0..4).map(|_| page.watch("one")).collect();
    // Others have not even asked to the end.
    let half: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = page.connect();
            stream.write_all(b"GET / HTTP/1.1\r\nHost:").unwrap();
            stream
        })
        .collect();
    let watching: Vec<TcpStream> = (0..100).map(|_| page.watch("one")).collect();
    for stream in watching {
        let event = page::first_event(stream);
        assert_eq!(event["overview"]["name"], "one");
        assert_eq!(event["run"]["summary"]["seeds"], 25);
    }
    assert_eq!(page.get("/api/runs").json()[0]["status"], "finished");
    drop((idle, half));
}

#[test]
fn a_person_flips_a_pair_and_the_next_iteration_obeys() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("mine");
    tiny_run::evolve(&run, 1, &[]);
    let page = Page::new(folder.path(), &[]);
    let queue = page.get("/api/queue?run=mine&subject=pair&iteration=1").json();
    let left = queue["left"].as_u64().unwrap();
    let pairs = queue["items"].as_array().unwrap();
    assert!(pairs.len() >= 3, "{queue}");
    let decide = |subject: &str, iteration: u64, key: &Value, decision: Value| {
        let mut judgement =
            json!({ "subject": subject, "iteration": iteration, "key": key, "person": "Ada" });
        judgement.as_object_mut().unwrap().extend(decision.as_object().unwrap().clone());
        page.tell("/api/judge", &json!({ "run": "mine", "judgement": judgement })).json()
    };
    decide("pair", 1, &pairs[0]["key"], json!({ "action": "flip" }));
    decide("pair", 1, &pairs[1]["key"], json!({ "action": "reject" }));
    decide("pair", 1, &pairs[2]["key"], json!({ "action": "edit", "response": "What Ada wrote." }));
    assert_eq!(
        page.get("/api/queue?run=mine&subject=pair&iteration=1").json()["left"].as_u64(),
        Some(left - 3)
    );
    let seeds = page.get("/api/records?run=mine&origin=seed&limit=3").json();
    decide(
        "record",
        0,
        &seeds["rows"][0]["key"],
        json!({ "action": "edit", "response": "A better answer by Ada." }),
    );
    decide("record", 0, &seeds["rows"][1]["key"], json!({ "action": "reject" }));
    let lineage =
        page.get(&format!("/api/record?run=mine&key={}", seeds["rows"][0]["key"].as_str().unwrap())).json();
    assert_eq!(
        (&lineage["judgements"][0]["person"], &lineage["judgements"][0]["action"]),
        (&"Ada".into(), &"edit".into())
    );
    assert_eq!(page.get("/api/agreement?run=mine").json()["records"], 2);
    for wrong in [
        json!({ "action": "score", "score": 11 }),
        json!({ "action": "score" }),
        json!({ "action": "flip" }),
        json!({ "action": "accept", "score": 3 }),
    ] {
        let mut judgement =
            json!({ "subject": "record", "iteration": 0, "key": seeds["rows"][0]["key"], "person": "Ada" });
        judgement.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        assert_eq!(
            page.tell("/api/judge", &json!({ "run": "mine", "judgement": judgement })).status,
            400,
            "{wrong}"
        );
    }

    tiny_run::evolve(&run, 2, &[]);
    let sql = |sql: &str| -> Value {
        let output = lancer(&["--json", "query", &run.display().to_string(), sql]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["rows"].clone()
    };
    let key = pairs[0]["key"].as_str().unwrap();
    let (chosen, rejected) = key.split_once('>').unwrap();
    let flipped = sql(&format!(
        "SELECT chosen, rejected, judgement FROM pair WHERE iteration = 2 AND key = '{rejected}>{chosen}'"
    ));
    assert_eq!(flipped[0][0], pairs[0]["rejected"]);
    assert_eq!(flipped[0][1], pairs[0]["response"]);
    assert_eq!(flipped[0][2], 1);
    assert_eq!(sql(&format!("SELECT count(*) FROM pair WHERE iteration = 2 AND key = '{key}'"))[0][0], 0);
    assert_eq!(
        sql(&format!(
            "SELECT count(*) FROM pair WHERE iteration = 2 AND key = '{}'",
            pairs[1]["key"].as_str().unwrap()
        ))[0][0],
        0
    );
    let edited = sql(&format!(
        "SELECT chosen FROM pair WHERE iteration = 2 AND key = '{}'",
        pairs[2]["key"].as_str().unwrap()
    ));
    assert_eq!(edited[0][0], "What Ada wrote.");
    let written = sql(&format!(
        "SELECT response FROM sft WHERE iteration = 2 AND kind = 'response' AND record = '{}'",
        seeds["rows"][0]["key"].as_str().unwrap()
    ));
    assert_eq!(written[0][0], "A better answer by Ada.");
    let refused = sql(&format!(
        "SELECT count(*) FROM sft WHERE iteration = 2 AND kind = 'response' AND record = '{}'",
        seeds["rows"][1]["key"].as_str().unwrap()
    ));
    assert_eq!(refused[0][0], 0);
    let check = lancer(&["check", &run.display().to_string()]);
    assert!(check.status.success(), "{}{}", text(&check.stdout), text(&check.stderr));
}

#[cfg(unix)]
#[test]
fn a_run_is_started_stopped_and_resumed_from_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let template = tiny_run::arguments(&folder.path().join("new"), 1);
    let value = |name: &str| template.iter().skip_while(|argument| *argument != name).nth(1).unwrap().clone();
    let set: Vec<&String> = template
        .iter()
        .zip(template.iter().skip(1))
        .filter(|(name, _)| *name == "--set")
        .map(|(_, value)| value)
        .collect();
    let page = Page::new(folder.path(), &[]);
    let new = json!({ "run": "new", "model": value("--model"), "seeds": value("--seeds"), "tasks": [value("--task")], "iterations": 40, "review": "likelihood", "set": set });
    let command = page.tell("/api/command", &new).json()["command"].as_str().unwrap().to_owned();
    assert!(command.starts_with("lancer evolve --run=") && command.contains("--iterations=40"), "{command}");
    page.tell("/api/start", &new).json();
    assert_eq!(page.tell("/api/start", &new).status, 409, "it is at work");
    let status = |wanted: &str| {
        (0..6000).any(|_| {
            let runs = page.get("/api/runs").json();
            let is_so = runs[0]["status"] == wanted;
            if !is_so {
                thread::sleep(Duration::from_millis(20));
            }
            is_so
        })
    };
    assert!(status("working"));
    assert_eq!(page.get("/api/runs").json()[0]["can_stop"], true);
    assert_eq!(page.tell("/api/stop", &json!({ "run": "new" })).status, 202);
    assert!(status("stopped"));
    assert_eq!(page.tell("/api/stop", &json!({ "run": "new" })).status, 409);
    let log = page.get("/api/run?run=new").json()["log"].to_string();
    assert!(log.contains("the same command goes on from here"), "{log}");
    page.tell("/api/resume", &json!({ "run": "new" })).json();
    assert!(status("working"));
    assert_eq!(page.tell("/api/stop", &json!({ "run": "new" })).status, 202);
    assert!(status("stopped"));
    let check = lancer(&["check", &folder.path().join("new").display().to_string()]);
    assert!(check.status.success(), "{}", text(&check.stdout));
}

fn a_model_of_the_run_answers() {
    let page = Page::new(runs(), &[]);
    let ask = |model: u32, turns: Value| {
        page.tell(
            "/api/talk",
            &json!({ "run": "one", "model": model, "turns": turns, "seed": 1, "max_tokens": 8 }),
        )
    };
    let said = json!([{ "role": "user", "content": "Name a colour." }]);
    for model in [0, 1] {
        let answer = ask(model, said.clone());
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body, ask(model, said.clone()).body, "the same seed, the same answer");
    }
    assert_eq!(ask(7, said).status, 404);
    assert_eq!(ask(0, json!([])).status, 400);
}
