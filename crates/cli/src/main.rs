//! The `covigil` command.

mod alerts;
mod args;
mod client;
mod detect;
mod replay;
mod rules;
mod search;
mod show;
mod sign_in;
mod status;
mod up;
mod when;

use std::{future::Future, io::stdout, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, Parser as _};

use args::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(&cli);
    match run(cli.command) {
        Ok(code) => code,
        // The reader of our output has gone away; there is nobody to tell.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("covigil: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Up(args) => wait_for(up::run(args)),
        Command::Detect(args) => detect::run(&args),
        Command::Rules(command) => rules::run(command),
        Command::Replay(args) => wait_for(replay::run(args)),
        Command::Search(args) => wait_for(search::run(&args)),
        Command::Alerts(args) => wait_for(alerts::run(&args)),
        Command::Status(args) => wait_for(status::run(&args)),
        Command::SignIn(args) => wait_for(sign_in::run(&args)),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "covigil", &mut stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => {
            clap_mangen::Man::new(Cli::command()).render(&mut stdout())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn wait_for(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(work)
}

/// The log goes to standard error. `COVIGIL_LOG` sets its filter, as `info` or `covigil_store=debug`.
fn start_log(cli: &Cli) {
    let usual = match (&cli.command, cli.verbose) {
        (Command::Up(_), 0) => "warn,covigil=info,covigil_node=info",
        (_, 0) => "error",
        (_, 1) => "info",
        (_, _) => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("COVIGIL_LOG").unwrap_or_else(|_| usual.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
