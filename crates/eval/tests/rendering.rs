//! The prompts and choices that the task files of docs/tasks give are those of lm-evaluation-harness's own task files
//! (`fixtures/eval/make_rendering.py`).

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{fs, ops::ControlFlow, path::Path};

use lancer_backend::{
    Backend, BackendError, CompletionSink, GenerateRequest, ModelInfo, Prompt, ScoreRequest,
    ScoredContinuation, Seed, TokenId, Usage, scripted::ScriptedBackend,
};
use lancer_eval::{ItemDetail, ItemResult, Task, TaskSpec, evaluate};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct Case {
    task: String,
    records: Vec<Map<String, Value>>,
    expected: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    prompt: String,
    continuations: Vec<String>,
    correct: usize,
}

/// Keeps what it is asked, and finds everything equally likely.
#[derive(Default)]
struct Asked(Vec<ScoreRequest>);

impl Backend for Asked {
    fn info(&self) -> ModelInfo {
        ScriptedBackend::new(|_, _| String::new()).info()
    }

    fn tokenize(&self, _: &Prompt) -> Result<Vec<TokenId>, BackendError> {
        Ok(Vec::new())
    }

    fn detokenize(&self, _: &[TokenId]) -> Result<String, BackendError> {
        Ok(String::new())
    }

    fn generate(&mut self, _: &[GenerateRequest], _: &mut dyn CompletionSink) -> Result<Usage, BackendError> {
        unreachable!("nothing is generated here")
    }

    fn score(
        &mut self,
        requests: &[ScoreRequest],
        sink: &mut dyn FnMut(usize, Vec<ScoredContinuation>) -> ControlFlow<()>,
    ) -> Result<Usage, BackendError> {
        self.0.extend_from_slice(requests);
        for (index, request) in requests.iter().enumerate() {
            let scored =
                ScoredContinuation { tokens: vec![TokenId(0)], log_probs: vec![-1.0], is_greedy: false };
            let _ = sink(index, vec![scored; request.continuations.len()]);
        }
        Ok(Usage::default())
    }
}

#[test]
fn prompts_and_choices_are_those_of_lm_evaluation_harness() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let fixture = fs::read_to_string(folder.join("fixtures/eval/rendering.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&fixture).unwrap();
    for case in cases {
        let file = folder.join("docs/tasks").join(&case.task).with_extension("toml");
        let task = Task::new(TaskSpec::load(&file).unwrap(), case.records).unwrap();
        let mut asked = Asked::default();
        let mut results: Vec<ItemResult> = Vec::new();
        let items: Vec<usize> = (0..task.len()).collect();
        evaluate(&mut asked, &task, &items, Seed(1), &mut results).unwrap();
        assert_eq!(results.len(), case.expected.len(), "{}", case.task);
        for ((request, result), expected) in asked.0.iter().zip(&results).zip(&case.expected) {
            assert_eq!(request.prompt, Prompt::Text(expected.prompt.clone()), "{}", case.task);
            let continuations: Vec<&str> =
                request.continuations.iter().map(|continuation| continuation.text.as_str()).collect();
            assert_eq!(continuations, expected.continuations, "{}", case.task);
            let ItemDetail::MultipleChoice { correct, .. } = &result.detail else { panic!("{result:?}") };
            assert_eq!(correct, &[expected.correct], "{}", case.task);
        }
    }
}
