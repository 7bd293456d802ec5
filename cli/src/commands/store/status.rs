//! `poll status`: the state of a store, for people and for monitoring.

use poller::store::{Runner, RunsUntil, StoreAdmin as _, StoreStatus};
use poller::{Clock as _, Timestamp};
use serde::Serialize;

use super::super::output;
use super::{Opening, clock, on_store, plain, quoted};
use crate::args::{StatusArgs, WholeArgs};
use crate::exit::Exit;
use crate::render::humanize;
use crate::render::terminal::Terminal;

pub(in super::super) fn run(args: &StatusArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let WholeArgs { file, json } = &args.whole;
    on_store(&file.path, Opening::Reading, async |store| {
        let now = clock(&store).now();
        let status = store.status(now).await.map_err(plain)?;
        let runner = store.runner().await.map_err(plain)?;
        if *json {
            let StoreStatus { open, cancelling, overdue, finished, oldest, bytes, .. } = status;
            let runs_until = runner.and_then(|runner| until(runner.until));
            let runner = runner.and_then(|runner| runner.process);
            let line = Line { open, cancelling, overdue, finished, oldest, runner, runs_until, bytes };
            output::json(&line, terminal)?;
        } else {
            output::text(&describe(&status, runner, now, &quoted(&file.path)))?;
        }
        Ok(if status.open > 0 && runner.is_none() { Exit::Negative } else { Exit::Success })
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    open: usize,
    cancelling: usize,
    overdue: usize,
    finished: usize,
    oldest: Option<Timestamp>,
    /// The process that runs the file.
    runner: Option<u32>,
    runs_until: Option<&'static str>,
    bytes: Option<u64>,
}

const fn until(until: RunsUntil) -> Option<&'static str> {
    match until {
        RunsUntil::Stopped => Some("stopped"),
        RunsUntil::NoneOpen => Some("none open"),
        RunsUntil::OwnEnded => Some("own ended"),
        _ => None,
    }
}

fn describe(status: &StoreStatus, runner: Option<Runner>, now: Timestamp, file: &str) -> String {
    let mut lines = vec![match runner {
        Some(runner) => runs(runner, file),
        None if status.open > 0 => format!("no process runs {file}: poll run --store {file}"),
        None => format!("no process runs {file}"),
    }];
    let oldest = status.oldest.map_or_else(String::new, |oldest| {
        format!(", the oldest accepted {} ago", humanize::age(now.since(oldest)))
    });
    lines.push(format!("{} open{oldest}", status.open));
    if status.cancelling > 0 {
        lines.push(format!("{} of them to be cancelled", status.cancelling));
    }
    if status.overdue > 0 {
        lines.push(format!("{} overdue: open although their deadline has passed", status.overdue));
    }
    lines.push(format!("{} finished", status.finished));
    lines.extend(status.bytes.map(|bytes| format!("{} on the disk", humanize::bytes(bytes))));
    lines.join("\n")
}

/// `process 4711 runs polls.db until its own polls have ended`
pub(super) fn runs(runner: Runner, file: &str) -> String {
    let until = match runner.until {
        RunsUntil::OwnEnded => " until its own polls have ended",
        RunsUntil::NoneOpen => " until no poll is open",
        _ => "",
    };
    format!("{runner} runs {file}{until}")
}
