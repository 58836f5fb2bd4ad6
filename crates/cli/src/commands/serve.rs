//! `lancer serve`: runs on a local web page.

use std::{
    collections::VecDeque,
    env, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::ControlFlow,
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
};

use clap::Args;
use lancer_backend::{Message, Role, Seed, break_special_tokens};
use lancer_serve::{Program, ServeError, ServeSettings, Talk, TalkTurn, new_token, serve};
use serde::Serialize;

use crate::{
    engines::EngineOptions,
    failure::Failure,
    interrupt,
    output::Output,
    speaker::{SpeakOptions, Speaker},
};

/// So many models are kept for the next turn.
const LOADED: usize = 2;

/// Show the runs in a folder on a web page: watch them, find where an example came from, judge, compare, talk to their models.
///
/// Only this machine reaches the page. With --bind others do, who need the token that is printed then.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder of runs.
    #[arg(default_value = "runs")]
    folder: PathBuf,
    /// The port; 0 takes a free one.
    #[arg(long, value_name = "N", default_value_t = 7788)]
    port: u16,
    /// The address at which the page is; 0.0.0.0 is all of this machine's.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// What has to be given to see the page, at least 16 letters and digits; `LANCER_SERVE_TOKEN` in the environment says it where
    /// other users must not see it. A new one is made where other machines reach the page.
    #[arg(long, value_name = "TEXT")]
    token: Option<String>,
    /// Another name under which browsers reach the page, such as a proxy's; may be repeated.
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Under which name judgements are written.
    #[arg(long, value_name = "NAME")]
    person: Option<String>,
    #[command(flatten)]
    engine: EngineOptions,
}

#[derive(Serialize)]
struct Ready {
    address: String,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let is_local = arguments.bind.is_loopback();
    let given = arguments.token.clone().or_else(|| env::var("LANCER_SERVE_TOKEN").ok());
    let token = match given {
        Some(token) if token.len() < 16 || !token.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            return Err(Failure::usage("--token: give at least 16 letters and digits"));
        }
        Some(token) => Some(token),
        None if is_local => None,
        None => Some(new_token()?),
    };
    let person =
        arguments.person.clone().or_else(|| env::var("USER").ok()).unwrap_or_else(|| "someone".into());
    let settings = ServeSettings {
        folder: arguments.folder.clone(),
        address: SocketAddr::new(arguments.bind, arguments.port),
        token: token.clone(),
        hosts: arguments.hosts.clone(),
        person,
    };
    let ready = |address: SocketAddr| {
        let query = token.map(|token| format!("?token={token}")).unwrap_or_default();
        output.print(&Ready { address: format!("http://{address}/{query}") }, |ready| {
            outln!("{}", ready.address);
            outln!("Ctrl-C ends it; runs that were started from the page go on.");
        });
    };
    let watching = interrupt::watch();
    serve(settings, Arc::new(This::new(arguments.engine.clone())), ready, || interrupt::flow().is_break())?;
    drop(watching);
    Ok(())
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::NoToken { .. } => Self::Usage(error.into()),
            error => Self::Failed(error.into()),
        }
    }
}

/// This program, for the page.
struct This {
    /// Where the models are, on a thread that they do not leave.
    talks: mpsc::Sender<(Talk, mpsc::Sender<Result<String, String>>)>,
}

impl This {
    fn new(engine: EngineOptions) -> Self {
        let (talks, asked) = mpsc::channel::<(Talk, mpsc::Sender<Result<String, String>>)>();
        thread::spawn(move || {
            let mut loaded = VecDeque::new();
            while let Ok((talk, answered)) = asked.recv() {
                // Who has asked may have gone.
                let _ = answered.send(answer(&engine, &mut loaded, &talk));
            }
        });
        Self { talks }
    }
}

impl Program for This {
    fn executable(&self) -> io::Result<PathBuf> {
        env::current_exe()
    }

    fn interrupt(&self, process: u32) -> io::Result<()> {
        interrupt::ask(process)
    }

    fn answer(&self, talk: Talk) -> Result<String, String> {
        let (answered, answer) = mpsc::channel();
        let gone = |_| "the thread that holds the models has ended; start `lancer serve` again".to_owned();
        self.talks.send((talk, answered)).map_err(|_| gone(mpsc::RecvError))?;
        answer.recv().map_err(gone)?
    }
}

/// The answer of a model, which is loaded unless it was asked lately.
fn answer(
    engine: &EngineOptions,
    loaded: &mut VecDeque<(PathBuf, Speaker)>,
    talk: &Talk,
) -> Result<String, String> {
    let place = loaded.iter().position(|(model, _)| *model == talk.model);
    let (model, mut speaker) = if let Some(known) = place.and_then(|place| loaded.remove(place)) {
        known
    } else {
        // Room first: more may not fit into memory.
        loaded.truncate(LOADED - 1);
        (talk.model.clone(), Speaker::load(engine, &talk.model).map_err(|error| chain(&error))?)
    };
    let chat: Vec<Message> = talk.turns.iter().map(message).collect();
    let options = SpeakOptions {
        temperature: talk.temperature,
        top_p: 0.95,
        max_tokens: talk.max_tokens.clamp(1, 4096),
    };
    let answered =
        speaker.answer(&chat, options, Seed(talk.seed), &|| -> ControlFlow<()> { interrupt::flow() });
    loaded.push_front((model, speaker));
    answered.map_err(|error| chain(&error))
}

fn message(turn: &TalkTurn) -> Message {
    let role = match turn.role.as_str() {
        "system" => Role::System,
        "assistant" => Role::Assistant,
        _ => Role::User,
    };
    Message::new(role, break_special_tokens(&turn.content))
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
