//! `poll forget KEY…` removes finished polls, either all named ones or none. `poll purge` removes them by age and number, in small
//! transactions that do not block a runner.

use futures_util::StreamExt as _;
use poller::Clock as _;
use poller::store::{Retention, Store as _};
use serde_json::json;

use super::super::output::{self, Keyed, Lines};
use super::super::{AlreadyReported, print_listed};
use super::{AT_ONCE, Opening, clock, find, named, on_store, plain, quoted, shown};
use crate::args::{ForgetArgs, PurgeArgs};
use crate::exit::Exit;
use crate::render::humanize;
use crate::render::terminal::Terminal;

pub(in super::super) fn forget(args: &ForgetArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    on_store(&args.store.file.path, Opening::MustExist, async |store| {
        let mut polls = Vec::new();
        find(&store, &args.keys, &args.store, terminal, |poll| polls.push(poll)).await?;
        let mut open = polls.iter().filter(|poll| poll.ended.is_none()).peekable();
        if open.peek().is_some() {
            for poll in open {
                let (key, file, named) = (shown(&poll.key), quoted(&args.store.file.path), named(&poll.key));
                print_listed(
                    terminal,
                    format_args!(
                        "{key} is open, and only finished polls are forgotten; first: poll cancel --store {file} \
                         {named}"
                    ),
                );
            }
            return Err(AlreadyReported.into());
        }
        let mut forgotten =
            futures_util::stream::iter(&polls).map(|poll| store.forget(poll.key.clone())).buffered(AT_ONCE);
        let mut stdout = Lines::new(terminal);
        for poll in &polls {
            // False if another process removed the poll meanwhile.
            let forgotten = forgotten.next().await.transpose().map_err(plain)?.unwrap_or(false);
            if args.each.json {
                stdout.print(&Keyed::new(&poll.key, json!({"forgotten": forgotten})))?;
            } else {
                let words = if forgotten { "forgotten" } else { "forgotten by another process" };
                stdout.text(&format!("{}: {words}", shown(&poll.key)))?;
            }
        }
        stdout.flush()?;
        Ok(Exit::Success)
    })
}

pub(in super::super) fn purge(args: &PurgeArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    on_store(&args.file.path, Opening::MustExist, async |store| {
        let since = clock(&store).now().before(args.older_than);
        let keep = Retention::new(since, args.keep.unwrap_or(usize::MAX));
        let mut removed = 0;
        loop {
            match store.purge(keep).await.map_err(plain)? {
                0 => break,
                some => removed += some,
            }
        }
        if args.json {
            output::json(&json!({"removed": removed}), terminal)?;
        } else {
            output::text(&format!("{} removed", humanize::count(removed, "finished poll")))?;
        }
        Ok(Exit::Success)
    })
}
