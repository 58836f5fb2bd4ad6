//! Servers of the field, for real: vLLM, llama.cpp's server and that of llama-cpp-python, on this machine.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod real;

use std::path::Path;

use lancer_backend::{Backend, Collect, GenerateRequest, Prompt};
use lancer_openai::{
    ChoicesField, GeneratedLogProbs, Need, OpenAi, OpenAiSettings, PromptForm, RegexField, SchemaField,
    Scoring, Seeds, Software,
};
use lancer_skipped::skip;
use real::{Server, conforms, default_model, program};

fn connect(server: &Server, model: &Path) -> OpenAi {
    let engine = OpenAi::connect(model, OpenAiSettings::new(vec![server.address.parse().unwrap()]));
    let engine = engine
        .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", std::error::Error::source(&error), server.log()));
    for (server, can) in engine.servers() {
        eprintln!("{server}: {}", can.program());
        for (what, words) in can.in_words() {
            eprintln!("  {what}: {words}");
        }
    }
    engine
}

#[test]
fn vllm_does_what_every_engine_does() {
    let (Some(python), Some(model)) = (program("LANCER_VLLM_PYTHON"), default_model()) else {
        skip!(
            "LANCER_VLLM_PYTHON names no Python with vLLM, or the default model is absent; `cargo xtask test --servers` installs it"
        );
        return;
    };
    let server = Server::vllm(&python, &model);
    let mut engine = connect(&server, &model);
    {
        let (_, can) = engine.servers().next().unwrap();
        assert_eq!(can.software, Software::Vllm);
        assert_eq!(can.prompts, PromptForm::Tokens);
        assert_eq!(can.seeds, Seeds::Obeyed);
        assert_eq!(can.log_probs, GeneratedLogProbs::Raw);
        assert_eq!(can.scoring, Some(Scoring::PromptLogprobs));
        assert_eq!(can.regex, Some(RegexField::StructuredOutputs));
        assert_eq!(can.json_schema, Some(SchemaField::StructuredOutputs));
        assert_eq!(can.choices, Some(ChoicesField::StructuredOutputs));
        assert!(can.token_ids && can.several && can.stops && !can.own_sampling);
        assert_eq!(can.context_length, Some(2048));
    }
    engine.require(Need::Scores).unwrap();
    conforms(&mut engine, &[]);
}

#[test]
fn llama_cpp_does_what_it_says() {
    let (Some(llama_server), Some(model)) = (program("LANCER_LLAMA_SERVER"), default_model()) else {
        skip!(
            "LANCER_LLAMA_SERVER names no llama-server, or the default model is absent; `cargo xtask test --servers` builds it"
        );
        return;
    };
    let server = Server::llama_cpp(&llama_server, &model);
    let mut engine = connect(&server, &model);
    {
        let (_, can) = engine.servers().next().unwrap();
        assert_eq!(can.software, Software::LlamaCpp);
        assert_eq!(can.prompts, PromptForm::Tokens);
        assert_eq!(can.scoring, None);
        assert!(can.token_ids && can.stops);
    }
    engine.require(Need::Scores).unwrap_err();
    conforms(
        &mut engine,
        &[
            // It scores nothing.
            "generated log-probabilities are the scored ones",
            "scores do not depend on their company",
            "the end of the turn is scored last",
            "what is forgotten changes no bit",
            "nothing asked, nothing given",
            "a cancelled call leaves the engine usable",
            "a prompt that is too long is named",
            // It has no field for one.
            "a regular expression is obeyed",
        ],
    );
}

#[test]
fn llama_cpp_python_takes_text() {
    let (Some(python), Some(model)) = (program("LANCER_LLAMA_CPP_PYTHON"), default_model()) else {
        skip!(
            "LANCER_LLAMA_CPP_PYTHON names no Python with llama-cpp-python[server], or the default model is absent; `cargo xtask test --servers` installs it"
        );
        return;
    };
    let server = Server::llama_cpp_python(&python, &model);
    let mut engine = connect(&server, &model);
    {
        let (_, can) = engine.servers().next().unwrap();
        assert_eq!(can.software, Software::LlamaCppPython);
        assert_eq!(can.prompts, PromptForm::Text);
        assert_eq!(can.scoring, None);
    }
    let request = GenerateRequest::new(Prompt::user("What is the capital of France?")).max_tokens(12);
    let mut draw = || {
        let mut completions = Collect::default();
        engine.generate(std::slice::from_ref(&request), &mut completions).unwrap();
        completions.0.remove(0)
    };
    let (one, again) = (draw(), draw());
    assert!(!one.text.is_empty() && one.tokens.len() <= 12, "{one:?}");
    assert_eq!((one.text, one.tokens), (again.text, again.tokens));
}
