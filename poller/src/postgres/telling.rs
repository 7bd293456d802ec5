//! Telling other processes of changes at once, by NOTIFY: off by default, and never relied upon.
//!
//! ```text
//!  commit ─► tell ─► 20 ms ─► NOTIFY ─► the others' connections ─► 20 ms ─► they look now, instead of at their next look
//! ```
//!
//! A notification says nothing but that there is something. Whoever misses one, because its connection was cut or a pooler is
//! in between, looks a moment later. It goes out after the commit, on a connection of its own, and for all changes of 20 ms
//! together: inside of transactions, a lock that PostgreSQL holds while it queues notifications makes all commits of a
//! database wait for each other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::Inner;
use super::database::Fault;
use crate::clock::{BoxFuture, Clock as _};

/// What happens within this time is told, and heard, together.
const TOGETHER: Duration = Duration::from_millis(20);

/// The delay before the connection is opened again: at random between a half and the whole.
const AGAIN: Duration = Duration::from_secs(2);

/// What is told and heard.
#[derive(Debug)]
pub(super) struct Telling {
    is_on: bool,
    pending: Notify,
    heard: watch::Sender<()>,
}

impl Telling {
    pub(super) fn new(is_on: bool) -> Self {
        Self { is_on, pending: Notify::new(), heard: watch::Sender::new(()) }
    }

    /// Another process may be waiting for what was just committed.
    pub(super) fn tell(&self) {
        if self.is_on {
            self.pending.notify_one();
        }
    }

    /// Has the engine look now.
    pub(super) fn hear(&self) {
        self.heard.send_replace(());
    }

    /// Completes when another process tells something after this call.
    pub(super) fn changed(&self) -> BoxFuture<'static, ()> {
        let mut heard = self.heard.subscribe();
        Box::pin(async move {
            if heard.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

/// Tells and listens for as long as the thread of the store runs.
pub(super) async fn keep(inner: Arc<Inner>) {
    if !inner.telling.is_on {
        return;
    }
    let own = inner.clock.own();
    loop {
        // The next look finds what is missed meanwhile.
        let _ = inner.tell_and_listen().await;
        own.sleep_until(own.now() + AGAIN.mul_f64(0.5 + 0.5 * inner.fraction())).await;
    }
}

impl Inner {
    async fn tell_and_listen(&self) -> Result<(), Fault> {
        let own = self.clock.own();
        let (client, mut heard) = self.database.listen().await?;
        client.batch_execute("LISTEN poll").await?;
        let row = client.query_typed("SELECT pg_backend_pid()", &[]).await?.into_iter().next();
        let this: Option<i32> = row.map(|row| row.get(0));
        // Others may have told something while there was no connection.
        self.telling.hear();
        loop {
            tokio::select! {
                () = self.telling.pending.notified() => {
                    own.sleep_until(own.now() + TOGETHER).await;
                    client.batch_execute("NOTIFY poll").await?;
                }
                from = heard.recv() => {
                    let Some(from) = from else { return Ok(()) };
                    // A session hears itself too.
                    let mut others = Some(from) != this;
                    if others {
                        own.sleep_until(own.now() + TOGETHER).await;
                    }
                    while let Ok(from) = heard.try_recv() {
                        others |= Some(from) != this;
                    }
                    if others {
                        self.telling.hear();
                    }
                }
            }
        }
    }
}
