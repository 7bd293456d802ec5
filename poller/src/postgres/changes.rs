//! What the engine learns from the database: the open polls of its shards, page by page, and what others have changed since.
//!
//! ```text
//!  begin_run ─► load … load ─► changes ─► changes ─► …      each: give shards back, drop lost polls, read new shards, empty the inbox
//! ```

use std::sync::Arc;
use std::time::Duration;

use super::database::{Fault, params};
use super::lease::Role;
use super::writes::Finish;
use super::{Inner, or_zero, reads, schema};
use crate::clock::Clock as _;
use crate::key::PollKey;
use crate::store::{Changes, OpenPolls};

/// How soon a worker that is not certain of the fleet's time looks again.
const UNCERTAIN: Duration = Duration::from_millis(100);

impl Inner {
    pub(super) async fn begin_run(&self) -> Result<usize, Fault> {
        schema::probe(&self.database, self.random()).await?;
        while !self.register().await? {
            let own = self.clock.own();
            own.sleep_until(own.now() + UNCERTAIN).await;
        }
        let ours = self.shards().ours();
        let sql = "SELECT count(*) FROM poll.open WHERE shard = ANY($1)";
        let row = self.database.read().await?.first(sql, &params![ours]).await?;
        Ok(row.map_or(0, |row| or_zero(row.get::<_, i64>(0))))
    }

    /// The next page of polls that the engine has not read. Polls that cannot be read end as failed first.
    pub(super) async fn load(self: &Arc<Self>) -> Result<OpenPolls, Fault> {
        let (page, last) = self.next_page().await?;
        self.opened(page, last).await
    }

    pub(super) async fn opened(&self, page: reads::Page, last: bool) -> Result<OpenPolls, Fault> {
        let mut unreadable = Vec::with_capacity(page.unreadable.len());
        for (key, known, outcome) in page.unreadable {
            let finish = Finish::new(self.shard_of(&key), key.clone(), Some(known), &outcome)?;
            match self.finish_all(&[finish], true).await {
                Ok(ended) if ended == [true] => unreadable.push((key, Arc::new(outcome))),
                Ok(_) => {}
                // The others must reach the engine; this one is read again.
                Err(_) => self.shards().read_again(),
            }
        }
        Ok(OpenPolls { polls: page.polls, unreadable, sealed: Vec::new(), last })
    }

    pub(super) async fn changes(self: &Arc<Self>) -> Result<Changes, Fault> {
        self.check_clock()?;
        let mut changes = Changes::default();
        match self.role() {
            Role::Client => return Ok(changes),
            Role::Deposed { id, told } => {
                changes.released = self.shards().released();
                if told && changes.released.is_empty() {
                    self.register().await?;
                } else {
                    self.set_role(Role::Deposed { id, told: true });
                }
                return Ok(changes);
            }
            Role::Worker(_) => {}
        }
        if !self.is_trusted() {
            return Ok(changes);
        }
        self.give_back().await?;
        changes.released = self.shards().released();
        self.shards().read_doubtful(crate::clock::boot_time());
        if !self.shards().all_read() {
            match self.load().await {
                Ok(open) => changes.open = open,
                // The released polls must reach the engine.
                Err(_) if !changes.released.is_empty() => {}
                Err(fault) => return Err(fault),
            }
            return Ok(changes);
        }
        self.end_readers().await;
        self.shards().begin_read();
        let inbox = self.empty_inbox().await;
        self.shards().end_read();
        if inbox.as_ref().is_err_and(Fault::is_unknown) {
            // Maybe the news was removed: the open rows tell the same.
            self.shards().read_again();
        }
        match inbox {
            Ok(news) => Ok(Changes { released: changes.released, ..news }),
            Err(_) if !changes.released.is_empty() => Ok(changes),
            Err(fault) => Err(fault),
        }
    }

    /// What others have put into the inbox of this worker's shards. Creations are removed by reading them: a worker that takes over
    /// finds the open rows. So are calls to ask at once, which are no promises. Cancellations stay until the poll has ended, so that
    /// they survive this process.
    async fn empty_inbox(&self) -> Result<Changes, Fault> {
        let ours = self.shards().ours();
        let tx = self.database.write().await?;
        let there = tx.first("SELECT 1 FROM poll.inbox LIMIT 1", &[]).await?;
        if there.is_none() {
            tx.rollback().await?;
            return Ok(Changes::default());
        }
        let worker = self.fence(&tx).await?;
        let key = |row: &tokio_postgres::Row| PollKey::new(row.get::<_, &str>(0), row.get::<_, &str>(1));
        // A fail-over may have undone the assignment of a shard: its news belongs to the owner by the database.
        let sql = "DELETE FROM poll.inbox WHERE what IN ('created', 'hasten') AND shard = ANY($1) \
             AND shard IN (SELECT id FROM poll.shard WHERE worker = $2) RETURNING scope, key, incarnation, what";
        let told = tx.query(sql, &params![ours, worker.id]).await?;
        let sql = "DELETE FROM poll.inbox i WHERE what = 'cancel' AND shard = ANY($1) AND NOT EXISTS \
             (SELECT FROM poll.open o WHERE o.shard = i.shard AND o.scope = i.scope AND o.key = i.key \
             AND o.incarnation = i.incarnation)";
        tx.execute(sql, &params![ours]).await?;
        let sql = "SELECT DISTINCT scope, key FROM poll.inbox WHERE what = 'cancel' AND shard = ANY($1)";
        let cancel = tx.query(sql, &params![ours]).await?;
        let (created, hastened): (Vec<_>, Vec<_>) =
            told.iter().partition(|row| row.get::<_, &str>(3) == "created");
        let mut created: Vec<(PollKey, i64)> =
            created.into_iter().map(|row| (key(row), row.get(2))).collect();
        {
            // Polls that were loaded with their shard.
            let shards = self.shards();
            created.retain(|(key, incarnation)| {
                let known = shards.get(self.shard_of(key), key);
                known.is_none_or(|known| known.incarnation != *incarnation)
            });
        }
        let page =
            if created.is_empty() { reads::Page::default() } else { self.open_of(&tx, &created).await? };
        tx.commit().await?;
        let open = self.opened(page, true).await?;
        let (cancelling, hastened) =
            (cancel.iter().map(key).collect(), hastened.into_iter().map(key).collect());
        Ok(Changes { open, cancelling, hastened, released: Vec::new() })
    }
}
