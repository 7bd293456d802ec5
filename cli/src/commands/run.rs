//! `poll run`: specs from files, at the same time; with `--store`, [`resume`](super::store::resume) does it.

use super::drive::{self, Plan};
use super::ends::Print;
use super::specs::{self, Job, Loaded};
use crate::args::RunArgs;
use crate::exit::Exit;
use crate::render::live::Narrator;
use crate::render::terminal::Terminal;
use crate::render::{clean, time};

pub(super) fn run(args: &RunArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    if let Some(file) = &args.store {
        return super::store::resume::run(args, file, terminal);
    }
    let Loaded { jobs, specs } = specs::load(&args.files, args.unbounded, args.report.quiet, terminal)?;
    // By what was given, not by what it came to: two equal specs are one poll, but whoever gives two reads lines.
    let print = if args.report.json || specs > 1 { Print::Outcomes } else { Print::Body };
    let narrator = Narrator::new(terminal, args.report.quiet);
    introduce(&jobs, &narrator);
    let limits = args.connect.bound(specs::limits(args.unbounded));
    let plan = Plan { jobs, print, limits, cacert: args.connect.cacert.as_deref(), narrator, terminal };
    super::block_on(drive::drive(plan))
}

/// What is about to be run.
pub(super) fn introduce(jobs: &[Job], narrator: &Narrator) {
    match jobs {
        [job] => narrator.say(introduction(&job.spec)),
        jobs => narrator.say(format_args!("{} polls", jobs.len())),
    }
}

/// `GET https://api.example.com/v1/exports/42 every 10s for 5m at most`
pub(super) fn introduction(spec: &poller::PollSpec) -> String {
    format!(
        "{} {} every {} for {} at most",
        spec.request().method,
        shown_url(&spec.url()),
        time::short(spec.interval()),
        time::short(spec.timeout())
    )
}

/// The URL without its query, which may hold a token.
fn shown_url(url: &url::Url) -> String {
    let query = if url.query().is_some() { "?…" } else { "" };
    format!("{}{}{query}", url.origin().ascii_serialization(), clean::excerpt(url.path(), 200))
}
