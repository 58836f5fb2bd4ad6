//! Options of engines that are servers somewhere else.

use std::path::PathBuf;

use clap::Args;
use lancer_evolve::ServerSettings;

use super::BackendName;

/// Which servers run models, and what they may cost.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Servers (--backend openai)")]
pub(crate) struct ServerOptions {
    /// A server with OpenAI's interface, as http://HOST:PORT or <https://HOST>, with ,weight=N where it is to get N times as much
    /// work as others; may be repeated. All of them serve the model whose tokenizer is at --model.
    #[arg(long = "server", value_name = "URL")]
    urls: Vec<String>,
    /// The model's name at the servers; their only one if left out.
    #[arg(long = "server-model", value_name = "NAME")]
    model: Option<String>,
    /// A file with the key that the servers ask for; the variable `LANCER_SERVER_KEY` if left out. It is written nowhere.
    #[arg(long = "server-key-file", value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
    /// How long one request may take, in seconds.
    #[arg(long = "server-timeout", value_name = "SECONDS", default_value_t = 600)]
    pub(super) timeout: u64,
    /// The engine on this machine that scores given text, where the servers give no log-probabilities of it.
    #[arg(long, value_enum, value_name = "ENGINE")]
    pub(super) score_with: Option<BackendName>,
    /// Tokens that may go through the servers, read and written; the command ends before a request that could take more.
    #[arg(long = "server-tokens", value_name = "N")]
    pub(super) tokens: Option<u64>,
    /// Money that may be spent at the servers, by --server-price.
    #[arg(long = "server-money", value_name = "AMOUNT", requires = "price")]
    pub(super) money: Option<f64>,
    /// The price of a million tokens read and of a million tokens written, such as 0.5,1.5.
    #[arg(long = "server-price", value_name = "READ,WRITTEN", value_parser = price, id = "price")]
    pub(super) price: Option<(f64, f64)>,
    /// The command that restarts the servers with a new model.
    #[arg(skip)]
    #[cfg_attr(not(feature = "openai"), expect(dead_code, reason = "only servers are restarted"))]
    pub(super) restart: Option<String>,
}

fn price(text: &str) -> Result<(f64, f64), String> {
    let wrong = || "give two numbers with a comma between, such as 0.5,1.5".to_owned();
    let (read, written) = text.split_once(',').ok_or_else(wrong)?;
    let number =
        |text: &str| text.trim().parse::<f64>().ok().filter(|price| *price >= 0.0 && price.is_finite());
    Ok((number(read).ok_or_else(wrong)?, number(written).ok_or_else(wrong)?))
}

impl ServerOptions {
    /// What a recipe records of them.
    pub(crate) fn recorded_in(&self, settings: &mut ServerSettings) {
        if !self.urls.is_empty() {
            settings.urls.clone_from(&self.urls);
        }
        if self.model.is_some() {
            settings.model.clone_from(&self.model);
        }
        if let Some(engine) = self.score_with {
            settings.score_with = Some(engine.name().into());
        }
    }

    /// These options with what a recipe has.
    pub(super) fn of_recipe(&self, settings: &ServerSettings) -> Result<Self, String> {
        let score_with = settings.score_with.as_deref().map(super::named).transpose()?;
        Ok(Self {
            urls: settings.urls.clone(),
            model: settings.model.clone(),
            restart: settings.restart.clone(),
            score_with: score_with.or(self.score_with),
            ..self.clone()
        })
    }

    /// Whether an engine on this machine scores.
    pub(crate) fn scores_here(&self) -> bool {
        self.score_with.is_some()
    }

    pub(super) fn urls(&self) -> &[String] {
        &self.urls
    }

    #[cfg_attr(not(feature = "openai"), expect(dead_code, reason = "only servers have names for models"))]
    pub(super) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }
}
