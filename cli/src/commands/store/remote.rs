//! A service as a store: what commands do with a store, they do with a service by its API.
//!
//! ```text
//!  commands ─► StoreAdmin ─┬─► a file
//!                          └─► RemoteStore ─► HTTP ─► poll serve
//! ```
//!
//! The commands print and exit as for a file because they are the same commands. A service runs its polls itself, so what
//! only an engine asks of a store is an error here.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use poller::fetch::{Fetch as _, Request, Response};
use poller::http::HttpClient;
use poller::store::{
    Creation, Ending, OpenPolls, PollRecord, Retention, Runner, RunsUntil, Selection, Store, StoreAdmin,
    StoreError, StoreStatus, StoredPoll, Summary,
};
use poller::{
    Attempt, BoxFuture, Clock as _, Limits, Outcome, PollKey, PollSpec, SpecOptions, SystemClock, Timestamp,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use url::Url;

/// How long an answer may take: a service waits for outcomes that are to be cancelled.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The largest answer: a poll with a body of a hundred MiB, which most services do not allow.
const LARGEST: u64 = 256 << 20;

/// The calls that are under way at once.
const AT_ONCE: usize = 32;

/// The polls of a page of a list.
const PAGE: usize = 1000;

/// The service, which does not say which process it is.
const RUNNER: Runner = Runner::new(None, RunsUntil::Stopped);

/// The variable with the key for a service.
pub(super) const KEY: &str = "POLL_KEY";

/// A service that is used as a store. Clones share the connections.
#[derive(Clone, Debug)]
pub(super) struct RemoteStore {
    inner: Arc<Inner>,
}

struct Inner {
    client: HttpClient,
    /// Without a slash at its end.
    base: String,
    authorization: Option<HeaderValue>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("base", &self.base).finish_non_exhaustive()
    }
}

/// The part of a problem that a person reads.
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    key: String,
    scope: String,
    state: String,
    created_at: Timestamp,
    deadline: Option<Timestamp>,
    restarts: u32,
    ended_at: Option<Timestamp>,
    attempts: Option<u32>,
    problem: Option<String>,
}

