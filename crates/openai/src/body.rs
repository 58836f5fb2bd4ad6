//! A request in the words of the server that gets it.

use lancer_backend::{Constraint, Grammar, Penalties, RandomSampling, Sampling, Seed, TokenId};
use serde_json::{Map, Value, json};

use crate::{
    Capabilities, ChoicesField, RegexField, SchemaField, Scoring, Software,
    wire::{Body, PromptBody},
};

/// The number that a server gets for a seed: 31 bits, the fewest that a server of ours takes.
pub(crate) fn seed_number(seed: Seed) -> u64 {
    (seed.0 ^ (seed.0 >> 33)) & 0x7fff_ffff
}

/// How a server samples and what it tells, for one request.
pub(crate) struct Asked<'a> {
    pub(crate) sampling: Sampling,
    /// How logits are changed; `None` changes nothing.
    pub(crate) penalties: Option<&'a Penalties>,
    pub(crate) seed: Option<Seed>,
    pub(crate) stop: &'a [String],
    pub(crate) constraint: &'a Constraint,
    /// The tokens that end the model's turn or its text.
    pub(crate) ends: &'a [u32],
}

/// The body of a request for samples, without its prompt. Every setting of sampling is said, so that no default of the
/// server's or of the model's `generation_config.json` counts.
pub(crate) fn of_samples(can: &Capabilities, asked: &Asked<'_>, max_tokens: usize, samples: usize) -> Body {
    let random = match asked.sampling {
        Sampling::Greedy => RandomSampling { temperature: 0.0, ..RandomSampling::default() },
        Sampling::Random(random) => random,
    };
    let neutral = Penalties::default();
    let penalties = asked.penalties.unwrap_or(&neutral);
    let mut body = Body {
        model: can.model.clone(),
        max_tokens,
        temperature: random.temperature,
        top_p: Some(random.top_p),
        n: (samples > 1).then_some(samples),
        seed: asked.seed.map(seed_number),
        stop: asked.stop.iter().filter(|stop| !stop.is_empty()).cloned().collect(),
        own: sampling_fields(can.software, random, penalties, asked.ends),
        ..Body::default()
    };
    if can.token_ids {
        body.logprobs = Some(1);
        body.own.extend(token_fields(can.software));
    }
    body.own.extend(held_to(can, asked.constraint));
    body
}

/// The body of a request for the log-probability of each of some tokens. One token is generated and not looked at: some
/// servers take 0 for no limit.
pub(crate) fn of_scores(can: &Capabilities, form: Scoring, tokens: Vec<TokenId>) -> Body {
    let mut body = Body {
        model: can.model.clone(),
        prompt: Some(PromptBody::Tokens(tokens)),
        max_tokens: 1,
        temperature: 0.0,
        ..Body::default()
    };
    match form {
        // The token itself, with its place among all tokens.
        Scoring::PromptLogprobs => {
            body.own.insert("prompt_logprobs".into(), json!(0));
        }
        Scoring::Echo => {
            body.echo = Some(true);
            body.logprobs = Some(1);
        }
    }
    body
}

/// Cuts, penalties and biases, all of them said, so that no default of the server's own counts.
fn sampling_fields(
    software: Software,
    random: RandomSampling,
    penalties: &Penalties,
    ends: &[u32],
) -> Map<String, Value> {
    let top_k = random.top_k.map(|top_k| i64::from(top_k.get()));
    let mut fields = object(match software {
        Software::Vllm | Software::Sglang => json!({
            "top_k": top_k.unwrap_or(-1),
            "min_p": random.min_p,
            "repetition_penalty": penalties.repetition,
            "stop_token_ids": ends,
        }),
        // In the order in which every engine samples.
        Software::LlamaCpp => json!({
            "samplers": ["penalties", "temperature", "top_k", "top_p", "min_p"],
            "top_k": top_k.unwrap_or(0),
            "min_p": random.min_p,
            "repeat_penalty": penalties.repetition,
            "repeat_last_n": -1,
        }),
        Software::LlamaCppPython => json!({
            "top_k": top_k.unwrap_or(0),
            "min_p": random.min_p,
            "repeat_penalty": penalties.repetition,
        }),
        Software::Other => json!({}),
    });
    if software != Software::Other || !penalties.are_neutral() {
        fields.insert("presence_penalty".into(), json!(penalties.presence));
        fields.insert("frequency_penalty".into(), json!(penalties.frequency));
    }
    if !penalties.bias.is_empty() {
        let bias = penalties.bias.iter().map(|(token, bias)| (token.0.to_string(), json!(bias)));
        fields.insert("logit_bias".into(), Value::Object(bias.collect()));
    }
    fields
}

