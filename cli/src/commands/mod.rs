//! The commands, one module each, and the handling of their errors.
//!
//! A command returns its exit code or an error. An error is printed here with its chain of causes and ends the process
//! with code 2. One error is success: a reader that closed standard output (`poll match … | head`) needs no more of it.

mod check;
mod chunk_output;
mod connect;
mod convert;
mod demo;
mod drive;
mod explain;
mod filters;
mod generated;
mod junit;
mod log;
mod r#match;
mod output;
mod parallel;
mod route;
mod rule_lint;
mod run;
mod seen_secrets;
mod serve;
mod service_manager;
mod signals;
mod specs;
mod store;
mod variables;
mod wait;

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt::Display;
use std::io;

use clap::ColorChoice;
use filter::Code;
use serde::Serialize;

use crate::args::{Cli, Command};
use crate::exit::Exit;
use crate::render::listing::Listed;
use crate::render::problems::Problem;
use crate::render::sanitize;
use crate::render::terminal::{Terminal, eprint_line};

pub(crate) fn run(cli: Cli) -> Exit {
    let json = cli.command.json();
    let terminal = Terminal::detect(cli.color, json || cli.command.wants_problems());
    let result = match cli.command {
        Command::Demo(args) => demo::run(&args, &terminal),
        Command::Run(args) => run::run(&args, &terminal),
        Command::Wait(args) => wait::run(&args, &terminal),
        Command::Serve(args) => serve::run(&args, &terminal),
        Command::Submit(args) => store::submit::run(&args, &terminal),
        Command::List(args) => store::list::run(&args, &terminal),
        Command::Show(args) => store::show::run(&args, &terminal),
        Command::Cancel(args) => store::cancel::run(&args, &terminal),
        Command::Forget(args) => store::removal::forget(&args, &terminal),
        Command::Purge(args) => store::removal::purge(&args, &terminal),
        Command::Status(args) => store::status::run(&args, &terminal),
        Command::Fleet(args) => store::fleet::run(&args, &terminal),
        Command::Backup(args) => store::care::backup(&args, &terminal),
        Command::Compact(args) => store::care::compact(&args, &terminal),
        Command::Verify(args) => store::care::verify(&args, &terminal),
        Command::Reseal(args) => store::care::reseal(&args, &terminal),
        Command::Check(args) => check::run(&args, &terminal),
        Command::Match(args) => r#match::run(&args, &terminal),
        Command::Route(args) => route::run(&args, &terminal),
        Command::Explain(args) => explain::run(&args, &terminal),
        Command::Convert(args) => convert::run(&args, &terminal),
        Command::Schema(args) => generated::schema(&args),
        Command::Completions(args) => generated::completions(&args),
        Command::Man(args) => generated::man(&args),
    };
    print_rest(&terminal);
    result.unwrap_or_else(|error| {
        if is_broken_pipe(&error) {
            return Exit::Success;
        }
        if !error.is::<AlreadyReported>() {
            print_error(&terminal, error);
        }
        if json {
            print_error_object(&terminal.problems.take(), &terminal);
        }
        Exit::Error
    })
}

/// Reports arguments that cannot be read: clap's text for people and, with `--json` among them, an object. Help and
/// versions are printed and succeed.
pub(crate) fn usage(error: &clap::Error, arguments: impl Iterator<Item = OsString>) -> Exit {
    if !error.use_stderr() {
        return match error.print() {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Error,
            _ => Exit::Success,
        };
    }
    let plain = error.render().to_string();
    match sanitize::block(&plain) {
        // A failed write to standard error cannot be reported anywhere.
        Cow::Borrowed(_) => drop(error.print()),
        // It quotes an argument with control characters, which clap does not replace; without colours they can be.
        Cow::Owned(shown) => eprint_line(shown.trim_end()),
    }
    let terminal = Terminal::detect(ColorChoice::Never, true);
    // Behind `--` stand values only.
    if arguments.take_while(|argument| argument != "--").any(|argument| argument == "--json") {
        // The first paragraph; usage and hints follow.
        let message = plain.split("\n\n").next().unwrap_or_default();
        let message = message.trim_start_matches("error:").split_whitespace().collect::<Vec<_>>().join(" ");
        print_error_object(&[Problem::error(message)], &terminal);
    }
    Exit::Error
}

/// Prints `{"error":"…","problems":[…]}`: with `--json`, a command that cannot run says so on standard output too.
fn print_error_object(problems: &[Problem], terminal: &Terminal) {
    #[derive(Serialize)]
    struct Object<'a> {
        error: &'a str,
        problems: &'a [Problem],
    }
    let first = problems.iter().find(|problem| problem.severity == "error");
    let error = first.map_or("the command could not run", |problem| &problem.message);
    // If standard output fails too, the text on standard error remains.
    let _ = output::json(&Object { error, problems }, terminal);
}

/// `poll: error: cannot read x.json: No such file or directory`
fn print_error(terminal: &Terminal, error: impl Display) {
    print_problem(terminal, "error", format!("{error:#}"));
}

/// `poll: warning: --header x-key: "env:KEY" is sent as it stands`
fn print_warning(terminal: &Terminal, message: impl Display) {
    print_problem(terminal, "warning", message.to_string());
}

fn print_problem(terminal: &Terminal, severity: &'static str, message: String) {
    let shown = sanitize::block(&message);
    let (is_logged, label) = match severity {
        "error" => (log::error(&shown), terminal.stderr_paint.bad(severity)),
        _ => (log::warning(&shown), terminal.stderr_paint.caution(severity)),
    };
    if !is_logged {
        eprint_line(format_args!("poll: {label}: {shown}"));
    }
    terminal.problems.record(|| Problem { severity, ..Problem::error(message) });
}

/// Prints an error of one item of many, unless enough of them were [listed](crate::render::listing).
fn print_listed(terminal: &Terminal, error: impl Display) {
    if terminal.listing.lists(Listed::Error, 1) {
        print_error(terminal, error);
    }
}

/// Prints a note about one item of many, unless enough of them were listed.
fn print_note(terminal: &Terminal, note: impl Display) {
    if terminal.listing.lists(Listed::Note, 1) {
        eprint_line(note);
    }
}

/// Prints how many errors, warnings and notes were not listed: at the end of a command, and before a line that sums them up.
fn print_rest(terminal: &Terminal) {
    for rest in terminal.listing.take_rest() {
        if !log::warning(&format!("and {rest}")) {
            eprint_line(format_args!("and {rest}"));
        }
        if rest.kind != Listed::Note {
            let code = Some(Code::More.name());
            let severity = rest.kind.noun();
            terminal.problems.record(|| Problem { severity, code, ..Problem::error(rest.to_string()) });
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// The command cannot continue, and its errors have been printed already.
#[derive(Debug)]
struct AlreadyReported;

impl Display for AlreadyReported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the reason was given above")
    }
}

impl std::error::Error for AlreadyReported {}

/// Runs an asynchronous command or a part of one, on two threads: a blocking write to standard output delays no request.
fn block_on<T>(part: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| anyhow::anyhow!("cannot start the runtime: {error}"))?;
    let result = runtime.block_on(part);
    // Dropping the runtime would wait for a hanging name lookup.
    runtime.shutdown_background();
    result
}
