//! `poll run`: runs the specs of files concurrently; with `--store`, also the open polls of the store.

use poller::Limits;
use poller::store::RunsUntil;

use super::drive::{self, EndsAll, Jobs, Plan, Print, StoreFile};
use super::junit::JunitReport;
use super::log;
use super::specs::Reading;
use super::store::{self, Opening};
use crate::args::{RunArgs, StoreLocation};
use crate::exit::Exit;
use crate::render::progress::ProgressReporter;
use crate::render::terminal::Terminal;
use crate::render::{humanize, sanitize};

pub(super) fn run(args: &RunArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let logs = log::begin(args.log);
    let mut count = 0;
    let mut jobs = match &args.files[..] {
        [] => None,
        files => {
            let limits = args.limits.limits();
            let reading = Reading::new(files, &args.variables, limits, args.report.quiet, terminal)?;
            let specs = super::block_on(reading.check(async |_| Ok(true)))?;
            count = specs.count;
            Some(Jobs::Files(Box::new(specs)))
        }
    };
    let print = match count {
        // By the number of specs, not of polls: two equal specs are one poll, but their caller expects lines.
        1 if !args.report.json && !args.keep && !args.no_bodies => Print::Body,
        _ if args.no_bodies => Print::Outcomes { bodies: false },
        _ => Print::several(args.report.json, terminal),
    };
    let mut limits = args.caps.apply(args.connect.apply(Limits::unbounded()));
    limits.spread = jobs.as_ref().is_some_and(|jobs| args.spread.spreads(jobs.count()));
    let plan = Plan {
        introduction: jobs.as_mut().map(introduction).transpose()?,
        jobs,
        print,
        ends_all: EndsAll::Never,
        report: args.junit.as_deref().map(JunitReport::create).transpose()?,
        // The specs were checked when they were read. Polls of the file were accepted before and are not rejected now.
        limits,
        connect: &args.connect,
        file: None,
        progress: ProgressReporter::new(terminal, args.report.quiet, logs),
        terminal,
    };
    let Some(path) = &args.store else { return super::block_on(drive::drive(plan)) };
    let opening = if plan.jobs.is_some() || args.keep { Opening::MayBeNew } else { Opening::MustExist };
    if let (StoreLocation::Database { shown, .. }, false) = (path, args.keep) {
        anyhow::bail!(
            "a worker of {shown} runs a share of all its polls until it is stopped: add --keep; `poll submit` \
             hands single polls to the workers"
        );
    }
    let until = match (&plan.jobs, args.keep) {
        (_, true) => RunsUntil::Stopped,
        (Some(_), false) => RunsUntil::OwnEnded,
        (None, false) => RunsUntil::NoneOpen,
    };
    store::run_on_store(path, opening, until, args.lease, async |store| {
        let file = StoreFile {
            store,
            path: store::quoted(path),
            scope: args.scope.as_deref().unwrap_or(""),
            fresh: args.fresh,
            json: args.report.json,
            keep: args.keep,
            allow_secrets: args.allow_secrets.clone(),
        };
        drive::drive(Plan { file: Some(file), ..plan }).await
    })
}

/// The first line of progress.
fn introduction(jobs: &mut Jobs<'_>) -> anyhow::Result<String> {
    Ok(match jobs.only()? {
        Some(job) => describe(&job.spec),
        None => format!("{} polls", jobs.count()),
    })
}

/// `GET https://api.example.com/v1/exports/42 every 10s for 5m at most`
pub(super) fn describe(spec: &poller::PollSpec) -> String {
    format!(
        "{} {} every {} for {} at most",
        spec.request().method,
        shown_url(&spec.url()),
        interval(spec),
        humanize::duration(spec.timeout())
    )
}

/// `10s`, or `1s to 30s` where the gaps grow.
pub(super) fn interval(spec: &poller::PollSpec) -> String {
    let interval = spec.interval();
    let first = humanize::duration(interval.first());
    match interval.factor() {
        None => first,
        Some(_) => format!("{first} to {}", humanize::duration(interval.longest())),
    }
}

/// The URL without its query, which may contain a token.
pub(super) fn shown_url(url: &url::Url) -> String {
    let query = if url.query().is_some() { "?…" } else { "" };
    let origin = match url.scheme() {
        "unix" => "unix:".to_owned(),
        _ => url.origin().ascii_serialization(),
    };
    format!("{origin}{}{query}", sanitize::excerpt(url.path(), 200))
}
