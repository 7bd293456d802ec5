//! What `run --store` prints when a signal stops it: requests in flight, unsaved outcomes, open polls.

use poller::{LeftOpen, ShutdownReport, Timestamp};
use serde::Serialize;

use super::super::connect as client;
use super::super::drive::StoreFile;
use super::super::output::{self, Keyed};
use super::super::seen_secrets::as_arguments;
use super::{quoted, quoted_text};
use crate::args::ConnectArgs;
use crate::render::progress::ProgressReporter;
use crate::render::terminal::Terminal;
use crate::render::{humanize, sanitize};

/// The last line of `--json` after a stop.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StopLine<'a> {
    left_open: usize,
    polls: Vec<Keyed<'a, LeftOpenLine>>,
    outcomes_unsaved: usize,
    requests_ended: usize,
    requests_abandoned: usize,
}

#[derive(Serialize)]
struct LeftOpenLine {
    deadline: Timestamp,
    abandoned: bool,
    unsaved: bool,
}

/// Prints the report of a shutdown: the requests and outcomes to standard error, a JSON object to standard output.
pub(in super::super) fn print(
    report: &ShutdownReport,
    left_open: usize,
    json: bool,
    progress: &ProgressReporter,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    for line in [requests_in_flight(report), unsaved_outcomes(report)].into_iter().flatten() {
        progress.message(line);
    }
    if !json {
        return Ok(());
    }
    let polls = report.first.iter().map(|poll| {
        let LeftOpen { deadline, abandoned, unsaved, .. } = *poll;
        Keyed::new(&poll.key, LeftOpenLine { deadline, abandoned, unsaved })
    });
    let line = StopLine {
        left_open,
        polls: polls.collect(),
        outcomes_unsaved: report.unsaved,
        requests_ended: report.ended,
        requests_abandoned: report.abandoned,
    };
    progress.suspend(|| output::json(&line, terminal))
}

/// `3 requests were in flight: 2 ended in time, 1 was abandoned`
fn requests_in_flight(report: &ShutdownReport) -> Option<String> {
    let in_flight = report.ended + report.abandoned;
    let were = |number: usize| if number == 1 { "was" } else { "were" };
    let result = match (report.ended, report.abandoned) {
        (0, 0) => return None,
        (_, 0) => " and ended in time".to_owned(),
        (0, 1) => " and took too long; it was abandoned".to_owned(),
        (0, _) => " and took too long; they were abandoned".to_owned(),
        (ended, abandoned) => format!(": {ended} ended in time, {abandoned} {} abandoned", were(abandoned)),
    };
    Some(format!("{} {} in flight{result}", humanize::count(in_flight, "request"), were(in_flight)))
}

/// `1 outcome could not be stored in time; its poll is still open`
fn unsaved_outcomes(report: &ShutdownReport) -> Option<String> {
    let count = humanize::count(report.unsaved, "outcome");
    let polls = if report.unsaved == 1 { "its poll is" } else { "their polls are" };
    (report.unsaved > 0).then(|| format!("{count} could not be stored in time; {polls} still open"))
}

/// ` (export-42: 12s left, export-43: 4m left, …)`: the open polls with the earliest deadlines.
pub(in super::super) fn first_polls(report: &ShutdownReport, now: Timestamp) -> String {
    const NAMED: usize = 3;
    let named = report.first.iter().take(NAMED).map(|poll| {
        let left = humanize::countdown(poll.deadline.since(now));
        format!("{}: {left} left", sanitize::excerpt(&poll.key.to_string(), 40))
    });
    let named: Vec<_> = named.collect();
    match named.len() {
        0 => String::new(),
        few => format!(" ({}{})", named.join(", "), if few < report.left_open { ", …" } else { "" }),
    }
}

/// `2 polls stay open (…); go on with: poll run --store polls.db --max-body 1024`
pub(in super::super) fn how_to_continue(
    left_open: usize,
    first_polls: &str,
    file: &StoreFile<'_>,
    connect: &ConnectArgs,
) -> String {
    format!(
        "{} stay{} open{first_polls}; go on with: poll run --store {}{}{}",
        humanize::count(left_open, "poll"),
        if left_open == 1 { "s" } else { "" },
        file.path,
        as_arguments(&file.allow_secrets, quoted_text),
        client::repeated(connect, |path| quoted(path.display()))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_in_flight_are_summed_up_in_one_line() {
        let line = |ended, abandoned| {
            let mut report = ShutdownReport::default();
            (report.ended, report.abandoned) = (ended, abandoned);
            requests_in_flight(&report)
        };
        assert_eq!(line(0, 0), None);
        for (ended, abandoned, text) in [
            (1, 0, "1 request was in flight and ended in time"),
            (0, 1, "1 request was in flight and took too long; it was abandoned"),
            (0, 2, "2 requests were in flight and took too long; they were abandoned"),
            (2, 1, "3 requests were in flight: 2 ended in time, 1 was abandoned"),
        ] {
            assert_eq!(line(ended, abandoned).as_deref(), Some(text));
        }
    }

    #[test]
    fn unsaved_outcomes_are_reported() {
        let line = |unsaved| {
            let mut report = ShutdownReport::default();
            report.unsaved = unsaved;
            unsaved_outcomes(&report)
        };
        assert_eq!(line(0), None);
        for (unsaved, text) in [
            (1, "1 outcome could not be stored in time; its poll is still open"),
            (2, "2 outcomes could not be stored in time; their polls are still open"),
        ] {
            assert_eq!(line(unsaved).as_deref(), Some(text));
        }
    }
}
