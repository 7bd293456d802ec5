//! Connections and transactions.
//!
//! Statements carry the types of their parameters and no name, so they work behind a pooler that gives each transaction
//! another connection. Every transaction says its isolation, whatever the default of the database is, and sets its time
//! limits by `SET LOCAL` for the same reason. A transaction that is not committed ends with its connection: what state it
//! is in is then no question.

use std::fmt;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use futures_util::future::try_join;
use tokio::sync::mpsc;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Row};

use super::options::PostgresOptions;
use super::words::explain;
use crate::clock::{Clock as _, SystemClock, Timestamp};
use crate::store::StoreError;

/// Connections at most, beside that of the lease.
const CONNECTIONS: usize = 8;

/// The time limit of a read.
const READ: Duration = Duration::from_secs(30);

/// The time limit of a change of tables.
const MIGRATION: Duration = Duration::from_secs(120);

/// A parameter and its type.
pub(super) type Param<'p> = (&'p (dyn ToSql + Sync), Type);

/// A type of parameters, and what PostgreSQL calls it and an array of it.
pub(super) trait Typed: ToSql + Sync {
    const TYPE: Type;
    const ARRAY: Type;
}

macro_rules! typed {
    ($($rust:ty: $one:ident, $array:ident;)*) => {
        $(impl Typed for $rust {
            const TYPE: Type = Type::$one;
            const ARRAY: Type = Type::$array;
        })*
    };
}

typed! {
    i32: INT4, INT4_ARRAY;
    i64: INT8, INT8_ARRAY;
    &str: TEXT, TEXT_ARRAY;
    String: TEXT, TEXT_ARRAY;
    &[u8]: BYTEA, BYTEA_ARRAY;
}

impl<T: Typed> Typed for Option<T> {
    const TYPE: Type = T::TYPE;
    const ARRAY: Type = T::ARRAY;
}

impl<T: Typed> Typed for Vec<T> {
    const TYPE: Type = T::ARRAY;
    const ARRAY: Type = T::ARRAY;
}

impl<T: Typed> Typed for &[T] {
    const TYPE: Type = T::ARRAY;
    const ARRAY: Type = T::ARRAY;
}

pub(super) fn param<T: Typed>(value: &T) -> Param<'_> {
    (value, T::TYPE)
}

/// The parameters `$1`, `$2` … of a statement, with their types.
macro_rules! params {
    ($($value:expr),* $(,)?) => { [$($crate::postgres::database::param(&$value)),*] };
}
pub(super) use params;

/// The failure of a transaction.
#[derive(Debug)]
pub(super) enum Fault {
    Database(tokio_postgres::Error),
    Pool(String),
    /// No answer in this time.
    Late(Duration),
    /// The lease of this process has ended, or another process has its polls.
    Deposed,
    Store(StoreError),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    /// Whether the same transaction may succeed at once: it lost against another one.
    pub(super) fn is_conflict(&self) -> bool {
        self.has_code(&[SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED])
    }

    /// Whether the transaction may have been committed although this is its result: the connection ended, or no answer came.
    pub(super) fn is_unknown(&self) -> bool {
        match self {
            Self::Late(_) => true,
            // A server that shuts down says so before it closes the connection, maybe after the commit.
            Self::Database(error) => error.code().is_none_or(|code| code.code().starts_with("57P")),
            Self::Pool(_) | Self::Deposed | Self::Store(_) => false,
        }
    }

    pub(super) fn has_code(&self, codes: &[SqlState]) -> bool {
        matches!(self, Self::Database(error) if error.code().is_some_and(|code| codes.contains(code)))
    }

    /// The error for callers.
    pub(super) fn into_error(self, action: &str, shown: &str) -> StoreError {
        let problem = match self {
            Self::Store(error) => return error,
            Self::Deposed => {
                return StoreError::new(format!(
                    "cannot {action} in {shown}: the lease of this process has ended, and another one may run its polls"
                ));
            }
            Self::Database(error) => explain(&error),
            Self::Pool(problem) => problem,
            Self::Late(limit) => {
                format!("no answer within {} ms; see what the database is busy with", limit.as_millis())
            }
        };
        StoreError::new(format!("cannot {action} in {shown}: {problem}"))
    }
}

