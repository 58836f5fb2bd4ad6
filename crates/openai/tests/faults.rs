//! Servers that fail: nothing is lost, nothing comes twice, and what is said is of use.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod fake;

use std::{
    collections::HashMap,
    error::Error,
    num::NonZeroU32,
    ops::ControlFlow,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use fake::{Fake, Instead, tiny};
use lancer_backend::{
    Backend, BackendError, Collect, Completion, CompletionSink, Continuation, GenerateRequest, Prompt,
    Sampling, ScoreRequest, Seed, TokenId,
};
use lancer_openai::{ApiKey, Budget, Money, Need, OpenAi, OpenAiSettings, Price, Retry, Seeds, Tokens};

/// Settings for servers on this machine, with waits of milliseconds.
fn settings(servers: &[&Fake]) -> OpenAiSettings {
    let servers = servers.iter().map(|server| server.address.parse().unwrap()).collect();
    let retry = Retry {
        attempts: 12,
        first_wait: Duration::from_millis(2),
        longest_wait: Duration::from_millis(50),
        ..Retry::default()
    };
    OpenAiSettings { retry, ..OpenAiSettings::new(servers) }
}

fn connect(settings: OpenAiSettings) -> OpenAi {
    OpenAi::connect(&tiny(), settings).unwrap()
}

fn request(number: usize, samples: usize) -> GenerateRequest {
    GenerateRequest::new(Prompt::user(format!("Question {number}?")))
        .sampling(Sampling::nucleus(1.0, 0.9))
        .samples(Seed(number as u64), samples)
        .max_tokens(12)
}

/// The error's words and those of what caused it.
fn words(error: &dyn Error) -> String {
    let source = error.source().map(words).unwrap_or_default();
    format!("{error}: {source}")
}

fn generate(engine: &mut OpenAi, requests: &[GenerateRequest]) -> Vec<Completion> {
    let mut completions = Collect::default();
    engine.generate(requests, &mut completions).unwrap();
    completions.0.sort_by_key(|completion| (completion.request, completion.sample));
    completions.0
}

fn tokens(completions: &[Completion]) -> Vec<(usize, usize, Vec<TokenId>)> {
    completions.iter().map(|one| (one.request, one.sample, one.tokens.clone())).collect()
}

#[test]
fn what_the_script_can_do_is_found() {
    let server = Fake::start();
    let engine = connect(settings(&[&server]));
    let (_, can) = engine.servers().next().unwrap();
    assert_eq!(can.program(), "vLLM 0.0.0");
    assert!(can.token_ids && can.several && can.seeds == Seeds::Obeyed && can.scoring.is_some(), "{can:?}");
    assert!(can.regex.is_none() && can.json_schema.is_none() && can.choices.is_none(), "{can:?}");
    assert_eq!(engine.info().context_length, 511);
}

#[test]
fn ten_thousand_requests_through_faulty_servers_give_each_sample_once() {
    let (first, second) = (Fake::start(), Fake::start());
    let mut engine = connect(OpenAiSettings {
        in_flight: NonZeroU32::new(256).unwrap(),
        timeout: Duration::from_mins(1),
        ..settings(&[&first, &second])
    });
    let requests: Vec<GenerateRequest> = (0..1000).map(|number| request(number, 10)).collect();
    for server in [&first, &second] {
        server.state.is_faulty.store(true, Ordering::SeqCst);
        server.state.room.store(120, Ordering::SeqCst);
    }
    let mut completions = Collect::default();
    let usage = engine.generate(&requests, &mut completions).unwrap();
    let mut seen: HashMap<(usize, usize), Completion> = HashMap::new();
    for completion in completions.0 {
        let place = (completion.request, completion.sample);
        assert!(seen.insert(place, completion).is_none(), "{place:?} came twice");
    }
    assert_eq!(seen.len(), 10_000);
    let (mut read, mut generated) = (0, 0);
    for ((number, sample), completion) in seen {
        let prompt = engine.tokenize(&requests[number].prompt).unwrap();
        let ids: Vec<u64> = prompt.iter().map(|token| u64::from(token.0)).collect();
        let seed = requests[number].seeds[sample].0;
        let sent = (seed ^ (seed >> 33)) & 0x7fff_ffff;
        let expected: Vec<TokenId> =
            Fake::sample(&ids, sent, 12).into_iter().map(|token| TokenId(token as u32)).collect();
        assert_eq!(completion.tokens, expected, "request {number}, sample {sample}");
        assert_eq!(completion.text, engine.detokenize(&expected).unwrap());
        assert_eq!(completion.log_probs.len(), expected.len());
        read += prompt.len() as u64;
        generated += expected.len() as u64;
    }
    // Whatever the servers say that it took.
    assert_eq!((usage.read, usage.generated), (read, generated));
    for server in [&first, &second] {
        assert!(server.state.answered.load(Ordering::SeqCst) > 2000, "one server did almost all");
    }
}

#[test]
fn scores_come_whole_through_faulty_servers() {
    let server = Fake::start();
    let mut engine = connect(settings(&[&server]));
    let requests: Vec<ScoreRequest> = (0..100)
        .map(|number| ScoreRequest {
            prompt: Prompt::user(format!("Question {number}?")),
            continuations: vec![
                Continuation::open("yes"),
                Continuation::closed(""),
                Continuation::open(""),
                Continuation::closed("no, never"),
            ],
        })
        .collect();
    let mut score = || {
        let mut scored = vec![None; requests.len()];
        engine
            .score(&requests, &mut |request, scores| {
                assert!(scored[request].replace(scores).is_none(), "request {request} came twice");
                ControlFlow::Continue(())
            })
            .unwrap();
        scored
    };
    let well = score();
    server.state.is_faulty.store(true, Ordering::SeqCst);
    assert_eq!(score(), well);
    assert!(well.iter().all(|scores| scores.as_ref().is_some_and(|scores| scores.len() == 4)));
}

#[test]
fn a_server_that_dies_leaves_its_work_to_the_others() {
    let (dead, well) = (Fake::start(), Fake::start());
    let requests: Vec<GenerateRequest> = (0..50).map(|number| request(number, 2)).collect();
    let alone = generate(&mut connect(settings(&[&well])), &requests);
    let mut engine = connect(settings(&[&dead, &well]));
    dead.state.script.lock().unwrap().extend(vec![Instead::Nothing; 10_000]);
    assert_eq!(tokens(&generate(&mut engine, &requests)), tokens(&alone));
}

#[test]
fn the_time_that_a_server_asks_for_is_kept() {
    let server = Fake::start();
    let mut engine = connect(settings(&[&server]));
    server.state.times.lock().unwrap().clear();
    let refusal = Instead::Status(429, "Retry-After: 1\r\n", "slow down".into());
    server.state.script.lock().unwrap().push(refusal);
    assert_eq!(generate(&mut engine, &[request(1, 1)]).len(), 1);
    let times = server.state.times.lock().unwrap().clone();
    assert_eq!(times.len(), 2);
    assert!(times[1] - times[0] >= Duration::from_millis(950), "{:?}", times[1] - times[0]);
}

#[test]
fn what_a_server_refuses_is_not_sent_again() {
    let server = Fake::start();
    let mut engine = connect(settings(&[&server]));
    let before = server.state.requests.load(Ordering::SeqCst);
    server.state.script.lock().unwrap().push(Instead::Status(400, "", "max_tokens is not for you".into()));
    let error = engine.generate(&[request(1, 1)], &mut Collect::default()).unwrap_err();
    assert!(words(&error).contains("status 400: max_tokens is not for you"), "{}", words(&error));
    assert_eq!(server.state.requests.load(Ordering::SeqCst), before + 1);
}

#[test]
fn what_fails_again_and_again_is_given_up_with_the_reason() {
    let server = Fake::start();
    let mut engine = connect(settings(&[&server]));
    let failures = vec![Instead::Status(500, "", "a bad day".into()); 100];
    server.state.script.lock().unwrap().extend(failures);
    let error = engine.generate(&[request(1, 1)], &mut Collect::default()).unwrap_err();
    let words = words(&error);
    assert!(words.contains("a bad day") && words.contains("sent 12 times"), "{words}");
}

#[test]
fn a_server_that_is_gone_is_given_up_after_the_patience() {
    let server = Fake::start();
    let quick = settings(&[&server]);
    let retry = Retry { patience: Duration::from_millis(100), ..quick.retry };
    let mut engine = connect(OpenAiSettings { retry, timeout: Duration::from_secs(2), ..quick });
    let refusals = vec![Instead::Status(429, "", "later".into()); 10_000];
    server.state.script.lock().unwrap().extend(refusals);
    let error = engine.generate(&[request(1, 1)], &mut Collect::default()).unwrap_err();
    assert!(words(&error).contains("has no room (status 429): later"), "{}", words(&error));
}

#[test]
fn nobody_waits_an_hour() {
    let server = Fake::start();
    let mut engine = connect(settings(&[&server]));
    let refusal = Instead::Status(429, "Retry-After: 3600\r\n", "later".into());
    server.state.script.lock().unwrap().push(refusal);
    let error = engine.generate(&[request(1, 1)], &mut Collect::default()).unwrap_err();
    assert!(words(&error).contains("every server asks to be left alone, for 35"), "{}", words(&error));
}

#[test]
fn the_number_in_flight_follows_what_the_server_takes() {
    let server = Fake::start();
    let mut engine = connect(settings(&[&server]));
    server.state.room.store(4, Ordering::SeqCst);
    let requests: Vec<GenerateRequest> = (0..300).map(|number| request(number, 2)).collect();
    assert_eq!(generate(&mut engine, &requests).len(), 600);
    // It begins with 16, and none was sent far beyond what there was room for.
    assert!(server.state.most.load(Ordering::SeqCst) <= 32);
}

#[test]
fn a_cancelled_call_ends_at_once_and_the_engine_goes_on() {
    struct First(usize);
    impl CompletionSink for First {
        fn completed(&mut self, _: Completion) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Break(())
        }
    }
    let server = Fake::start();
    let mut engine = connect(settings(&[&server]));
    let requests: Vec<GenerateRequest> = (0..200).map(|number| request(number, 1)).collect();
    let mut first = First(0);
    let result = engine.generate(&requests, &mut first);
    assert!(matches!(result, Err(BackendError::Cancelled)), "{result:?}");
    assert_eq!(first.0, 1);
    assert_eq!(generate(&mut engine, &requests).len(), 200);
}

