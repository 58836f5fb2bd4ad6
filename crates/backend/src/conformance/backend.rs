//! Cases for [`Backend`].

use std::ops::ControlFlow;

use super::{Case, TOLERANCE, assert_close};
use crate::{
    Backend, BackendError, Collect, Completion, CompletionSink, Constraint, Continuation, Finish,
    GenerateRequest, Grammar, Prompt, Sampling, ScoreRequest, ScoredContinuation, Seed, TokenId,
};

type Run = fn(&mut dyn Backend);

/// What every [`Backend`] does.
pub const BACKEND: &[Case<Run>] = &[
    Case { name: "greedy decoding repeats", run: greedy_repeats },
    Case { name: "samples differ, and repeat under their seeds", run: samples_repeat },
    Case { name: "a sample does not depend on its company", run: company_does_not_matter },
    Case { name: "generated log-probabilities are the scored ones", run: generated_is_scored },
    Case { name: "a stop string ends the text before it", run: stop_strings },
    Case { name: "max_tokens is a limit", run: max_tokens },
    Case { name: "a constraint is obeyed", run: choices },
    Case { name: "a regular expression is obeyed", run: regular_expression },
    Case { name: "a JSON schema is obeyed", run: json_schema },
    Case { name: "tokens give back their text", run: tokens_round_trip },
    Case { name: "scores do not depend on their company", run: scores_alone_and_together },
    Case { name: "the end of the turn is scored last", run: end_of_turn },
    Case { name: "a cancelled call leaves the engine usable", run: cancelled },
    Case { name: "what is forgotten changes no bit", run: forgotten },
    Case { name: "nothing asked, nothing given", run: nothing },
    Case { name: "an invalid request is named", run: invalid_requests },
    Case { name: "a prompt that is too long is named", run: too_long },
];

fn prompts() -> Vec<Prompt> {
    vec![
        Prompt::user("What is the capital of France?"),
        Prompt::user("What is the colour of the sky?"),
        Prompt::text("Once upon a time there was a small"),
        Prompt::user("Write one sentence about the sea."),
    ]
}

fn random() -> Sampling {
    Sampling::nucleus(1.0, 0.95)
}

fn generate(engine: &mut dyn Backend, requests: &[GenerateRequest]) -> Vec<Completion> {
    let mut collected = Collect::default();
    engine.generate(requests, &mut collected).expect("valid requests are generated");
    let mut completions = collected.0;
    completions.sort_by_key(|completion| (completion.request, completion.sample));
    let expected: Vec<(usize, usize)> = requests
        .iter()
        .enumerate()
        .flat_map(|(request, asked)| (0..asked.seeds.len()).map(move |sample| (request, sample)))
        .collect();
    let found: Vec<(usize, usize)> = completions.iter().map(|one| (one.request, one.sample)).collect();
    assert_eq!(found, expected, "each sample of each request is given once");
    completions
}

fn score(engine: &mut dyn Backend, requests: &[ScoreRequest]) -> Vec<Vec<ScoredContinuation>> {
    let mut scored = vec![None; requests.len()];
    engine
        .score(requests, &mut |request, continuations| {
            assert!(scored[request].replace(continuations).is_none(), "request {request} is given twice");
            ControlFlow::Continue(())
        })
        .expect("valid requests are scored");
    scored
        .into_iter()
        .enumerate()
        .map(|(i, one)| one.unwrap_or_else(|| panic!("request {i} is not given")))
        .collect()
}

fn tokens(completions: &[Completion]) -> Vec<&[TokenId]> {
    completions.iter().map(|completion| completion.tokens.as_slice()).collect()
}

fn greedy_repeats(engine: &mut dyn Backend) {
    let requests: Vec<_> =
        prompts().into_iter().map(|prompt| GenerateRequest::new(prompt).max_tokens(24)).collect();
    let (one, two) = (generate(engine, &requests), generate(engine, &requests));
    assert_eq!(tokens(&one), tokens(&two), "greedy decoding gave other tokens the second time");
    for completion in one {
        assert_eq!(completion.tokens.len(), completion.log_probs.len(), "one log-probability a token");
        assert!(
            completion.log_probs.iter().all(|&log_prob| log_prob <= 0.0),
            "log-probabilities are not above 0"
        );
    }
}

fn samples_repeat(engine: &mut dyn Backend) {
    // The tiny models were trained on two stories that begin so; of the other prompts they are too sure to differ.
    let request =
        GenerateRequest::new(prompts().remove(2)).sampling(random()).samples(Seed(11), 6).max_tokens(24);
    let one = generate(engine, std::slice::from_ref(&request));
    let two = generate(engine, std::slice::from_ref(&request));
    assert_eq!(tokens(&one), tokens(&two), "the same seeds gave other samples");
    assert!(
        one.iter().any(|sample| sample.tokens != one[0].tokens),
        "six samples at temperature 1 are all the same"
    );
}