/// The database.
pub(super) struct Database {
    pool: Pool,
    config: tokio_postgres::Config,
    tls: super::tls::Tls,
    /// The URL without its password.
    pub(super) shown: String,
    own: SystemClock,
    /// The time limit of a transaction that changes something, shorter than the lease: a takeover waits for it.
    limit: Duration,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.shown).finish()
    }
}

impl Database {
    pub(super) fn new(options: &PostgresOptions, own: SystemClock) -> Result<Self, StoreError> {
        let limit = options.lease.mul_f64(0.4);
        let mut config = options.config.clone();
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(limit);
        }
        config.tcp_user_timeout(limit).keepalives_idle(options.lease);
        let manager = Manager::from_config(
            config.clone(),
            options.tls.connector.clone(),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(READ))
            .build()
            .map_err(|error| StoreError::new(format!("cannot make a pool of connections: {error}")))?;
        Ok(Self { pool, config, tls: options.tls.clone(), shown: options.shown.clone(), own, limit })
    }

    /// How long a statement of a transaction goes on at most after its connection was lost.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// A connection beside the pool, for the lease. Its task ends with the connection.
    pub(super) async fn connect(&self) -> Result<Client, Fault> {
        let (client, connection) = self.config.connect(self.tls.connector.clone()).await?;
        tokio::spawn(async move {
            // The client's next call reports the error.
            let _ = connection.await;
        });
        Ok(client)
    }

    /// A connection that listens: the processes of the server that sent notifications. The channel ends with the connection.
    pub(super) async fn listen(&self) -> Result<(Client, mpsc::UnboundedReceiver<i32>), Fault> {
        let (client, mut connection) = self.config.connect(self.tls.connector.clone()).await?;
        let (heard, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) =
                std::future::poll_fn(|context| connection.poll_message(context)).await
            {
                if let AsyncMessage::Notification(notification) = message
                    && heard.send(notification.process_id()).is_err()
                {
                    break;
                }
            }
        });
        Ok((client, receiver))
    }

    async fn object(&self) -> Result<Object, Fault> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => Fault::Database(error),
            PoolError::Timeout(_) => Fault::Pool(format!(
                "all {CONNECTIONS} connections of this process have been busy for {} s; the database is slow, or there are more \
                 calls at once than it can serve",
                READ.as_secs()
            )),
            other => Fault::Pool(other.to_string()),
        })
    }

    /// Statements that are transactions of their own.
    pub(super) async fn read(&self) -> Result<Tx<Object>, Fault> {
        Ok(Tx::new(self.object().await?, self.own, READ, false))
    }

    /// A transaction that reads one snapshot.
    pub(super) async fn snapshot(&self) -> Result<Tx<Object>, Fault> {
        let tx = Tx::new(self.object().await?, self.own, READ, true);
        tx.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        Ok(tx)
    }

    /// The same for polls by their names: by their indexes, as in [`begin`].
    pub(super) async fn lookup(&self) -> Result<Tx<Object>, Fault> {
        let tx = Tx::new(self.object().await?, self.own, READ, true);
        tx.batch(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {PLANS}")).await?;
        Ok(tx)
    }

    /// A transaction that changes something.
    pub(super) async fn write(&self) -> Result<Tx<Object>, Fault> {
        let tx = Tx::new(self.object().await?, self.own, self.limit, true);
        tx.batch(&begin(self.limit, "")).await?;
        Ok(tx)
    }

    /// The same, whose [beginning](Tx::begin) is sent together with its first statements: those read, so that nothing is lost
    /// should it fail.
    pub(super) async fn write_later(&self) -> Result<Tx<Object>, Fault> {
        Ok(Tx::new(self.object().await?, self.own, self.limit, true))
    }

    /// A transaction that changes tables. It may wait for others and takes as long as it takes: no lease is held meanwhile.
    pub(super) async fn migrate(&self) -> Result<Tx<Object>, Fault> {
        let tx = Tx::new(self.object().await?, self.own, MIGRATION, true);
        tx.batch(&begin(MIGRATION, "")).await?;
        Ok(tx)
    }

    /// The same on the connection of the lease.
    pub(super) async fn write_on<'c>(&self, client: &'c Client) -> Result<Tx<&'c Client>, Fault> {
        let tx = Tx::new(client, self.own, self.limit, true);
        tx.batch(&begin(self.limit, "SET LOCAL synchronous_commit = on;")).await?;
        Ok(tx)
    }
}