#[derive(Deserialize)]
struct List {
    polls: Vec<Row>,
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whole {
    state: String,
    created_at: Timestamp,
    restarts: u32,
    spec: Box<RawValue>,
    followed: Option<String>,
    history: Vec<Attempt>,
    outcome: Option<Outcome>,
}

impl From<Row> for Summary {
    fn from(row: Row) -> Self {
        let mut summary = Self::new(PollKey::new(&row.scope, &row.key), row.created_at);
        summary.deadline = row.deadline;
        summary.restarts = row.restarts;
        summary.cancelling = row.state == "cancelling";
        summary.ended = row.ended_at.map(|at| Ending::new(at, row.state, row.attempts.unwrap_or(0)));
        summary.problem = row.problem;
        summary
    }
}

impl RemoteStore {
    /// The service at `url`; `key` is the one that it asks for.
    pub(super) fn new(client: HttpClient, url: &Url, key: Option<&str>) -> anyhow::Result<Self> {
        let authorization = key.map(|key| {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                .map_err(|_| anyhow::anyhow!("{KEY} has a character that no header can carry"))?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        let base = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { inner: Arc::new(Inner { client, base, authorization: authorization.transpose()? }) })
    }

    async fn call(&self, method: Method, path: &str, body: Option<String>) -> Result<Response, StoreError> {
        let Inner { client, base, authorization } = &*self.inner;
        let url = Url::parse(&format!("{base}{path}"))
            .map_err(|error| StoreError::new(format!("{base} is no URL of a service: {error}")))?;
        let mut request = Request::new(method, url, LARGEST);
        if let Some(authorization) = authorization {
            request.headers.insert(AUTHORIZATION, authorization.clone());
        }
        if let Some(body) = body {
            request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            request.body = Some(body.into());
        }
        let clock = SystemClock::new();
        let fetched = tokio::select! {
            fetched = client.fetch(request) => fetched,
            () = clock.sleep_until(clock.now() + TIMEOUT) => {
                let seconds = TIMEOUT.as_secs();
                return fail(format!("the service at {base} has not answered for {seconds} s"));
            }
        };
        fetched.map_err(|error| {
            StoreError::new(format!(
                "cannot reach the service at {base}: {error}; is `poll serve` running there?"
            ))
        })
    }

    /// What an unexpected answer says.
    fn refused(&self, answer: &Response) -> StoreError {
        let base = &self.inner.base;
        StoreError::new(match (answer.status, serde_json::from_slice(&answer.body)) {
            (401, Ok(Problem { .. })) => {
                format!("the service at {base} wants a key: set {KEY} to one of its keys")
            }
            (_, Ok(Problem { detail })) => format!("the service at {base} answered: {detail}"),
            (status, Err(_)) => {
                format!(
                    "{base} answered {status} and no problem of a service; is it the address of `poll serve`?"
                )
            }
        })
    }

    fn read<T: DeserializeOwned>(&self, answer: &Response) -> Result<T, StoreError> {
        if answer.status != 200 {
            return Err(self.refused(answer));
        }
        serde_json::from_slice(&answer.body).map_err(|error| {
            StoreError::new(format!("{} answered what is not understood: {error}", self.inner.base))
        })
    }

    /// A poll as the service shows it, with the spec as far as it is no secret.
    async fn record(&self, key: PollKey) -> Result<Option<PollRecord>, StoreError> {
        let answer = self.call(Method::GET, &path(&key)?, None).await?;
        if answer.status == 404 && serde_json::from_slice::<Problem>(&answer.body).is_ok() {
            return Ok(None);
        }
        let whole: Whole = self.read(&answer)?;
        let spec = shown_spec(whole.spec.get()).map_err(|error| {
            StoreError::new(format!(
                "the service shows a spec of the poll {key} that is not understood: {error}"
            ))
        })?;
        let mut poll = StoredPoll::new(key, spec, whole.created_at);
        poll.restarts = whole.restarts;
        poll.followed = whole.followed.map(Into::into);
        poll.outcome = whole.outcome.map(Arc::new);
        let mut record = PollRecord::new(poll);
        record.attempts = whole.history;
        record.cancelling = whole.state == "cancelling";
        record.runner = Some(RUNNER);
        Ok(Some(record))
    }

    async fn stored(&self, key: PollKey) -> Result<Option<StoredPoll>, StoreError> {
        Ok(self.record(key).await?.map(|record| record.poll))
    }

    async fn rows(&self, selection: &Selection) -> Result<Vec<Summary>, StoreError> {
        let mut query = format!("/v1/polls?limit={PAGE}");
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        for (name, value) in
            [("scope", &selection.scope), ("prefix", &selection.prefix), ("origin", &selection.origin)]
        {
            query.extend(value.iter().map(|value| format!("&{name}={}", encode(value))));
        }
        if !selection.states.is_empty() {
            query.push_str(&format!("&state={}", encode(&selection.states.join(","))));
        }
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let answer = self.call(Method::GET, &format!("{query}{cursor}"), None).await?;
            let list: List = self.read(&answer)?;
            found.extend(list.polls.into_iter().map(Summary::from));
            match list.next {
                Some(next) => cursor = format!("&cursor={}", encode(&next)),
                None => return Ok(found),
            }
        }
    }
}

fn fail<T>(message: impl Into<String>) -> Result<T, StoreError> {
    Err(StoreError::new(message))
}

/// The path of a poll in the API.
fn path(key: &PollKey) -> Result<String, StoreError> {
    for text in [key.scope(), key.key()] {
        if matches!(text, "." | "..") {
            return fail(format!("{text:?} can be no part of a path, so no service has a poll {key}"));
        }
    }
    let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    Ok(match key.scope() {
        "" => format!("/v1/polls/{}", encode(key.key())),
        scope => format!("/v1/scopes/{}/polls/{}", encode(scope), encode(key.key())),
    })
}

/// What stands for a secret in a spec that is shown, and a text that is read as a secret.
const HIDDEN: &str = r#"{"__redactedString":true}"#;
const READABLE: &str = r#"{"__redactedString":true,"strings":["hidden by the service"],"interpolations":[]}"#;

/// A spec that a service shows. Its secrets are placeholders, which print as placeholders again.
fn shown_spec(text: &str) -> Result<PollSpec, poller::SpecError> {
    SpecOptions::new().limits(Limits::unbounded()).parse(&text.replace(HIDDEN, READABLE))
}

/// A call that only a process that runs polls makes.
fn runs_itself<T: Send + 'static>() -> BoxFuture<'static, Result<T, StoreError>> {
    Box::pin(std::future::ready(fail(
        "a service runs its polls itself; this command works on the store of a service, where that is",
    )))
}

impl Store for RemoteStore {
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>> {
        Box::pin(async move {
            self.admits(&poll.spec)?;
            let body = poll.spec.to_value().to_string();
            let answer = self.call(Method::PUT, &path(&poll.key)?, Some(body)).await?;
            match answer.status {
                201 => Ok(Creation::Created),
                // The commands compare the specs, and say in what they differ.
                200 | 409 => match self.stored(poll.key.clone()).await? {
                    Some(present) => Ok(Creation::Exists(Box::new(present))),
                    None => fail(format!("the poll {} was removed meanwhile; try again", poll.key)),
                },
                _ => Err(self.refused(&answer)),
            }
        })
    }

