//! Verifiable instructions (Zhou et al. 2023, arXiv 2311.07911): what a response must have, checked by a program.
//!
//! The checks are those of lm-evaluation-harness's `ifeval/instructions.py`, a family a file; fixtures/eval/ifeval.json has
//! its own judgements of generated responses. Left out are four that need a sentence splitter or a language detector with
//! learned tables: see [`LEFT_OUT`].

mod arguments;
mod capitals;
mod combination;
mod content;
mod ends;
mod format;
mod keywords;
mod length;
mod relation;

use std::{fmt, sync::Arc};

use serde_json::{Map, Value};

use crate::{EvalError, record::Record};
use arguments::Arguments;

/// Instructions of `IFEval` that are not checked here.
const LEFT_OUT: [(&str, &str); 4] = [
    ("language:response_language", "a language detector"),
    ("change_case:english_capital", "a language detector"),
    ("change_case:english_lowercase", "a language detector"),
    ("length_constraints:number_sentences", "a trained sentence splitter"),
];

/// Whether a response follows an instruction.
type Check = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// An instruction that a program can check.
#[derive(Clone)]
pub(crate) struct Instruction {
    id: String,
    check: Arc<Check>,
}

impl fmt::Debug for Instruction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Instruction").field(&self.id).finish()
    }
}

impl Instruction {
    /// The instruction `id` with its arguments. `field` has the instructions' names, for errors.
    pub(crate) fn new(
        record: &Record,
        field: &str,
        id: &str,
        arguments: &Map<String, Value>,
    ) -> Result<Self, EvalError> {
        let arguments = Arguments { record, instruction: id, values: arguments };
        let check = match id {
            "keywords:existence" => keywords::existence(&arguments)?,
            "keywords:frequency" => keywords::frequency(&arguments)?,
            "keywords:forbidden_words" => keywords::forbidden_words(&arguments)?,
            "keywords:letter_frequency" => keywords::letter_frequency(&arguments)?,
            "length_constraints:number_paragraphs" => length::paragraphs(&arguments)?,
            "length_constraints:number_words" => length::words(&arguments)?,
            "length_constraints:nth_paragraph_first_word" => length::first_word_of_paragraph(&arguments)?,
            "detectable_content:number_placeholders" => content::placeholders(&arguments)?,
            "detectable_content:postscript" => content::postscript(&arguments)?,
            "detectable_format:number_bullet_lists" => format::bullets(&arguments)?,
            "detectable_format:constrained_response" => format::constrained_response(),
            "detectable_format:number_highlighted_sections" => format::highlights(&arguments)?,
            "detectable_format:multiple_sections" => format::sections(&arguments)?,
            "detectable_format:json_format" => format::json(),
            "detectable_format:title" => format::title(&arguments)?,
            "combination:two_responses" => combination::two_responses(),
            "combination:repeat_prompt" => combination::repeated_prompt(&arguments)?,
            "startend:end_checker" => ends::end(&arguments)?,
            "startend:quotation" => ends::quotation(),
            "change_case:capital_word_frequency" => capitals::words(&arguments)?,
            "punctuation:no_comma" => Box::new(|response: &str| !response.contains(',')),
            _ => {
                let needed = LEFT_OUT.iter().find(|(left_out, _)| *left_out == id);
                return Err(record.error(
                    field,
                    match needed {
                        Some((_, needed)) => format!(
                            "the instruction `{id}` needs {needed}, which lancer does not have; leave such records out"
                        ),
                        None => format!("the instruction `{id}` is not one of IFEval's"),
                    },
                ));
            }
        };
        Ok(Self { id: id.to_owned(), check: Arc::new(check) })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Whether the response follows the instruction as it stands.
    pub(crate) fn strictly(&self, response: &str) -> bool {
        !response.trim().is_empty() && (self.check)(response)
    }

    /// Whether it does so in any of eight forms: with and without its first line, its last line and its asterisks.
    pub(crate) fn loosely(&self, response: &str) -> bool {
        let lines: Vec<&str> = response.split('\n').collect();
        let within = |begin: usize, end: usize| {
            lines.get(begin..end).map(|lines| lines.join("\n").trim().to_owned()).unwrap_or_default()
        };
        let forms = [
            response.to_owned(),
            within(1, lines.len()),
            within(0, lines.len() - 1),
            within(1, lines.len() - 1),
        ];
        forms.iter().any(|form| self.strictly(form) || self.strictly(&form.replace('*', "")))
    }
}
