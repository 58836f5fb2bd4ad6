//! Prints what a written review of pairs asks, a line of JSON for each pair, for other programs to answer.
//!
//! ```text
//! cargo run --release -p lancer-review --example rubric_requests -- pairs.jsonl 64
//! ```
//!
//! A line of `pairs.jsonl` has `prompt` and `response`; the number is the length of a review in tokens at most. A line of
//! what is printed has `content` (what the user says), `samples`, `max_tokens`, `temperature` and `top_p`.

use std::{cell::RefCell, collections::BTreeSet, error::Error, fs, rc::Rc};

use lancer_backend::{Seed, scripted::ScriptedBackend};
use lancer_review::{Item, Review, Reviewer, RubricSettings, review};
use serde::Deserialize;

#[derive(Deserialize)]
struct Pair {
    prompt: String,
    response: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pairs, max_tokens] = arguments.as_slice() else {
        return Err("give a file of pairs and the length of a review in tokens".into());
    };
    let items = fs::read_to_string(pairs)?
        .lines()
        .enumerate()
        .map(|(number, line)| {
            let pair: Pair = serde_json::from_str(line)?;
            Ok(Item::of_pair(number.to_string(), pair.prompt, pair.response))
        })
        .collect::<Result<Vec<_>, serde_json::Error>>()?;
    let settings = RubricSettings { max_tokens: max_tokens.parse()?, ..RubricSettings::default() };

    let asked = Rc::new(RefCell::new(BTreeSet::new()));
    let asked_by_engine = Rc::clone(&asked);
    let mut engine = ScriptedBackend::new(move |prompt, _seed| {
        asked_by_engine.borrow_mut().insert(prompt.to_owned());
        "score: 5".into()
    });
    let mut reviews: Vec<Review> = Vec::new();
    review(&mut engine, &Reviewer::Rubric(settings), &items, Seed(0), &mut reviews)?;

    for prompt in asked.borrow().iter() {
        // The scripted engine's own rendering of a chat is taken off again.
        let content = prompt.trim_start_matches("user: ").trim_end_matches("\nassistant: ");
        let request = serde_json::json!({
            "content": content,
            "samples": settings.samples,
            "max_tokens": settings.max_tokens,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
        });
        println!("{request}");
    }
    Ok(())
}
