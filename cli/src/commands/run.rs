//! `poll run`: runs the specs of files concurrently; with `--store`, also the open polls of the store.

use poller::Limits;

use super::drive::{self, Plan, Print, StoreFile};
use super::specs::{self, Job, Loaded};
use super::store::{self, Opening};
use crate::args::RunArgs;
use crate::exit::Exit;
use crate::render::progress::ProgressReporter;
use crate::render::terminal::Terminal;
use crate::render::{humanize, sanitize};

pub(super) fn run(args: &RunArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let loaded = match &args.files[..] {
        [] => None,
        files => Some(specs::load(files, args.limits.limits(), args.report.quiet, terminal)?),
    };
    let print = match &loaded {
        // By the number of specs, not of polls: two equal specs are one poll, but their caller expects lines.
        Some(Loaded { specs: 1, .. }) if !args.report.json => Print::Body,
        _ => Print::Outcomes,
    };
    let plan = Plan {
        introduction: loaded.as_ref().map(|loaded| introduction(&loaded.jobs)),
        jobs: loaded.map(|loaded| loaded.jobs),
        print,
        // The specs were checked when they were read. Polls of the file were accepted before and are not rejected now.
        limits: args.connect.apply(Limits::unbounded()),
        cacert: args.connect.cacert.as_deref(),
        file: None,
        progress: ProgressReporter::new(terminal, args.report.quiet),
        terminal,
    };
    let Some(path) = &args.store else { return super::block_on(drive::drive(plan)) };
    let opening = if plan.jobs.is_some() { Opening::MayBeNew } else { Opening::MustExist };
    store::on_store(path, opening, async |store| {
        let file = StoreFile {
            store,
            path: store::quoted(path),
            scope: args.scope.as_deref().unwrap_or(""),
            fresh: args.fresh,
            json: args.report.json,
            connect: &args.connect,
        };
        drive::drive(Plan { file: Some(file), ..plan }).await
    })
}

/// The first line of progress.
fn introduction(jobs: &[Job]) -> String {
    match jobs {
        [job] => describe(&job.spec),
        jobs => format!("{} polls", jobs.len()),
    }
}

/// `GET https://api.example.com/v1/exports/42 every 10s for 5m at most`
pub(super) fn describe(spec: &poller::PollSpec) -> String {
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
