//! Talking to the models of a run.

use std::path::{Path, PathBuf};

use lancer_evolve::{Run, models};
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    error::ApiError,
    http::{Reply, Request},
    program::{Talk, TalkTurn},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedTalk {
    run: String,
    /// The number of the model; 0 is the model before the run.
    model: u32,
    turns: Vec<TalkTurn>,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    temperature: f32,
    max_tokens: usize,
}

#[derive(Serialize)]
struct Answer {
    response: String,
}

pub(super) fn answer(app: &App, request: &Request) -> Result<Reply, ApiError> {
    let asked: AskedTalk = request.told()?;
    let model = file_of(&app.run(&asked.run)?, asked.model)?;
    let is_asked = asked.turns.last().is_some_and(|turn| turn.role == "user" && !turn.content.is_empty());
    if !is_asked {
        return Err(ApiError::bad("turns: the last one has to be the user's"));
    }
    let talk = Talk {
        model,
        turns: asked.turns,
        seed: asked.seed,
        temperature: asked.temperature,
        max_tokens: asked.max_tokens,
    };
    let response = app.program.answer(talk).map_err(|reason| ApiError::new(422, reason))?;
    Reply::json(&Answer { response })
}

/// The file or folder of a model of a run.
fn file_of(run: &Path, number: u32) -> Result<PathBuf, ApiError> {
    let mut places = vec![models::gguf(run, number)];
    if number == 0 {
        places.extend(Run::recipe_of(run)?.map(|recipe| recipe.model));
    } else {
        places.push(models::trainable(run, number));
    }
    let found = places.into_iter().find(|place| place.exists());
    found.ok_or_else(|| ApiError::not_found(format!("the run has no model M_{number}")))
}
