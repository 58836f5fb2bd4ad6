//! Instruction following: the share of verifiable instructions that a generated response follows.

use std::sync::Arc;

use lancer_backend::{Completion, GenerateRequest, Prompt, Sampling, Seed, answer_of};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    EvalError, InstructionResult, ItemDetail,
    instruction::Instruction,
    record::Record,
    written_answer::{WrittenAnswer, greedy},
};

/// The `[instruction_following]` section of a task file, as in `IFEval` (Zhou et al. 2023, arXiv 2311.07911).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstructionFollowing {
    /// The field with the names of the instructions, such as `punctuation:no_comma`.
    #[serde(default = "instructions")]
    pub instructions: String,
    /// The field with their arguments: a list of objects, one for each instruction.
    #[serde(default = "arguments")]
    pub arguments: String,
    /// What an item's value is.
    #[serde(default)]
    pub measure: InstructionMeasure,
    /// The largest number of tokens that the model may write, 1 to 65536.
    #[serde(default = "max_tokens")]
    pub max_tokens: usize,
    /// The response ends where one of these appears.
    #[serde(default)]
    pub stop: Vec<String>,
    /// How the response is sampled; greedy by default.
    #[serde(default = "greedy")]
    pub sampling: Sampling,
}

/// What the value of an item with instructions is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstructionMeasure {
    /// Whether all instructions are followed by the response as it stands.
    #[default]
    PromptStrict,
    /// Whether each is followed in one of eight forms of the response, such as without its first line.
    PromptLoose,
    /// How many instructions are followed of all instructions of all items.
    InstructionStrict,
    /// The same in one of the eight forms.
    InstructionLoose,
}

fn instructions() -> String {
    "instruction_id_list".into()
}

fn arguments() -> String {
    "kwargs".into()
}

fn max_tokens() -> usize {
    1280
}

/// The instructions of an item.
#[derive(Debug, Clone)]
pub(crate) struct InstructionItem {
    settings: Arc<InstructionFollowing>,
    instructions: Vec<Instruction>,
}

impl InstructionFollowing {
    /// Checks the ranges; the error is the setting and the reason.
    pub(crate) fn validate(&self) -> Result<(), (&'static str, String)> {
        self.written_answer().validate([
            "instruction_following.max_tokens",
            "instruction_following.stop",
            "instruction_following.sampling",
        ])
    }

    fn written_answer(&self) -> WrittenAnswer<'_> {
        WrittenAnswer { max_tokens: self.max_tokens, stop: &self.stop, sampling: self.sampling }
    }

    pub(crate) fn item(settings: &Arc<Self>, record: &Record) -> Result<InstructionItem, EvalError> {
        let names = record.texts(&settings.instructions)?;
        let none = Map::new();
        let arguments: Vec<&Map<String, Value>> = match record.get(&settings.arguments)? {
            Value::Array(values) => values.iter().map(|value| value.as_object().unwrap_or(&none)).collect(),
            _ => Vec::new(),
        };
        if arguments.len() != names.len() {
            let reason = format!("expected a list of {} objects, one for each instruction", names.len());
            return Err(record.error(&settings.arguments, reason));
        }
        let instructions = names
            .iter()
            .zip(arguments)
            .map(|(name, arguments)| Instruction::new(record, &settings.instructions, name, arguments))
            .collect::<Result<_, _>>()?;
        Ok(InstructionItem { settings: Arc::clone(settings), instructions })
    }
}

impl InstructionItem {
    pub(crate) fn request(&self, prompt: Prompt, seed: Seed) -> GenerateRequest {
        self.settings.written_answer().request(prompt, seed)
    }

    /// The item's value, its weight and what it comes from.
    pub(crate) fn judge(&self, completion: Completion) -> (f64, f64, ItemDetail) {
        let text = completion.text;
        let answer = answer_of(&text);
        let instructions: Vec<InstructionResult> = self
            .instructions
            .iter()
            .map(|instruction| InstructionResult {
                instruction: instruction.id().to_owned(),
                strict: instruction.strictly(answer),
                loose: instruction.loosely(answer),
            })
            .collect();
        // An item has at least one instruction.
        let all = instructions.len();
        let strict = instructions.iter().filter(|result| result.strict).count();
        let loose = instructions.iter().filter(|result| result.loose).count();
        let prompt = |followed: usize| (f64::from(u8::from(followed == all)), 1.0);
        let each = |followed: usize| (followed as f64 / all as f64, all as f64);
        let (value, weight) = match self.settings.measure {
            InstructionMeasure::PromptStrict => prompt(strict),
            InstructionMeasure::PromptLoose => prompt(loose),
            InstructionMeasure::InstructionStrict => each(strict),
            InstructionMeasure::InstructionLoose => each(loose),
        };
        let detail = ItemDetail::InstructionFollowing {
            text,
            instructions,
            tokens: completion.tokens.len(),
            finish: completion.finish,
        };
        (value, weight, detail)
    }
}
