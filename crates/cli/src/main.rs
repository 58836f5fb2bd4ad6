//! `lancer`: the command line.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no gain where one was required, 130 interrupted.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a reader that has gone must not end the program"
)]

#[macro_use]
mod output;

mod commands;
mod converted;
mod engines;
mod failure;
mod hub_model;
mod interrupt;
mod large_pages;
mod options;
mod place;
mod progress;
mod records;
mod shown;
mod speaker;
mod table;

use std::{num::NonZeroU64, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

#[cfg(feature = "serve")]
use crate::commands::serve;
use crate::{
    commands::{
        cache, chat, check, clean, compare, completions, convert, decode_parquet, dedup, diff, eval, evolve,
        generate, init, inspect, man, query, report, review, runs, settings, setup, train,
    },
    failure::Failure,
    large_pages::LargePagesOption,
    output::Output,
};

/// A language model improves itself: it reviews its seed data, writes new data, is trained on it, and starts over.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// Print results as JSON, and no progress bars.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    large_pages: LargePagesOption,
    /// How many times as long as a .gz or .zst file what it unpacks to may be, beyond the first GiB; 200 by default.
    #[arg(long, global = true, value_name = "N")]
    unpack_ratio: Option<NonZeroU64>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Init(init::Arguments),
    Settings(settings::Arguments),
    Evolve(Box<evolve::Arguments>),
    Compare(Box<compare::Arguments>),
    Review(review::Arguments),
    Generate(generate::Arguments),
    Clean(clean::Arguments),
    Dedup(dedup::Arguments),
    #[command(subcommand)]
    Train(train::Command),
    Eval(eval::Arguments),
    Convert(convert::Arguments),
    Report(report::Arguments),
    Runs(runs::Arguments),
    Inspect(inspect::Arguments),
    Query(query::Arguments),
    Diff(diff::Arguments),
    Chat(chat::Arguments),
    #[cfg(feature = "serve")]
    Serve(serve::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
    Cache(cache::Arguments),
    Check(check::Arguments),
    Setup(setup::Arguments),
    /// What a process of its own does with a Parquet file before it is read.
    #[command(name = decode_parquet::NAME, hide = true)]
    DecodeParquet(decode_parquet::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = if arguments.json { Output::Json } else { Output::Text };
    interrupt::handle();
    match run(arguments, output).and_then(|()| output::printed()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(arguments: Arguments, output: Output) -> Result<(), Failure> {
    arguments.large_pages.apply()?;
    if let Some(ratio) = arguments.unpack_ratio {
        lancer_data::set_unpack_ratio(ratio.get());
    }
    lancer_data::try_parquet_with(decode_parquet::in_another_process);
    match arguments.command {
        Command::Init(arguments) => init::run(&arguments, output),
        Command::Settings(arguments) => settings::run(&arguments),
        Command::Evolve(arguments) => evolve::run(&arguments, output),
        Command::Compare(arguments) => compare::run(&arguments, output),
        Command::Review(arguments) => review::run(&arguments, output),
        Command::Generate(arguments) => generate::run(&arguments, output),
        Command::Clean(arguments) => clean::run(&arguments, output),
        Command::Dedup(arguments) => dedup::run(&arguments, output),
        Command::Train(command) => train::run(&command, output),
        Command::Eval(arguments) => eval::run(&arguments, output),
        Command::Convert(arguments) => convert::run(&arguments, output),
        Command::Report(arguments) => report::run(&arguments, output),
        Command::Runs(arguments) => runs::run(&arguments, output),
        Command::Inspect(arguments) => inspect::run(&arguments, output),
        Command::Query(arguments) => query::run(&arguments, output),
        Command::Diff(arguments) => diff::run(&arguments, output),
        Command::Chat(arguments) => chat::run(&arguments, output),
        #[cfg(feature = "serve")]
        Command::Serve(arguments) => serve::run(&arguments, output),
        Command::Completions(arguments) => {
            completions::run(&arguments, Arguments::command());
            Ok(())
        }
        Command::Man(arguments) => man::run(&arguments, Arguments::command(), output),
        Command::Cache(arguments) => cache::run(&arguments, output),
        Command::Check(arguments) => check::run(&arguments, output),
        Command::Setup(arguments) => setup::run(&arguments),
        Command::DecodeParquet(arguments) => decode_parquet::run(&arguments),
    }
}
