//! Giving servers a new model after training, and checking that they run it.

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use lancer_backend::{BackendError, Tokenizer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    AdapterInterface, Capabilities, OpenAi, PromptForm, ServerAddress, ServerError, body,
    http::{Client, NoAnswer},
    scores,
    vocabulary::Vocabulary,
    wire::{COMPLETIONS, Completions, Models},
};

/// What makes a folder an adapter and no whole model.
const ADAPTER: &str = "adapter_config.json";

/// The variable in which the user's command finds the new model.
const MODEL_VARIABLE: &str = "LANCER_MODEL";

/// How long a server may take to be there again after the command that restarts it.
const RESTART: Duration = Duration::from_mins(30);

/// Between two looks whether it is there.
const LOOK: Duration = Duration::from_secs(1);

/// The text by whose log-probabilities two models are told apart.
const CHECKED: &str = "The sea is wide and blue, and nobody has ever counted its waves.";

/// The log-probabilities of the tokens of one text at each server; nothing for a server that gives none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(Vec<Option<Vec<f32>>>);

impl Fingerprint {
    /// Whether it tells models apart: every server gives log-probabilities.
    pub fn tells(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(Option::is_some)
    }
}

impl OpenAi {
    /// Gives every server the model in the folder `model`: as an adapter where it is one and the server takes adapters, by its
    /// interface for new weights, else by the user's command `restart`, which finds the folder in the variable
    /// `LANCER_MODEL` and ends when the servers are starting. Afterwards each server is asked whether it has a model of the
    /// name, and for its [`Fingerprint`], which is given back: it must be none of `others`, those of other models.
    ///
    /// # Errors
    /// [`BackendError::Load`] where a server cannot be given a model, or runs another one.
    pub fn serve(
        &mut self,
        model: &Path,
        restart: Option<&str>,
        others: &[Fingerprint],
    ) -> Result<Fingerprint, BackendError> {
        let failed = |server: &ServerAddress, reason: String| BackendError::Load {
            path: model.into(),
            source: ServerError::NewModel { server: server.base().into(), path: model.into(), reason }.into(),
        };
        let (client, addresses) = (&self.servers.client, &self.servers.settings.servers);
        let mut served: Vec<Capabilities> = self.can.to_vec();
        let mut to_restart = false;
        for (server, can) in addresses.iter().zip(&mut served) {
            to_restart |= !hand_over(client, server, can, model).map_err(|reason| failed(server, reason))?;
        }
        if to_restart {
            let command = restart.ok_or_else(|| failed(&addresses[0], no_way(&self.can[0])))?;
            run(command, model).map_err(|reason| failed(&addresses[0], reason))?;
        }
        let vocabulary = Vocabulary::load(model).ok().map_or_else(|| Arc::clone(&self.vocabulary), Arc::new);
        let named = self.servers.settings.model.as_deref();
        for (server, can) in addresses.iter().zip(&mut served) {
            confirm(client, server, can, named).map_err(|reason| failed(server, reason))?;
        }
        let given = Self { can: Arc::new(served), vocabulary, ..self.clone() };
        let fingerprint = given.fingerprint();
        for (place, server) in addresses.iter().enumerate() {
            let of = |print: &Fingerprint| print.0.get(place).cloned().flatten();
            let own = of(&fingerprint);
            if own.is_some() && others.iter().any(|other| of(other) == own) {
                let reason = "it gives the log-probabilities of another model, to the last bit".to_owned();
                return Err(failed(server, reason));
            }
        }
        let name = given.can[0].model.clone();
        *self = given;
        self.info.name = name;
        Ok(fingerprint)
    }

    /// The log-probabilities by which the servers' model is told from others.
    pub fn fingerprint(&self) -> Fingerprint {
        let client = &self.servers.client;
        Fingerprint(
            self.servers().map(|(server, can)| log_probs(client, server, can, &self.vocabulary)).collect(),
        )
    }
}

/// What to do where a server takes no new model.
fn no_way(can: &Capabilities) -> String {
    format!(
        "{} takes no new model while it runs; give the command that starts it with the new one: --set 'server.restart=\"...\"', which finds the model's folder in ${MODEL_VARIABLE} (docs/servers.md has examples)",
        can.program()
    )
}