fn company_does_not_matter(engine: &mut dyn Backend) {
    let requests: Vec<_> = prompts()
        .into_iter()
        .map(|prompt| GenerateRequest::new(prompt).sampling(random()).samples(Seed(5), 3).max_tokens(16))
        .collect();
    let together = generate(engine, &requests);
    for (index, request) in requests.iter().enumerate() {
        for (sample, &seed) in request.seeds.iter().enumerate() {
            let alone = generate(engine, &[GenerateRequest { seeds: vec![seed], ..request.clone() }]);
            let other = &together[index * 3 + sample];
            assert_eq!(
                alone[0].tokens, other.tokens,
                "request {index}, sample {sample}: other tokens when alone"
            );
            assert_close("alone and together", &alone[0].log_probs, &other.log_probs, TOLERANCE);
        }
    }
}

fn generated_is_scored(engine: &mut dyn Backend) {
    let requests: Vec<_> =
        prompts().into_iter().map(|prompt| GenerateRequest::new(prompt).max_tokens(12)).collect();
    let mut compared = 0;
    for (completion, request) in generate(engine, &requests).into_iter().zip(&requests) {
        let continuation = Continuation::open(completion.text.clone());
        let asked = ScoreRequest { prompt: request.prompt.clone(), continuations: vec![continuation] };
        let scored = score(engine, &[asked]).remove(0).remove(0);
        // A text may be tokenised otherwise than it was written; then there is nothing to compare.
        if scored.tokens == completion.tokens {
            assert_close("generated and scored", &completion.log_probs, &scored.log_probs, TOLERANCE);
            assert!(scored.is_greedy, "greedy text is not scored as greedy: {:?}", completion.text);
            compared += 1;
        }
    }
    assert!(compared > 0, "no greedy text was tokenised as it was written");
}

fn stop_strings(engine: &mut dyn Backend) {
    let free = GenerateRequest::new(prompts().remove(3)).max_tokens(24);
    let text = generate(engine, std::slice::from_ref(&free)).remove(0).text;
    let middle: Vec<char> = text.chars().skip(text.chars().count() / 2).take(3).collect();
    let stop: String = middle.into_iter().collect();
    assert!(!stop.is_empty(), "greedy decoding gave no text to stop in");
    let stopped = generate(engine, &[free.stop(stop.clone())]).remove(0);
    assert_eq!(stopped.finish, Finish::Stop, "{stop:?} did not stop {text:?}");
    assert!(!stopped.text.contains(&stop), "{:?} holds its stop string {stop:?}", stopped.text);
    assert!(text.starts_with(&stopped.text), "{:?} is no beginning of {text:?}", stopped.text);
}

fn max_tokens(engine: &mut dyn Backend) {
    for prompt in prompts() {
        let limited = generate(engine, &[GenerateRequest::new(prompt).max_tokens(3)]).remove(0);
        assert!(limited.tokens.len() <= 3, "{} tokens, where 3 were the limit", limited.tokens.len());
        if limited.finish == Finish::MaxTokens {
            assert_eq!(limited.tokens.len(), 3);
        } else {
            assert_eq!(limited.finish, Finish::EndOfTurn);
        }
    }
}

fn choices(engine: &mut dyn Backend) {
    let choices: Vec<String> = ["yes", "no", "1", "10"].map(String::from).to_vec();
    for sampling in [Sampling::Greedy, random()] {
        let request = GenerateRequest::new(prompts().remove(0))
            .sampling(sampling)
            .samples(Seed(3), 8)
            .constraint(Constraint::Choices(choices.clone()));
        for completion in generate(engine, &[request]) {
            assert!(choices.contains(&completion.text), "{:?} is none of {choices:?}", completion.text);
            assert_eq!(completion.finish, Finish::Stop);
        }
    }
}

/// The texts of some samples that are held to a grammar and have room for the whole of it.
fn of_grammar(engine: &mut dyn Backend, grammar: &Grammar) -> Vec<String> {
    let mut texts = Vec::new();
    for sampling in [Sampling::Greedy, random()] {
        let request = GenerateRequest::new(prompts().remove(0))
            .sampling(sampling)
            .samples(Seed(4), 6)
            .max_tokens(64)
            .constraint(Constraint::Grammar(grammar.clone()));
        for completion in generate(engine, &[request]) {
            assert_eq!(completion.finish, Finish::Stop, "{:?} was not finished", completion.text);
            texts.push(completion.text);
        }
    }
    texts
}

