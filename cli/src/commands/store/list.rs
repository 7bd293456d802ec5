//! `poll list`: the polls of a store, one line each.

use std::array::from_fn;

use console::{Alignment, measure_text_width, pad_str};
use poller::store::{Runner, StoreAdmin as _, Summary};
use poller::{Clock as _, SqliteStore, SystemClock, Timestamp};
use serde::Serialize;

use super::super::output::{self, Keyed};
use super::{Opening, on_store, plain, quoted, shown};
use crate::args::ListArgs;
use crate::exit::Exit;
use crate::render::humanize;
use crate::render::progress::lines;
use crate::render::terminal::{Paint, Terminal, eprint_line};

pub(in super::super) fn run(args: &ListArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    on_store(&args.file.path, Opening::MustExist, async |store| list(args, store, terminal).await)
}

async fn list(args: &ListArgs, store: SqliteStore, terminal: &Terminal) -> anyhow::Result<Exit> {
    let mut polls = store.summaries().await.map_err(plain)?;
    if let Some(scope) = &args.scope {
        polls.retain(|poll| poll.key.scope() == scope);
    }
    let now = SystemClock::new().now();
    if args.each.json {
        for poll in &polls {
            Keyed::new(&poll.key, Line::from(poll)).print(terminal)?;
        }
        return Ok(Exit::Success);
    }
    if !polls.is_empty() {
        output::text(&table(&polls, now, terminal.stdout_paint))?;
    }
    if !args.each.quiet {
        eprint_line(summary(&polls, store.runner().await.map_err(plain)?, &quoted(&args.file.path)));
    }
    Ok(Exit::Success)
}

/// `open`, `cancelling`, or the name of the outcome.
pub(super) fn state(poll: &Summary) -> &str {
    match &poll.ended {
        Some(ending) => &ending.outcome,
        None if poll.cancelling => "cancelling",
        None => "open",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    state: &'a str,
    created_at: Timestamp,
    deadline: Option<Timestamp>,
    restarts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
}

impl<'a> From<&'a Summary> for Line<'a> {
    fn from(poll: &'a Summary) -> Self {
        Self {
            state: state(poll),
            created_at: poll.created_at,
            deadline: poll.deadline,
            restarts: poll.restarts,
            ended_at: poll.ended.as_ref().map(|ending| ending.at),
            attempts: poll.ended.as_ref().map(|ending| ending.attempts),
        }
    }
}

fn table(polls: &[Summary], now: Timestamp, paint: Paint) -> String {
    let mut rows =
        vec![["KEY", "STATE", "AGE", "WHEN", "ATTEMPTS"].map(|title| paint.faint(title).to_string())];
    rows.extend(polls.iter().map(|poll| {
        let (when, attempts) = match (&poll.ended, poll.deadline) {
            (Some(ending), _) => {
                (format!("{} ago", humanize::age(now.since(ending.at))), ending.attempts.to_string())
            }
            (None, Some(deadline)) if deadline > now => {
                (format!("{} left", humanize::countdown(deadline.since(now))), "-".to_owned())
            }
            (None, Some(_)) => ("time is up".to_owned(), "-".to_owned()),
            (None, None) => ("not known".to_owned(), "-".to_owned()),
        };
        let age = humanize::age(now.since(poll.created_at));
        [shown(&poll.key), painted(state(poll), paint), age, when, attempts]
    }));
    let widths: [usize; 5] =
        from_fn(|column| rows.iter().map(|row| measure_text_width(&row[column])).max().unwrap_or(0));
    let pad = |(cell, width): (&String, usize)| pad_str(cell, width, Alignment::Left, None).into_owned();
    let line = |row: &[String; 5]| row.iter().zip(widths).map(pad).collect::<Vec<_>>().join("  ");
    rows.iter().map(line).map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// The name of a state in its colour.
pub(super) fn painted(state: &str, paint: Paint) -> String {
    match state {
        "matched" => paint.good(state).to_string(),
        "failed" | "timed out" => paint.bad(state).to_string(),
        "cancelled" | "cancelling" => paint.caution(state).to_string(),
        _ => state.to_owned(),
    }
}

/// `3 polls: 1 open, 2 matched; no process runs polls.db: poll run --store polls.db`
fn summary(polls: &[Summary], runner: Option<Runner>, file: &str) -> String {
    const STATES: [&str; 7] =
        ["open", "cancelling", "matched", "failed", "timed out", "cancelled", "unreadable"];
    let counts = STATES.map(|name| (name, polls.iter().filter(|poll| state(poll) == name).count()));
    let open = polls.iter().any(|poll| poll.ended.is_none());
    let then = match (open, runner) {
        (_, Some(runner)) => format!("; {runner} runs {file}"),
        (true, None) => format!("; no process runs {file}: poll run --store {file}"),
        (false, None) => String::new(),
    };
    lines::summary(&counts) + &then
}