/// Hands a model over through the server's own interface; `false` where it has none for it.
fn hand_over(
    client: &Client,
    server: &ServerAddress,
    can: &mut Capabilities,
    model: &Path,
) -> Result<bool, String> {
    let is_adapter = model.join(ADAPTER).exists();
    let folder = model.display().to_string();
    match (is_adapter, can.adapters) {
        (true, Some(interface)) => {
            let name = model.file_name().map(|name| name.to_string_lossy().into_owned());
            let name = name.unwrap_or_else(|| "adapter".into());
            let body = json!({ "lora_name": name, "lora_path": folder });
            match interface {
                AdapterInterface::Vllm => {
                    send(client, server, "/v1/load_lora_adapter", &body)?;
                    can.model = name;
                }
                AdapterInterface::Sglang => {
                    let answer = send(client, server, "/load_lora_adapter", &body)?;
                    taken(client, &answer)?;
                    let base = can.model.split(':').next().unwrap_or_default();
                    can.model = format!("{base}:{name}");
                }
            }
            Ok(true)
        }
        (false, _) if can.new_weights => {
            let answer = send(client, server, "/update_weights_from_disk", &json!({ "model_path": folder }))?;
            taken(client, &answer)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// `SGLang` says in its answer whether it took what it was given.
fn taken(client: &Client, answer: &Value) -> Result<(), String> {
    if answer["success"] != false {
        return Ok(());
    }
    Err(client.shown(answer["message"].as_str().unwrap_or("it does not take the weights")))
}

fn send(client: &Client, server: &ServerAddress, path: &str, body: &Value) -> Result<Value, String> {
    let answer = client.post(server, path, body).map_err(|error| error.to_string())?;
    if answer.is_success() {
        // vLLM answers with a sentence.
        return Ok(answer.json().unwrap_or_default());
    }
    Err(format!("{path} answers with status {}: {}", answer.status, client.shown(&answer.error_text())))
}

/// Runs the user's command.
fn run(command: &str, model: &Path) -> Result<(), String> {
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let output = Command::new(shell)
        .args([flag, command])
        .env(MODEL_VARIABLE, model)
        // What it starts in the background must not keep it open.
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .env_remove(crate::KEY_VARIABLE)
        .status()
        .map_err(|error| format!("the command of server.restart cannot be run: {error}"))?;
    if output.success() { Ok(()) } else { Err(format!("the command of server.restart ended with {output}")) }
}

/// Waits until the server is there and has a model of the name, which an only model may have changed.
fn confirm(
    client: &Client,
    server: &ServerAddress,
    can: &mut Capabilities,
    named: Option<&str>,
) -> Result<(), String> {
    let begin = Instant::now();
    loop {
        match names(client, server) {
            Ok(names) if names.contains(&can.model) => return Ok(()),
            // SGLang does not list its adapters everywhere.
            Ok(names)
                if can.model.split_once(':').is_some_and(|(base, _)| names.iter().any(|n| n == base)) =>
            {
                return Ok(());
            }
            Ok(names) => {
                if let ([only], None) = (names.as_slice(), named) {
                    can.model.clone_from(only);
                    return Ok(());
                }
                return Err(format!("it has no model `{}`; it has {}", can.model, names.join(", ")));
            }
            Err(_) if begin.elapsed() < RESTART => std::thread::sleep(LOOK),
            Err(error) => return Err(error),
        }
    }
}

fn names(client: &Client, server: &ServerAddress) -> Result<Vec<String>, String> {
    let answer = client.get(server, "/v1/models").map_err(|error: NoAnswer| error.to_string())?;
    if !answer.is_success() {
        return Err(format!("/v1/models answers with status {}", answer.status));
    }
    let models: Models = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    Ok(models.data.into_iter().map(|model| model.id).collect())
}

/// The log-probabilities of a text; `None` where the server gives none.
fn log_probs(
    client: &Client,
    server: &ServerAddress,
    can: &Capabilities,
    vocabulary: &Vocabulary,
) -> Option<Vec<f32>> {
    let form = can.scoring.filter(|_| can.prompts == PromptForm::Tokens)?;
    let tokens = vocabulary.document(CHECKED);
    let body = body::of_scores(can, form, tokens.clone());
    let answer = client.post(server, COMPLETIONS, &serde_json::to_value(&body).ok()?).ok()?;
    let answer: Completions = serde_json::from_slice(&answer.body).ok()?;
    Some(scores::read(answer.choices.first()?, form, &tokens, 1).ok()?.log_probs)
}