fn regular_expression(engine: &mut dyn Backend) {
    let grammar = Grammar::Regex("(red|green) [0-9]{1,3}( é)?".into());
    for text in of_grammar(engine, &grammar) {
        let (colour, rest) = text.split_once(' ').unwrap_or_default();
        let number = rest.strip_suffix(" é").unwrap_or(rest);
        let is_number = (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        assert!(["red", "green"].contains(&colour) && is_number, "{text:?} is not of the expression");
    }
}

fn json_schema(engine: &mut dyn Backend) {
    let schema = r#"{"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}, "good": {"type": "boolean"}},
        "required": ["colour", "good"], "additionalProperties": false}"#;
    for text in of_grammar(engine, &Grammar::JsonSchema(schema.into())) {
        let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let is_valid = ["red", "blue"].iter().any(|colour| value["colour"] == **colour)
            && value["good"].is_boolean()
            && value.as_object().is_some_and(|fields| fields.len() == 2);
        assert!(is_valid, "{text:?} does not fulfil the schema");
    }
}

fn tokens_round_trip(engine: &mut dyn Backend) {
    for text in ["Hello, world!", "Two  spaces and\na line.", "naïve café, 東京, 🙂"] {
        let tokens = engine.tokenize(&Prompt::text(text)).expect("text is tokenised");
        let back = engine.detokenize(&tokens).expect("tokens are detokenised");
        assert_eq!(back, text, "{tokens:?}");
    }
}

fn scores_alone_and_together(engine: &mut dyn Backend) {
    // Some begin alike, some are the same, and one is all of another's beginning.
    let texts = [
        " Paris.",
        " London, of course",
        " I do not know",
        " London, of all cities",
        " London, of course",
        " London,",
        "",
        " Paris.",
    ];
    let continuations: Vec<_> = texts.map(Continuation::open).to_vec();
    let requests: Vec<_> = prompts()
        .into_iter()
        .map(|prompt| ScoreRequest { prompt, continuations: continuations.clone() })
        .collect();
    let together = score(engine, &requests);
    for (request, scored) in requests.iter().zip(&together) {
        assert_eq!(scored.len(), continuations.len(), "a score for each continuation");
        for (continuation, scored) in continuations.iter().zip(scored) {
            let asked =
                ScoreRequest { prompt: request.prompt.clone(), continuations: vec![continuation.clone()] };
            let alone = score(engine, &[asked]).remove(0).remove(0);
            assert_eq!(alone.tokens, scored.tokens, "other tokens when alone");
            assert_close("alone and together", &alone.log_probs, &scored.log_probs, TOLERANCE);
            assert_eq!(alone.is_greedy, scored.is_greedy, "greedy alone or together only");
        }
    }
}

fn end_of_turn(engine: &mut dyn Backend) {
    let request = ScoreRequest {
        prompt: prompts().remove(0),
        continuations: vec![
            Continuation::open("Paris."),
            Continuation::closed("Paris."),
            Continuation::closed(""),
        ],
    };
    let scored = score(engine, &[request]).remove(0);
    let (open, closed, empty) = (&scored[0], &scored[1], &scored[2]);
    assert_eq!(closed.tokens.len(), open.tokens.len() + 1, "the end of the turn is one token");
    assert_eq!(closed.tokens[..open.tokens.len()], open.tokens);
    assert_close("open and closed", &closed.log_probs[..open.tokens.len()], &open.log_probs, TOLERANCE);
    assert_eq!(empty.tokens, closed.tokens[open.tokens.len()..], "an empty turn is its end alone");
}

struct BreakAfter(usize, Vec<Completion>);