#[test]
fn a_budget_of_tokens_ends_the_work_before_it_is_overdrawn() {
    let server = Fake::start();
    let budget = Budget { tokens: Some(2000), ..Budget::default() };
    let meter = budget.meter.clone();
    let mut engine = connect(OpenAiSettings { budget, ..settings(&[&server]) });
    let requests: Vec<GenerateRequest> = (0..500).map(|number| request(number, 1)).collect();
    let mut completions = Collect::default();
    let error = engine.generate(&requests, &mut completions).unwrap_err();
    assert!(words(&error).contains("the budget is spent"), "{}", words(&error));
    let Tokens { prompt, generated } = meter.spent();
    assert!((1500..=2000).contains(&(prompt + generated)), "{prompt} and {generated}");
    assert!(completions.0.len() < 500 && !completions.0.is_empty());
}

#[test]
fn a_budget_of_money_counts_by_the_price() {
    let server = Fake::start();
    let price = Price { prompt: 1000.0, generated: 10_000.0 };
    let budget = Budget { money: Some(Money { limit: 5.0, price }), ..Budget::default() };
    let meter = budget.meter.clone();
    let mut engine = connect(OpenAiSettings { budget, ..settings(&[&server]) });
    let requests: Vec<GenerateRequest> = (0..500).map(|number| request(number, 1)).collect();
    let error = engine.generate(&requests, &mut Collect::default()).unwrap_err();
    assert!(words(&error).contains("the budget is spent"), "{}", words(&error));
    assert!((4.0..=5.0).contains(&price.of(meter.spent())), "{}", price.of(meter.spent()));
}

