//! `poll list`: the polls of a store, one line each.

use std::array::from_fn;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::iter;

use console::{Alignment, measure_text_width, pad_str};
use futures_util::StreamExt as _;
use poller::store::{Runner, Selection, StoreAdmin as _, Summary};
use poller::{Clock as _, PollKey, Timestamp};
use serde::Serialize;

use super::super::output::{self, Keyed};
use super::{OpenStore, Opening, clock, on_store, plain, quoted, quoted_text, shown, status};
use crate::args::ListArgs;
use crate::exit::Exit;
use crate::render::progress::lines;
use crate::render::terminal::{Paint, Terminal, eprint_line};
use crate::render::{humanize, sanitize};

pub(in super::super) fn run(args: &ListArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    on_store(&args.file.path, Opening::Reading, async |store| {
        let limit = args.limit.unwrap_or(usize::MAX);
        let mut selection = Selection::all().with_limit(limit);
        selection.scope = args.scope.clone();
        selection.prefix = args.prefix.clone();
        selection.states = args.states.iter().map(|state| state.replace('-', " ")).collect();
        selection.after =
            args.after.as_ref().map(|key| PollKey::new(args.scope.as_deref().unwrap_or(""), key.as_str()));
        if args.each.json {
            return list_json(&store, selection, terminal).await;
        }
        // One more, to see whether there are more.
        let selection = selection.with_limit(limit.saturating_add(1));
        let mut polls = store.select(selection).await.map_err(plain)?;
        let is_page = polls.len() > limit;
        polls.truncate(limit);
        let now = clock(&store).now();
        if !polls.is_empty() {
            output::text(&table(&polls, now, terminal.stdout_paint))?;
        }
        if !args.each.quiet {
            eprint_line(summary(&polls, store.runner().await.map_err(plain)?, &quoted(&args.file.path)));
            if let Some(last) = polls.last().filter(|_| is_page) {
                // `--after` names a poll of the scope that is listed, or of the default scope.
                if last.key.scope() == args.scope.as_deref().unwrap_or("") {
                    eprint_line(format_args!("there are more: --after {}", quoted_text(last.key.key())));
                } else {
                    eprint_line("there are more; list one --scope at a time");
                }
            }
        }
        let mut problems = Problems::default();
        polls.iter().for_each(|poll| problems.add(poll));
        Ok(problems.print())
    })
}

/// A line of JSON for each poll. Without a table, whose columns have one width, the list need not be kept.
async fn list_json(store: &OpenStore, selection: Selection, terminal: &Terminal) -> anyhow::Result<Exit> {
    let mut problems = Problems::default();
    let mut stdout = output::Lines::new(terminal);
    let mut pages = store.select_pages(selection);
    while let Some(page) = pages.next().await {
        for poll in &page.map_err(plain)? {
            stdout.print(&Keyed::new(&poll.key, line(poll)))?;
            problems.add(poll);
        }
        stdout.flush()?;
    }
    Ok(problems.print())
}

/// The number of problems that are printed, and of polls that each names.
const PROBLEMS: usize = 10;
const NAMED: usize = 3;

/// What is wrong with damaged polls: of each problem the number of polls that have it, and the first of them.
#[derive(Default)]
struct Problems {
    found: BTreeMap<String, (u32, Vec<String>)>,
}

impl Problems {
    fn add(&mut self, poll: &Summary) {
        let Some(problem) = &poll.problem else { return };
        let (count, named) = self.found.entry(problem.clone()).or_default();
        *count = count.saturating_add(1);
        if named.len() < NAMED {
            named.push(shown(&poll.key));
        }
    }

    /// Prints each problem once.
    fn print(&self) -> Exit {
        for (problem, (count, named)) in self.found.iter().take(PROBLEMS) {
            let more = if *count as usize > named.len() { ", …" } else { "" };
            let count = humanize::count(*count, "damaged poll");
            eprint_line(format_args!("{count} ({}{more}): {}", named.join(", "), sanitize::line(problem)));
        }
        if self.found.len() > PROBLEMS {
            eprint_line(format_args!("and {} problems more", self.found.len() - PROBLEMS));
        }
        if self.found.is_empty() { Exit::Success } else { Exit::Error }
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
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
}

fn line(poll: &Summary) -> Line<'_> {
    Line {
        state: poll.state(),
        created_at: poll.created_at,
        deadline: poll.deadline,
        restarts: poll.restarts,
        ended_at: poll.ended.as_ref().map(|ending| ending.at),
        attempts: poll.ended.as_ref().map(|ending| ending.attempts),
        problem: poll.problem.as_deref(),
    }
}

fn table(polls: &[Summary], now: Timestamp, paint: Paint) -> String {
    let rows = polls.iter().map(|poll| {
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
        [shown(&poll.key), painted(poll.state(), paint), age, when, attempts]
    });
    aligned(["KEY", "STATE", "AGE", "WHEN", "ATTEMPTS"], rows, 5, paint)
}

/// Titles and rows in columns. The first `left` columns are aligned to the left, the others to the right.
pub(super) fn aligned<const N: usize>(
    titles: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    left: usize,
    paint: Paint,
) -> String {
    let titles = titles.map(|title| paint.faint(title).to_string());
    let rows: Vec<_> = iter::once(titles).chain(rows).collect();
    let widths: [usize; N] =
        from_fn(|column| rows.iter().map(|row| measure_text_width(&row[column])).max().unwrap_or(0));
    let line = |row: &[String; N]| {
        let cells: [Cow<'_, str>; N] = from_fn(|column| {
            let side = if column < left { Alignment::Left } else { Alignment::Right };
            pad_str(&row[column], widths[column], side, None)
        });
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The name of a state in its colour.
pub(super) fn painted(state: &str, paint: Paint) -> String {
    match state {
        "matched" => paint.good(state).to_string(),
        "failed" | "timed out" => paint.bad(state).to_string(),
        "cancelled" | "cancelling" => paint.caution(state).to_string(),
        // In a damaged file it may be any text.
        _ => sanitize::excerpt(state, 40),
    }
}

/// `3 polls: 1 open, 2 matched; no process runs polls.db: poll run --store polls.db`
fn summary(polls: &[Summary], runner: Option<Runner>, file: &str) -> String {
    const STATES: [&str; 7] =
        ["open", "cancelling", "matched", "failed", "timed out", "cancelled", "unreadable"];
    let counts = STATES.map(|name| (name, polls.iter().filter(|poll| poll.state() == name).count()));
    let open = polls.iter().any(|poll| poll.ended.is_none());
    let then = match (open, runner) {
        (_, Some(runner)) => format!("; {}", status::runs(runner, file)),
        (true, None) => format!("; no process runs {file}: poll run --store {file}"),
        (false, None) => String::new(),
    };
    lines::summary(&counts) + &then
}
