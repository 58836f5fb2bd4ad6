//! Which program a server is, and which model it serves.

use serde_json::Value;

use super::reach;
use crate::{
    AdapterInterface, Capabilities, ServerAddress, ServerError, Software,
    http::Client,
    wire::{ModelBody, Models},
};

/// The program, its version and interfaces, and the model.
pub(super) fn identify(
    client: &Client,
    server: &ServerAddress,
    model: Option<&str>,
) -> Result<Capabilities, ServerError> {
    let answer = reach(server, || client.get(server, "/v1/models"))?;
    let base = || server.base().to_owned();
    if matches!(answer.status, 401 | 403) {
        return Err(ServerError::Key { server: base(), status: answer.status });
    }
    let not_openai = |reason: String| ServerError::NotOpenAi { server: base(), reason };
    if !answer.is_success() {
        let said = client.shown(&answer.error_text());
        return Err(not_openai(format!("it answers /v1/models with status {}: {said}", answer.status)));
    }
    let models: Models = serde_json::from_slice(&answer.body)
        .map_err(|error| not_openai(format!("its list of models (/v1/models) cannot be read: {error}")))?;
    let found = choose(&models.data, model, server)?;
    let mut can = Capabilities::unknown(found.id.clone());
    let meta = found.meta.as_ref();
    can.parameters = meta.and_then(|meta| meta.parameters);
    can.context_length =
        found.max_model_len.or_else(|| meta.and_then(|meta| meta.context.or(meta.trained_context)));
    let get = |path: &str| -> Option<Value> {
        let answer = client.get(server, path).ok()?;
        if answer.is_success() { answer.json().ok() } else { None }
    };
    let description = get("/openapi.json").unwrap_or_default();
    can.software = match found.owned_by.as_deref() {
        Some("vllm") => Software::Vllm,
        Some("sglang") => Software::Sglang,
        Some("llamacpp") => Software::LlamaCpp,
        _ if text(&description, "/info/title").contains("llama.cpp Python") => Software::LlamaCppPython,
        _ => Software::Other,
    };
    match can.software {
        Software::Vllm => can.version = text(&get("/version").unwrap_or_default(), "/version"),
        Software::Sglang => {
            let info = get("/server_info").or_else(|| get("/get_server_info")).unwrap_or_default();
            can.version = text(&info, "/version");
        }
        Software::LlamaCpp => {
            let props = get("/props").unwrap_or_default();
            can.version = text(&props, "/build_info");
            // What one request may take, where the server's context is divided among several.
            let slot = props.pointer("/default_generation_settings/n_ctx").and_then(Value::as_u64);
            can.context_length = slot.map(|length| length as usize).or(can.context_length);
        }
        Software::LlamaCppPython => can.version = text(&description, "/info/version"),
        Software::Other => {}
    }
    let has = |path: &str| description.get("paths").is_some_and(|paths| paths.get(path).is_some());
    can.adapters = match can.software {
        Software::Vllm if has("/v1/load_lora_adapter") => Some(AdapterInterface::Vllm),
        Software::Sglang if has("/load_lora_adapter") => Some(AdapterInterface::Sglang),
        _ => None,
    };
    can.new_weights = can.software == Software::Sglang && has("/update_weights_from_disk");
    Ok(can)
}

/// The model of that name; without a name the only one, adapters left out.
fn choose<'a>(
    models: &'a [ModelBody],
    asked: Option<&str>,
    server: &ServerAddress,
) -> Result<&'a ModelBody, ServerError> {
    let known = || {
        let names: Vec<String> = models.iter().take(20).map(|model| format!("`{}`", model.id)).collect();
        if names.is_empty() { "no model".into() } else { names.join(", ") }
    };
    let server = || server.base().to_owned();
    if let Some(name) = asked {
        return models.iter().find(|model| model.id == name).ok_or_else(|| ServerError::NoModel {
            server: server(),
            asked: name.into(),
            known: known(),
        });
    }
    let mut of_their_own = models.iter().filter(|model| model.parent.is_none());
    match (of_their_own.next(), of_their_own.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(ServerError::WhichModel { server: server(), known: known() }),
    }
}

fn text(json: &Value, place: &str) -> String {
    json.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned()
}
