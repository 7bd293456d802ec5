//! `poll purge`: removes finished polls by age and number, in small transactions that do not block a runner.

use poller::Clock as _;
use poller::store::{Retention, Store as _};
use serde_json::json;

use super::super::output;
use super::{Opening, clock, on_store, plain};
use crate::args::PurgeArgs;
use crate::exit::Exit;
use crate::render::humanize;
use crate::render::terminal::Terminal;

pub(in super::super) fn run(args: &PurgeArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
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
