//! `lancer chat`: talk to a model, or to two at once.

use std::{
    io::{self, BufRead, IsTerminal, Read},
    path::PathBuf,
};

use clap::Args;
use lancer_backend::{BackendError, Message, Seed, break_special_tokens};
use serde::Serialize;

use crate::{
    engines::EngineOptions,
    failure::Failure,
    interrupt,
    options::default_model,
    output::Output,
    shown,
    speaker::{SpeakOptions, Speaker},
};

/// Talk to a model. In a terminal every line is a turn (/new begins anew, /quit ends); piped input is one turn.
#[derive(Args)]
pub(crate) struct Arguments {
    /// A GGUF file or a Hugging Face folder; the default model where it is left out.
    model: Option<PathBuf>,
    /// Another model that answers the same chat, to compare the two.
    #[arg(long, value_name = "MODEL")]
    compare: Option<PathBuf>,
    /// A system prompt before the chat.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Decides what is drawn at random; every turn has a seed that follows from it.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    speak: SpeakOptions,
    #[command(flatten)]
    engine: EngineOptions,
}

/// An answer, as JSON.
#[derive(Serialize)]
struct Answer {
    model: PathBuf,
    turn: usize,
    response: String,
}

/// A model and what was said to it and by it.
struct Chat {
    model: PathBuf,
    speaker: Speaker,
    messages: Vec<Message>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let first = match &arguments.model {
        Some(model) => model.clone(),
        None => default_model()?,
    };
    let mut chats = Vec::new();
    for model in [Some(first), arguments.compare.clone()].into_iter().flatten() {
        let speaker = Speaker::load(&arguments.engine, &model)?;
        chats.push(Chat { model, speaker, messages: beginning(arguments) });
    }
    if !io::stdin().is_terminal() {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        if text.trim().is_empty() {
            return Err(Failure::usage("there is nothing to answer: the input is empty"));
        }
        return turn(arguments, &mut chats, text.trim_end(), 0, output);
    }
    errln!("/new begins anew, /quit ends");
    let mut number = 0;
    let mut lines = io::stdin().lock().lines();
    loop {
        errln!("\nyou:");
        let Some(text) = lines.next().transpose()? else { return Ok(()) };
        match text.trim() {
            "" => {}
            "/quit" => return Ok(()),
            "/new" => {
                for chat in &mut chats {
                    chat.messages = beginning(arguments);
                }
                number = 0;
            }
            text => {
                turn(arguments, &mut chats, text, number, output)?;
                number += 1;
            }
        }
    }
}

fn beginning(arguments: &Arguments) -> Vec<Message> {
    arguments.system.iter().map(|text| Message::system(plain(text))).collect()
}

/// A person's text, in which nothing is a special token.
fn plain(text: &str) -> String {
    break_special_tokens(text)
}

/// Every model answers.
fn turn(
    arguments: &Arguments,
    chats: &mut [Chat],
    text: &str,
    number: usize,
    output: Output,
) -> Result<(), Failure> {
    let several = chats.len() > 1;
    for chat in chats {
        chat.messages.push(Message::user(plain(text)));
        let seed = Seed(arguments.seed).derive(&format!("turn {number}"));
        let watching = interrupt::watch();
        let answered = chat.speaker.answer(&chat.messages, arguments.speak, seed, &interrupt::flow);
        drop(watching);
        let response = match answered {
            Err(BackendError::Cancelled) => {
                return Err(Failure::Interrupted("interrupted; the answer is not finished".into()));
            }
            answered => answered?,
        };
        chat.messages.push(Message::assistant(response.clone()));
        let answer = Answer { model: chat.model.clone(), turn: number, response };
        output.print(&answer, |answer| {
            if several {
                outln!("\n{}", answer.model.display());
            }
            outln!("{}", shown::shown(&answer.response));
        });
    }
    Ok(())
}
