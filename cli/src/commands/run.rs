//! `poll run`: runs the specs of files concurrently. [`resume`](super::store::resume) implements `--store`.

use super::drive::{self, Plan};
use super::outcomes::Print;
use super::specs::{self, Job, Loaded};
use crate::args::RunArgs;
use crate::exit::Exit;
use crate::render::progress::ProgressReporter;
use crate::render::terminal::Terminal;
use crate::render::{humanize, sanitize};

pub(super) fn run(args: &RunArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    if let Some(file) = &args.store {
        return super::store::resume::run(args, file, terminal);
    }
    let Loaded { jobs, specs } = specs::load(&args.files, args.limits.limits(), args.report.quiet, terminal)?;
    // By the number of specs, not of polls: two equal specs are one poll, but a caller with two specs expects lines.
    let print = if args.report.json || specs > 1 { Print::Outcomes } else { Print::Body };
    let progress = ProgressReporter::new(terminal, args.report.quiet);
    introduce(&jobs, &progress);
    let limits = args.connect.apply(args.limits.limits());
    let plan = Plan { jobs, print, limits, cacert: args.connect.cacert.as_deref(), progress, terminal };
    super::block_on(drive::drive(plan))
}

/// Prints what is about to run.
pub(super) fn introduce(jobs: &[Job], progress: &ProgressReporter) {
    match jobs {
        [job] => progress.message(introduction(&job.spec)),
        jobs => progress.message(format_args!("{} polls", jobs.len())),
    }
}

/// `GET https://api.example.com/v1/exports/42 every 10s for 5m at most`
pub(super) fn introduction(spec: &poller::PollSpec) -> String {
    format!(
        "{} {} every {} for {} at most",
        spec.request().method,
        shown_url(&spec.url()),
        humanize::duration(spec.interval()),
        humanize::duration(spec.timeout())
    )
}

/// The URL without its query, which may contain a token.
fn shown_url(url: &url::Url) -> String {
    let query = if url.query().is_some() { "?…" } else { "" };
    format!("{}{}{query}", url.origin().ascii_serialization(), sanitize::excerpt(url.path(), 200))
}
