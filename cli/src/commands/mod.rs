//! The commands, one module each, and the handling of their errors.
//!
//! A command returns its exit code or an error. An error is printed here with its chain of causes and ends the process
//! with code 2. One error is success: a reader that closed standard output (`poll match … | head`) needs no more of it.

mod check;
mod chunk_output;
mod convert;
mod demo;
mod drive;
mod explain;
mod filters;
mod r#match;
mod output;
mod parallel;
mod route;
mod run;
mod schema;
mod signals;
mod specs;
mod store;
mod wait;

use std::io;

use crate::args::{Cli, Command};
use crate::exit::Exit;
use crate::render::sanitize;
use crate::render::terminal::{Terminal, eprint_line};

/// Runs the command.
pub(crate) fn run(cli: Cli) -> Exit {
    let terminal = Terminal::detect(cli.color);
    let result = match cli.command {
        Command::Demo(args) => demo::run(&args, &terminal),
        Command::Run(args) => run::run(&args, &terminal),
        Command::Wait(args) => wait::run(&args, &terminal),
        Command::Submit(args) => store::submit::run(&args, &terminal),
        Command::List(args) => store::list::run(&args, &terminal),
        Command::Show(args) => store::show::run(&args, &terminal),
        Command::Cancel(args) => store::cancel::run(&args, &terminal),
        Command::Forget(args) => store::forget::run(&args, &terminal),
        Command::Purge(args) => store::purge::run(&args, &terminal),
        Command::Check(args) => check::run(&args, &terminal),
        Command::Match(args) => r#match::run(&args, &terminal),
        Command::Route(args) => route::run(&args, &terminal),
        Command::Explain(args) => explain::run(&args, &terminal),
        Command::Convert(args) => convert::run(&args, &terminal),
        Command::Schema(args) => schema::run(&args),
    };
    result.unwrap_or_else(|error| {
        if is_broken_pipe(&error) {
            return Exit::Success;
        }
        if !error.is::<AlreadyReported>() {
            print_error(&terminal, &error);
        }
        Exit::Error
    })
}

/// `poll: error: cannot read x.json: No such file or directory`
fn print_error(terminal: &Terminal, error: &anyhow::Error) {
    eprint_line(format_args!(
        "poll: {}: {}",
        terminal.stderr_paint.bad("error"),
        sanitize::block(&format!("{error:#}"))
    ));
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// The command cannot continue, and its errors have been printed already.
#[derive(Debug)]
struct AlreadyReported;

impl std::fmt::Display for AlreadyReported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the reason was given above")
    }
}

impl std::error::Error for AlreadyReported {}

/// Runs an asynchronous command, on two threads: a blocking write to standard output delays no request.
fn block_on(command: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| anyhow::anyhow!("cannot start the runtime: {error}"))?;
    let result = runtime.block_on(command);
    // Dropping the runtime would wait for a hanging name lookup.
    runtime.shutdown_background();
    result
}
