//! What each command does, one module each; and how a command ends.
//!
//! A command returns the exit code it means, or an error. An error is told here, once, with everything that led to
//! it, and ends with 2. One error is not told: a reader of standard output that has gone (`poll match … | head`) has
//! seen what it wanted.

mod answer;
mod check;
mod convert;
mod demo;
mod drive;
mod ends;
mod explain;
mod filters;
mod r#match;
mod output;
mod route;
mod run;
mod schema;
mod signals;
mod specs;
mod store;
mod threads;
mod wait;

use std::io;

use crate::args::{Cli, Command};
use crate::exit::Exit;
use crate::render::clean;
use crate::render::terminal::{Terminal, tell};

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
        if reader_has_gone(&error) {
            return Exit::Success;
        }
        if !error.is::<AlreadyTold>() {
            tell_error(&terminal, &error);
        }
        Exit::Error
    })
}

/// `poll: error: cannot read x.json: No such file or directory`
fn tell_error(terminal: &Terminal, error: &anyhow::Error) {
    tell(format_args!(
        "poll: {}: {}",
        terminal.stderr_paint.bad("error"),
        clean::block(&format!("{error:#}"))
    ));
}

fn reader_has_gone(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// The command cannot go on, and why has been told already, with source lines and carets.
#[derive(Debug)]
struct AlreadyTold;

impl std::fmt::Display for AlreadyTold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the reason was given above")
    }
}

impl std::error::Error for AlreadyTold {}

/// Runs a command that polls. On several threads, so that a slow reader of the output delays no request.
fn block_on(command: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| anyhow::anyhow!("cannot start the runtime: {error}"))?;
    let result = runtime.block_on(command);
    // Not dropped: that would wait for a name lookup that hangs, after everything has been said.
    runtime.shutdown_background();
    result
}
