//! `POST …/cancel`, `DELETE …/{key}` and `POST /v1/cancel`: the ends of polls.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use http::{HeaderMap, StatusCode};
use poller::store::Cursor;
use poller::{ErrorKind, Outcome, PollKey};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::list::Which;
use crate::access::Caller;
use crate::app::App;
use crate::name::Name;
use crate::problem::{Kind, Problem};
use crate::{body, sse};

/// How long a poll that the engine does not have yet may take to be cancelled.
const NOTICED: Duration = Duration::from_secs(10);

/// Cancels a poll; answers with its outcome, which is another one if that was decided first.
pub(crate) async fn cancel(State(app): State<Arc<App>>, Name(key): Name) -> Result<Response, Problem> {
    let outcome = end(&app, &key).await?;
    Ok(super::ended(&key, &outcome))
}

async fn end(app: &Arc<App>, key: &PollKey) -> Result<Arc<Outcome>, Problem> {
    let mut waiting = app.hub.wait(key);
    match app.poller.scope(key.scope()).cancel(key.key()).await {
        Ok(outcome) => return Ok(outcome),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    // Another process has submitted it just now: the engine takes it on within a second, and cancels it then.
    if !app.store.request_cancel(key.clone()).await? {
        let ended = app.store.get(key.clone()).await?.and_then(|poll| poll.outcome);
        return ended.ok_or_else(|| Problem::not_found(format_args!("poll {key}")));
    }
    match timeout(NOTICED, waiting.outcome()).await {
        Ok(Some(outcome)) => Ok(outcome),
        Ok(None) => Err(Problem::stopping()),
        Err(_) => Err(Problem::unavailable(format!("the poll {key} will be cancelled, but is not yet"))),
    }
}

/// Removes a finished poll.
pub(crate) async fn forget(State(app): State<Arc<App>>, Name(key): Name) -> Result<StatusCode, Problem> {
    if app.poller.scope(key.scope()).forget(key.key()).await? {
        let (name, data) = sse::forgotten(&key);
        app.hub.post(key, name, data);
        return Ok(StatusCode::NO_CONTENT);
    }
    match app.store.summary(key.clone()).await? {
        Some(_) => Err(Problem::new(
            Kind::Open,
            format!("the poll {key} is open, and only finished polls are removed; cancel it first"),
        )),
        None => Err(Problem::not_found(format_args!("poll {key}"))),
    }
}

/// Which polls to cancel. All members that are given must hold; at least one must be given, or `all`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Cancel {
    scope: Option<String>,
    prefix: Option<String>,
    origin: Option<String>,
    since: Option<String>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cancelled {
    polls: usize,
    dry_run: bool,
}

/// The number of polls that are cancelled at once; their outcomes share transactions.
const AT_ONCE: usize = 1024;

/// Cancels all open polls that a filter selects, or counts them.
pub(crate) async fn bulk(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let text = body::text(&headers, body, app.options.max_spec).await?;
    let request: Cancel = serde_json::from_str(&text)
        .map_err(|error| Problem::bad_request(format!("the body is not what this call expects: {error}")))?;
    let Cancel { scope, prefix, origin, since, all, dry_run } = request;
    let which = Which { scope, prefix, origin, since, ..Which::default() };
    if !all && [&which.scope, &which.prefix, &which.origin, &which.since].iter().all(|given| given.is_none())
    {
        return Err(Problem::bad_request(
            "no filter is given: expected scope, prefix, origin or since; or \"all\": true for all polls",
        ));
    }
    let selection = which
        .selection()?
        .with_state("open")
        .with_state("cancelling")
        .with_under(caller.scope())
        .with_limit(AT_ONCE);
    let (mut cursor, mut polls): (Option<Cursor>, usize) = (None, 0);
    loop {
        let page = app.store.page(selection.clone(), cursor).await?;
        if dry_run {
            polls += page.polls.len();
        } else {
            let ends = page.polls.into_iter().map(|poll| {
                let app = Arc::clone(&app);
                async move { end(&app, &poll.key).await }
            });
            let mut ended = futures_util::stream::iter(ends).buffer_unordered(AT_ONCE);
            while let Some(outcome) = ended.next().await {
                polls += usize::from(outcome?.name() == "cancelled");
            }
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(Json(Cancelled { polls, dry_run }).into_response()),
        }
    }
}
