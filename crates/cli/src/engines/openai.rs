//! Servers with OpenAI's interface: connecting to them, saying what they can do, and giving them new models.

use std::{error::Error, path::Path, time::Duration};

use lancer_backend::{Backend, BackendError};
use lancer_openai::{ApiKey, Budget, Money, Need, OpenAi, OpenAiSettings, Price, Seeds};

use super::{EngineOptions, Scores, known_models::KnownModels, scored_elsewhere::ScoredElsewhere};

/// The connection of a command or a run.
pub(super) type Connection = OpenAi;

/// Connects to the servers, prints what they can do, and checks that it is enough.
pub(super) fn connect(
    options: &EngineOptions,
    model: &Path,
    scores: Scores,
) -> Result<Connection, BackendError> {
    let failed = |source: Box<dyn Error + Send + Sync>| BackendError::Load { path: model.into(), source };
    let settings = settings(options).map_err(failed)?;
    let connection = OpenAi::connect(model, settings)?;
    for (server, can) in connection.servers() {
        let length = can.context_length.map_or_else(String::new, |length| format!(", {length} tokens"));
        errln!("server {server}: {}, model `{}`{length}", can.program(), can.model);
        for (what, words) in can.in_words() {
            errln!("  {what:<35} {words}");
        }
        if can.seeds == Seeds::Ignored {
            errln!(
                "  note                                a run that was stopped goes on with other samples than it would have drawn"
            );
        }
    }
    if scores == Scores::Asked && options.servers.score_with.is_none() {
        connection.require(Need::Scores).map_err(|error| failed(error.into()))?;
    }
    Ok(connection)
}

/// The engine of a connection, with scores from this machine where that was asked for. `model` is what the servers run.
pub(super) fn backend(
    options: &EngineOptions,
    connection: &Connection,
    model: &Path,
) -> Result<Box<dyn Backend>, BackendError> {
    let written = Box::new(connection.clone());
    let Some(engine) = options.servers.score_with else { return Ok(written) };
    let local = EngineOptions { backend: Some(engine), ..options.clone() };
    let scored = super::backend(&local, model, Scores::Asked)?;
    Ok(Box::new(ScoredElsewhere { written, scored }))
}

/// Makes the servers of a run, which begins with the model `first`, run `model`, unless they do.
pub(super) fn serve(
    options: &EngineOptions,
    connection: &mut Connection,
    known: &mut KnownModels,
    first: &Path,
    model: &Path,
) -> Result<(), BackendError> {
    let now = connection.fingerprint();
    if known.is_empty() && model == first {
        // A run begins with what its servers run.
        known.keep(model, now);
        return Ok(());
    }
    if now.tells() && known.of(model) == Some(&now) {
        return Ok(());
    }
    errln!("the servers get the model {}", model.display());
    let others = known.but_for(model);
    let fingerprint = connection.serve(model, options.servers.restart.as_deref(), &others)?;
    known.keep(model, fingerprint);
    Ok(())
}

fn settings(options: &EngineOptions) -> Result<OpenAiSettings, Box<dyn Error + Send + Sync>> {
    let servers = &options.servers;
    let addresses = servers.urls().iter().map(|url| url.parse()).collect::<Result<Vec<_>, _>>()?;
    let default = OpenAiSettings::new(addresses);
    let money = servers
        .money
        .zip(servers.price)
        .map(|(limit, (prompt, generated))| Money { limit, price: Price { prompt, generated } });
    Ok(OpenAiSettings {
        model: servers.model().map(str::to_owned),
        key: ApiKey::find(servers.key_file.as_deref())?,
        in_flight: options.parallel.unwrap_or(default.in_flight),
        timeout: Duration::from_secs(servers.timeout.max(1)),
        budget: Budget { tokens: servers.tokens, money, ..Budget::default() },
        ..default
    })
}