impl CompletionSink for BreakAfter {
    fn completed(&mut self, completion: Completion) -> ControlFlow<()> {
        self.1.push(completion);
        if self.1.len() >= self.0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

struct BreakAtOnce;

impl CompletionSink for BreakAtOnce {
    fn completed(&mut self, _: Completion) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn advanced(&mut self, _: usize) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

fn cancelled(engine: &mut dyn Backend) {
    let request =
        GenerateRequest::new(prompts().remove(0)).sampling(random()).samples(Seed(2), 4).max_tokens(16);
    let before = generate(engine, std::slice::from_ref(&request));

    let mut sink = BreakAfter(2, Vec::new());
    let cancelled = engine.generate(std::slice::from_ref(&request), &mut sink);
    assert!(matches!(cancelled, Err(BackendError::Cancelled)), "{cancelled:?}");
    assert_eq!(sink.1.len(), 2, "nothing is given after the sink has cancelled");
    let cancelled = engine.generate(std::slice::from_ref(&request), &mut BreakAtOnce);
    assert!(matches!(cancelled, Err(BackendError::Cancelled)), "{cancelled:?}");
    let asked =
        ScoreRequest { prompt: prompts().remove(0), continuations: vec![Continuation::open("Paris")] };
    let cancelled = engine.score(&[asked.clone(), asked], &mut |_, _| ControlFlow::Break(()));
    assert!(matches!(cancelled, Err(BackendError::Cancelled)), "{cancelled:?}");

    let after = generate(engine, std::slice::from_ref(&request));
    assert_eq!(tokens(&before), tokens(&after), "other samples after a cancelled call");
}

fn forgotten(engine: &mut dyn Backend) {
    let prompts = prompts();
    let asked: Vec<ScoreRequest> = prompts
        .iter()
        .map(|prompt| ScoreRequest {
            prompt: prompt.clone(),
            continuations: vec![Continuation::open("Paris is a city."), Continuation::closed("Blue.")],
        })
        .collect();
    let written: Vec<GenerateRequest> = prompts
        .iter()
        .map(|prompt| {
            GenerateRequest::new(prompt.clone()).sampling(random()).samples(Seed(5), 3).max_tokens(12)
        })
        .collect();
    let mut both = || {
        engine.forget();
        let scored = score(engine, &asked);
        engine.forget();
        let written = generate(engine, &written);
        // What is read here begins like what comes next.
        score(engine, &asked[1..2]);
        (scored, written)
    };
    let (first, again) = (both(), both());
    let scores = |scored: &[Vec<ScoredContinuation>]| -> Vec<Vec<u32>> {
        scored.iter().flatten().map(|one| bits(&one.log_probs)).collect()
    };
    assert_eq!(scores(&first.0), scores(&again.0), "other scores once the last call is forgotten");
    let samples = |written: &[Completion]| -> Vec<(Vec<TokenId>, Vec<u32>)> {
        written.iter().map(|one| (one.tokens.clone(), bits(&one.log_probs))).collect()
    };
    assert_eq!(samples(&first.1), samples(&again.1), "other samples once the last call is forgotten");
}

fn bits(log_probs: &[f32]) -> Vec<u32> {
    log_probs.iter().map(|log_prob| log_prob.to_bits()).collect()
}

fn nothing(engine: &mut dyn Backend) {
    assert!(generate(engine, &[]).is_empty());
    assert!(score(engine, &[]).is_empty());
    let request = GenerateRequest { seeds: Vec::new(), ..GenerateRequest::new(prompts().remove(0)) };
    assert!(generate(engine, &[request]).is_empty());
    let none = score(engine, &[ScoreRequest { prompt: prompts().remove(0), continuations: Vec::new() }]);
    assert_eq!(none, [Vec::new()]);
}

fn invalid_requests(engine: &mut dyn Backend) {
    let valid = GenerateRequest::new(prompts().remove(0)).max_tokens(4);
    let wrong = [
        GenerateRequest { prompt: Prompt::text(""), ..valid.clone() },
        GenerateRequest { prompt: Prompt::Tokens(Vec::new()), ..valid.clone() },
        GenerateRequest { prompt: Prompt::Tokens(vec![TokenId(u32::MAX)]), ..valid.clone() },
        valid.clone().sampling(Sampling::nucleus(0.0, 0.9)),
        valid.clone().sampling(Sampling::nucleus(0.7, 1.5)),
        valid.clone().max_tokens(0),
        valid.clone().constraint(Constraint::Choices(Vec::new())),
        valid.clone().constraint(Constraint::Choices(vec![String::new()])),
        valid.clone().constraint(Constraint::Grammar(Grammar::Regex("(".into()))),
        valid.clone().constraint(Constraint::Grammar(Grammar::JsonSchema("no JSON".into()))),
    ];
    for wrong in wrong {
        let mut sink = Collect::default();
        let result = engine.generate(&[valid.clone(), wrong.clone()], &mut sink);
        assert!(
            matches!(result, Err(BackendError::InvalidRequest { request: 1, .. })),
            "{result:?} for {wrong:?}"
        );
        assert!(sink.0.is_empty(), "a call with an invalid request gave a completion");
    }
}

fn too_long(engine: &mut dyn Backend) {
    let context = engine.info().context_length;
    let valid = GenerateRequest::new(prompts().remove(0)).max_tokens(4);
    let one = engine.tokenize(&Prompt::text("a")).expect("text is tokenised")[0];
    let long = GenerateRequest { prompt: Prompt::Tokens(vec![one; context]), ..valid.clone() };
    let result = engine.generate(&[valid, long.clone()], &mut Collect::default());
    assert!(matches!(result, Err(BackendError::TooLong { request: 1, .. })), "{result:?}");
    let asked = ScoreRequest { prompt: long.prompt, continuations: vec![Continuation::open("a")] };
    let result = engine.score(&[asked], &mut |_, _| ControlFlow::Continue(()));
    assert!(matches!(result, Err(BackendError::TooLong { request: 0, .. })), "{result:?}");
}