    fn create_all(&self, polls: Vec<StoredPoll>) -> BoxFuture<'_, Vec<Result<Creation, StoreError>>> {
        let calls = polls.into_iter().map(|poll| self.create(poll));
        Box::pin(futures_util::stream::iter(calls).buffered(AT_ONCE).collect())
    }

    fn finish(&self, _: PollKey, _: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>> {
        runs_itself()
    }

    fn begin_run(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        runs_itself()
    }

    fn load_open(&self) -> BoxFuture<'_, Result<OpenPolls, StoreError>> {
        runs_itself()
    }

    fn get(&self, key: PollKey) -> BoxFuture<'_, Result<Option<StoredPoll>, StoreError>> {
        Box::pin(self.stored(key))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredPoll>, StoreError>> {
        runs_itself()
    }

    fn forget(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let answer = self.call(Method::DELETE, &path(&key)?, None).await?;
            match answer.status {
                204 => Ok(true),
                404 | 409 => Ok(false),
                _ => Err(self.refused(&answer)),
            }
        })
    }

    fn purge(&self, _: Retention) -> BoxFuture<'_, Result<usize, StoreError>> {
        runs_itself()
    }
}

impl StoreAdmin for RemoteStore {
    fn select(&self, selection: Selection) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>> {
        Box::pin(async move {
            let mut found = self.rows(&selection).await?;
            // Newest first; stable, so that polls of one moment keep the order of their creation.
            found.reverse();
            found.sort_by_key(|poll| poll.ended.is_some());
            if let Some(after) = &selection.after {
                let Some(position) = found.iter().position(|poll| poll.key == *after) else {
                    return fail(format!("the poll {after} is not in the list"));
                };
                found.drain(..=position);
            }
            found.truncate(selection.limit);
            Ok(found)
        })
    }

    fn status(&self, now: Timestamp) -> BoxFuture<'_, Result<StoreStatus, StoreError>> {
        Box::pin(async move {
            let mut status = StoreStatus::default();
            for poll in self.rows(&Selection::all()).await? {
                if poll.ended.is_some() {
                    status.finished += 1;
                    continue;
                }
                status.open += 1;
                status.cancelling += usize::from(poll.cancelling);
                status.overdue += usize::from(poll.deadline.is_some_and(|deadline| deadline <= now));
                status.oldest = status.oldest.into_iter().chain([poll.created_at]).min();
            }
            Ok(status)
        })
    }

    fn summary(&self, key: PollKey) -> BoxFuture<'_, Result<Option<Summary>, StoreError>> {
        Box::pin(async move {
            let Some(PollRecord { poll, cancelling, .. }) = self.record(key).await? else { return Ok(None) };
            let mut summary = Summary::new(poll.key.clone(), poll.created_at);
            summary.deadline = Some(poll.deadline());
            summary.restarts = poll.restarts;
            summary.cancelling = cancelling;
            let ending =
                |outcome: &Arc<Outcome>| Ending::new(outcome.ended_at, outcome.name(), outcome.attempts);
            summary.ended = poll.outcome.as_ref().map(ending);
            summary.spec = Some(poll.spec);
            Ok(Some(summary))
        })
    }

    fn show(&self, key: PollKey) -> BoxFuture<'_, Result<Option<PollRecord>, StoreError>> {
        Box::pin(self.record(key))
    }

    fn count_open(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move {
            Ok(self.rows(&Selection::all().with_state("open").with_state("cancelling")).await?.len())
        })
    }

    fn request_cancel(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let answer = self.call(Method::POST, &format!("{}/cancel", path(&key)?), None).await?;
            match answer.status {
                200 => Ok(true),
                404 => Ok(false),
                _ => Err(self.refused(&answer)),
            }
        })
    }

    fn cancel_unrun(
        &self,
        _: PollKey,
        _: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Arc<Outcome>>, StoreError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn runner(&self) -> BoxFuture<'_, Result<Option<Runner>, StoreError>> {
        Box::pin(std::future::ready(Ok(Some(RUNNER))))
    }

    fn admits(&self, spec: &PollSpec) -> Result<(), StoreError> {
        if spec.to_value().to_string().contains(HIDDEN) {
            return fail(
                "the spec contains a secret, which this command does not send; refer to it, as {\"$secret\": \"env:NAME\"}, \
                 for the service to resolve",
            );
        }
        Ok(())
    }
}