#[test]
fn a_key_opens_a_server_and_is_shown_nowhere() {
    const KEY: &str = "sk-test-0123456789abcdef";
    let server = Fake::with(Some(KEY), true);
    let error = |settings| words(&OpenAi::connect(&tiny(), settings).err().unwrap());
    let without = error(settings(&[&server]));
    assert!(without.contains("LANCER_SERVER_KEY"), "{without}");
    let wrong = ApiKey::new("sk-wrong-9876543210", "").unwrap();
    let with_wrong = error(OpenAiSettings { key: Some(wrong), ..settings(&[&server]) });
    assert!(!with_wrong.contains("9876"), "{with_wrong}");
    let right = OpenAiSettings { key: Some(ApiKey::new(KEY, "").unwrap()), ..settings(&[&server]) };
    assert!(!format!("{right:?}").contains("0123"), "{right:?}");
    let mut engine = connect(right);
    assert_eq!(generate(&mut engine, &[request(1, 2)]).len(), 2);
    let said = format!("the key {KEY} is not for this");
    server.state.script.lock().unwrap().push(Instead::Status(400, "", said));
    let error = engine.generate(&[request(1, 1)], &mut Collect::default()).unwrap_err();
    let words = words(&error);
    assert!(words.contains("the key [key] is not for this") && !words.contains(KEY), "{words}");
}

#[test]
fn a_server_that_cannot_score_is_refused_before_and_while_it_is_asked() {
    let server = Fake::with(None, false);
    let mut engine = connect(settings(&[&server]));
    let error = engine.require(Need::Scores).unwrap_err().to_string();
    assert!(error.contains("--score-with ENGINE"), "{error}");
    let asked = ScoreRequest { prompt: Prompt::user("a"), continuations: vec![Continuation::open("b")] };
    let error = engine.score(&[asked], &mut |_, _| ControlFlow::Continue(())).unwrap_err();
    assert!(words(&error).contains("--score-with ENGINE"), "{}", words(&error));
}

#[test]
fn a_server_that_is_not_there_is_named_with_what_to_do() {
    let settings = OpenAiSettings::new(vec!["http://127.0.0.1:9".parse().unwrap()]);
    let begin = Instant::now();
    let error = words(&OpenAi::connect(&tiny(), settings).err().unwrap());
    assert!(error.contains("http://127.0.0.1:9 cannot be reached"), "{error}");
    assert!(begin.elapsed() < Duration::from_mins(1));
}
