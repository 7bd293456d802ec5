//! `poll demo`: a poll against a local job server, with comments.
//!
//! Nothing is simulated: the server speaks HTTP on a loopback port, the poll is built from a spec as `run` reads it, and
//! each comment is chosen by the result of the attempt.

mod server;

use std::env;

use poller::{Attempt, AttemptResult, JudgementKind, Limits, NextReason, PollSpec, SpecError, SpecOptions};

use self::server::JobServer;
use super::drive::{self, EndsAll, Jobs, Plan, Print};
use super::specs::Job;
use crate::args::{ConnectArgs, DemoArgs};
use crate::exit::Exit;
use crate::render::progress::ProgressReporter;
use crate::render::terminal::{Terminal, eprint_line};

pub(super) fn run(args: &DemoArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    super::block_on(show(args, terminal))
}

async fn show(args: &DemoArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let quiet = args.report.quiet;
    let server = JobServer::start().await?;
    let text = spec_text(&server.url());
    let spec = spec(&text)?;
    // Plain lines, on a terminal too: each has a comment.
    let lines = Terminal { live: false, ..terminal.clone() };
    let progress = ProgressReporter::new(&lines, quiet, false).with_comments(comment);
    progress.message(format_args!(
        "A job server is listening on {}.\n\
         Its job takes a few seconds, and like any server it has its bad moments.\n\
         The poll asks at once, then every second, until the body says SUCCESS.\n",
        server.origin()
    ));
    let plan = Plan {
        jobs: Some(Jobs::Few(vec![Job { key: "demo".to_owned(), spec }])),
        introduction: None,
        print: if args.report.json { Print::Outcomes { bodies: true } } else { Print::Body },
        ends_all: EndsAll::Never,
        report: None,
        limits: Limits::unbounded(),
        connect: &ConnectArgs::direct(&[]),
        file: None,
        progress,
        terminal,
    };
    let exit = drive::drive(plan).await?;
    if !quiet && exit == Exit::Success {
        eprint_line(epilogue(&text, terminal));
    }
    Ok(exit)
}

/// The spec as a person would write it.
fn spec_text(url: &str) -> String {
    format!(
        r#"{{
  "url": "{url}",
  "interval": 1,
  "timeout": 30,
  "responseFilter": {{"status": [200], "body": {{"status": ["SUCCESS"]}}}},
  "failureFilter": {{"body": {{"status": ["FAILED", "CANCELLED"]}}}}
}}"#
    )
}

/// The explanation of an attempt.
fn comment(attempt: &Attempt) -> Option<&'static str> {
    let hinted = attempt.next.is_some_and(|next| matches!(next.why, NextReason::Hint));
    Some(match (attempt.judgement, attempt.result) {
        (JudgementKind::Matched, _) => {
            "The response filter holds: the poll is done, and this body is its result."
        }
        (_, AttemptResult::Status(429)) if hinted => {
            "Too many requests, says the server, and names a time in Retry-After. The poll keeps to it."
        }
        (_, AttemptResult::Status(500..)) => {
            "The server has failed, not the job. The poll goes on at the next tick; its deadline still stands."
        }
        (JudgementKind::Unmatched, AttemptResult::Status(200)) => {
            "No match, and no failure either: the job is not finished. The poll asks again."
        }
        _ => return None,
    })
}

fn epilogue(spec: &str, terminal: &Terminal) -> String {
    let paint = terminal.stderr_paint;
    let program = program();
    format!(
        "\n{}\n{spec}\n\n{}\n  \
         echo '{{\"status\": \"RUNNING\"}}' | {program} explain -f '{{\"status\": [\"SUCCESS\"]}}'\n  \
         {program} wait https://example.com --timeout 30s > page.html\n  \
         {program} run --help",
        paint
            .strong("The spec it ran; `run` takes such a file, with --unbounded for an interval this short:"),
        paint.strong("Try next:")
    )
}

fn spec(text: &str) -> Result<PollSpec, SpecError> {
    SpecOptions::new().limits(Limits::unbounded()).parse(text)
}

/// The path under which this program was called, so that the shown commands can be pasted.
fn program() -> String {
    let called = env::args().next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    if called.contains('/') && called.chars().all(plain) { called } else { "poll".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shown_spec_is_valid() {
        let text = spec_text("http://127.0.0.1:1/jobs/42");
        assert!(spec(&text).is_ok());
    }
}