/// Plans of single rows by their keys: the statistics of a table that was empty a moment ago would suggest to read all of
/// it. Where only a scan is possible, as on the few rows of `worker`, its cost then counts as huge, and just-in-time
/// compilation would take seconds.
const PLANS: &str = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off; \
    SET LOCAL jit = off;";

/// The beginning of a transaction.
fn begin(limit: Duration, more: &str) -> String {
    let limit = limit.as_millis();
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL statement_timeout = {limit}; \
         SET LOCAL idle_in_transaction_session_timeout = {limit}; {PLANS} {more}"
    )
}

/// A connection that runs statements.
pub(super) trait Connection {
    fn client(&self) -> &Client;
    /// Closes the connection.
    fn discard(self);
}

impl Connection for Object {
    fn client(&self) -> &Client {
        self
    }

    fn discard(self) {
        drop(Self::take(self));
    }
}

impl Connection for &Client {
    fn client(&self) -> &Client {
        self
    }

    /// Its owner closes it after any error.
    fn discard(self) {}
}

/// A transaction, or a connection for single statements.
pub(super) struct Tx<C: Connection> {
    connection: Option<C>,
    own: SystemClock,
    until: Timestamp,
    limit: Duration,
    /// Dropping it closes the connection.
    is_open: bool,
}

impl<C: Connection> Tx<C> {
    fn new(connection: C, own: SystemClock, limit: Duration, is_open: bool) -> Self {
        Self { connection: Some(connection), own, until: own.now() + limit, limit, is_open }
    }

    async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fault> {
        tokio::select! {
            biased;
            result = call => Ok(result?),
            () = self.own.sleep_until(self.until) => Err(Fault::Late(self.limit)),
        }
    }

    fn client(&self) -> &Client {
        self.connection.as_ref().expect("invariant: it is taken at the end only").client()
    }

    pub(super) async fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Fault> {
        self.within(self.client().query_typed(sql, params)).await
    }

    /// The first row.
    pub(super) async fn first(&self, sql: &str, params: &[Param<'_>]) -> Result<Option<Row>, Fault> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    pub(super) async fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, Fault> {
        self.within(self.client().execute_typed(sql, params)).await
    }

    pub(super) async fn batch(&self, sql: &str) -> Result<(), Fault> {
        self.within(self.client().batch_execute(sql)).await
    }

    /// Begins a transaction that changes something.
    pub(super) async fn begin(&self) -> Result<(), Fault> {
        self.batch(&begin(self.limit, "")).await
    }

    /// The last statement of a transaction, sent together with its end: a statement that fails undoes it.
    pub(super) async fn commit_with(mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Fault> {
        let (rows, ()) = try_join(self.query(sql, params), self.batch("COMMIT")).await?;
        self.is_open = false;
        Ok(rows)
    }

    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        self.batch("COMMIT").await?;
        self.is_open = false;
        Ok(())
    }

    /// The transaction has ended: its ROLLBACK was answered, which was sent with other statements.
    pub(super) fn ended(mut self) {
        self.is_open = false;
    }

    /// Ends a transaction that changed nothing, and keeps its connection.
    pub(super) async fn rollback(mut self) -> Result<(), Fault> {
        self.batch("ROLLBACK").await?;
        self.is_open = false;
        Ok(())
    }
}

impl<C: Connection> Drop for Tx<C> {
    fn drop(&mut self) {
        let is_late = self.own.now() >= self.until;
        if let Some(connection) = self.connection.take_if(|_| self.is_open || is_late) {
            connection.discard();
        }
    }
}
