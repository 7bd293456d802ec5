//! `poll forget KEY…`: removes finished polls, either all named ones or none.

use poller::SqliteStore;
use poller::store::Store as _;
use serde::Serialize;

use super::super::output::{self, Keyed};
use super::super::{AlreadyReported, print_error};
use super::{Opening, find, named, on_store, plain, quoted, shown};
use crate::args::ForgetArgs;
use crate::exit::Exit;
use crate::render::terminal::Terminal;

pub(in super::super) fn run(args: &ForgetArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    on_store(&args.polls.store.file.path, Opening::MustExist, async |store| {
        forget(args, store, terminal).await
    })
}

#[derive(Serialize)]
struct Line {
    forgotten: bool,
}

async fn forget(args: &ForgetArgs, store: SqliteStore, terminal: &Terminal) -> anyhow::Result<Exit> {
    let file = &args.polls.store.file.path;
    let polls = find(&store, &args.polls, terminal).await?;
    let mut open = polls.iter().filter(|poll| poll.ended.is_none()).peekable();
    if open.peek().is_some() {
        for poll in open {
            print_error(
                terminal,
                &anyhow::anyhow!(
                    "{} is open, and only finished polls are forgotten; first: poll cancel --store {} {}",
                    shown(&poll.key),
                    quoted(file),
                    named(&poll.key)
                ),
            );
        }
        return Err(AlreadyReported.into());
    }
    for poll in &polls {
        // False if another process removed the poll meanwhile.
        let forgotten = store.forget(poll.key.clone()).await.map_err(plain)?;
        if args.polls.each.json {
            Keyed::new(&poll.key, Line { forgotten }).print(terminal)?;
        } else {
            let words = if forgotten { "forgotten" } else { "forgotten by another process" };
            output::text(&format!("{}: {words}", shown(&poll.key)))?;
        }
    }
    Ok(Exit::Success)
}
