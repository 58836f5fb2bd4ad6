//! The addresses, and what each answers.

mod control;
mod judge;
mod records;
mod runs;
mod talk;

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    app::{App, waiting},
    error::ApiError,
    feed::watch_run,
    http::{Answer, Method, Reply, Request},
    page,
};

/// The run that is asked about.
#[derive(Deserialize)]
pub(crate) struct OfRun {
    pub(crate) run: String,
}

/// What answers at an address.
type Handler = fn(&App, &Request) -> Result<Reply, ApiError>;

/// The answer to a request that the guard has let through.
pub(crate) async fn answer(app: Arc<App>, request: Request) -> Result<Answer, ApiError> {
    if let (Method::Get, Some(file)) = (request.method, page::file(&request.path)) {
        return Ok(Answer::Whole(file));
    }
    if (request.method, request.path.as_str()) == (Method::Get, "/api/run/events") {
        let OfRun { run } = request.asked()?;
        let place = app.run(&run)?;
        return Ok(Answer::Events(watch_run(&app, run, place)));
    }
    let handler = handler(&request)?;
    waiting(move || handler(&app, &request)).await.map(Answer::Whole)
}

fn handler(request: &Request) -> Result<Handler, ApiError> {
    let (method, handler): (Method, Handler) = match request.path.as_str() {
        "/api/about" => (Method::Get, runs::about),
        "/api/runs" => (Method::Get, runs::list),
        "/api/run" => (Method::Get, runs::one),
        "/api/compare" => (Method::Get, runs::compare),
        "/api/records" => (Method::Get, records::page),
        "/api/record" => (Method::Get, records::one),
        "/api/batch" => (Method::Get, records::step),
        "/api/queue" => (Method::Get, judge::next),
        "/api/agreement" => (Method::Get, judge::agree),
        "/api/judge" => (Method::Post, judge::decide),
        "/api/command" => (Method::Post, control::command),
        "/api/start" => (Method::Post, control::start),
        "/api/stop" => (Method::Post, control::stop),
        "/api/resume" => (Method::Post, control::resume),
        "/api/talk" => (Method::Post, talk::answer),
        _ => return Err(ApiError::not_found("there is nothing at this address")),
    };
    if request.method == method {
        Ok(handler)
    } else {
        Err(ApiError::new(405, "this address is not asked like this"))
    }
}