/// Why a server that is known by OpenAI's interface alone cannot sample as asked: that interface has no field for it.
pub(crate) fn cannot_sample(can: &Capabilities, sampling: Sampling, penalties: &Penalties) -> Option<String> {
    if can.software != Software::Other {
        return None;
    }
    let cuts = matches!(sampling, Sampling::Random(random) if random.top_k.is_some() || random.min_p > 0.0);
    let repeats = (penalties.repetition - 1.0).abs() > 0.0;
    let setting = match (cuts, repeats) {
        (true, _) => "top_k and min_p",
        (_, true) => "repetition_penalty",
        _ => return None,
    };
    Some(format!(
        "OpenAI's interface has no field for {setting}, and what the server at hand adds to it is not known; leave them at their defaults"
    ))
}

/// What makes a server give the ids of tokens.
fn token_fields(software: Software) -> Map<String, Value> {
    object(match software {
        Software::Vllm => json!({ "return_token_ids": true, "return_tokens_as_token_ids": true }),
        Software::Sglang => json!({ "return_token_ids": true }),
        Software::LlamaCpp | Software::LlamaCppPython | Software::Other => json!({}),
    })
}

/// What holds a text to a constraint; nothing where the server cannot, which is refused before.
fn held_to(can: &Capabilities, constraint: &Constraint) -> Map<String, Value> {
    object(match constraint {
        Constraint::Free => json!({}),
        Constraint::Choices(choices) => match can.choices {
            Some(ChoicesField::StructuredOutputs) => json!({ "structured_outputs": { "choice": choices } }),
            Some(ChoicesField::Regex) => json!({ "regex": one_of(choices) }),
            Some(ChoicesField::Grammar) => json!({ "grammar": gbnf(choices) }),
            None => json!({}),
        },
        Constraint::Grammar(Grammar::Regex(pattern)) => match can.regex {
            Some(RegexField::StructuredOutputs) => json!({ "structured_outputs": { "regex": pattern } }),
            Some(RegexField::Regex) => json!({ "regex": pattern }),
            None => json!({}),
        },
        Constraint::Grammar(Grammar::JsonSchema(schema)) => {
            let mut object: Value = serde_json::from_str(schema).unwrap_or_default();
            // What llguidance alone knows.
            if let Some(fields) = object.as_object_mut() {
                fields.remove("x-guidance");
            }
            match can.json_schema {
                Some(SchemaField::StructuredOutputs) => json!({ "structured_outputs": { "json": object } }),
                Some(SchemaField::JsonSchemaText) => json!({ "json_schema": object.to_string() }),
                Some(SchemaField::JsonSchema) => json!({ "json_schema": object }),
                Some(SchemaField::ResponseFormat) => json!({ "response_format": {
                    "type": "json_schema",
                    "json_schema": { "name": "answer", "schema": object, "strict": true },
                } }),
                None => json!({}),
            }
        }
    })
}

/// The regular expression of some texts.
fn one_of(choices: &[String]) -> String {
    let escaped = |text: &String| -> String {
        text.chars().fold(String::new(), |mut escaped, c| {
            if c.is_ascii_punctuation() {
                escaped.push('\\');
            }
            escaped.push(c);
            escaped
        })
    };
    format!("({})", choices.iter().map(escaped).collect::<Vec<_>>().join("|"))
}

/// llama.cpp's grammar (GBNF) of some texts, whose strings are escaped as JSON's are.
fn gbnf(choices: &[String]) -> String {
    let quoted: Vec<String> = choices.iter().map(|text| json!(text).to_string()).collect();
    format!("root ::= {}", quoted.join(" | "))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_have_31_bits_and_differ() {
        let numbers: std::collections::BTreeSet<u64> =
            (0..1000).map(|n| seed_number(Seed(1).derive(&n.to_string()))).collect();
        assert_eq!(numbers.len(), 1000);
        assert!(numbers.iter().all(|&number| number < 1 << 31));
    }

    #[test]
    fn choices_are_escaped() {
        let choices = ["a.b".to_owned(), "c\"d".to_owned()];
        assert_eq!(one_of(&choices), r#"(a\.b|c\"d)"#);
        assert_eq!(gbnf(&choices), r#"root ::= "a.b" | "c\"d""#);
    }
}
