//! `poll run`: specs from files, at the same time.

use super::drive::{self, Plan, Print};
use super::specs::{self, Loaded};
use crate::args::RunArgs;
use crate::exit::Exit;
use crate::render::live::Narrator;
use crate::render::terminal::Terminal;
use crate::render::{clean, story, time};

pub(super) fn run(args: &RunArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let Loaded { jobs, specs } = specs::load(&args.files, args.unbounded, args.report.quiet, terminal)?;
    // By what was given, not by what it came to: two equal specs are one poll, but whoever gives two reads lines.
    let print = if args.report.json || specs > 1 { Print::Outcomes } else { Print::Body };
    let narrator = Narrator::new(terminal, args.report.quiet);
    match &jobs[..] {
        [job] => narrator.say(introduction(&job.spec)),
        jobs => narrator.say(format_args!("{} polls", jobs.len())),
    }
    let limits = specs::limits(args.unbounded);
    let plan = Plan { jobs, print, limits, cacert: args.connect.cacert.as_deref(), narrator, terminal };
    super::block_on(drive::drive(plan))
}

/// `GET https://api.example.com/v1/exports/42 every 10s for 5m at most`
pub(super) fn introduction(spec: &poller::PollSpec) -> String {
    format!(
        "{} {} every {} for {} at most",
        spec.request().method,
        shown_url(spec.url()),
        time::short(spec.interval()),
        time::short(spec.timeout())
    )
}

/// The URL without its query, which may hold a token.
fn shown_url(url: &url::Url) -> String {
    let query = if url.query().is_some() { "?…" } else { "" };
    format!("{}{}{query}", url.origin().ascii_serialization(), clean::excerpt(url.path(), 200))
}

/// How a batch went, in one line: `3 polls: 2 matched, 1 timed out`.
pub(super) fn summary(counts: &[(&str, u32)]) -> String {
    let total = counts.iter().map(|(_, number)| number).sum();
    let parts: Vec<_> = counts
        .iter()
        .filter(|(_, number)| *number > 0)
        .map(|(name, number)| format!("{number} {name}"))
        .collect();
    format!("{}: {}", story::count(total, "poll"), parts.join(", "))
}
