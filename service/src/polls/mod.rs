//! The calls about polls, one file for each group.

pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod read;
pub(crate) mod webhook;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use poller::store::FoundOutcome;
use poller::{Clock as _, Outcome, PollKey};
use tokio::time::timeout;

use crate::app::App;
use crate::hub::Waiting;
use crate::problem::Problem;
use crate::views::{Named, Pending, named_text};

/// How often a waiting request looks for the outcome of a poll that another process runs.
const LOOK: Duration = Duration::from_secs(1);

/// The outcome of a poll. The hub knows the ends of polls that this process runs; those of other workers of a database are
/// looked for in it.
async fn ending(app: &App, key: &PollKey, waiting: &mut Waiting) -> Result<Arc<Outcome>, Problem> {
    loop {
        // From before the look, so that nothing is missed in between.
        let mut changed = app.store.changed();
        let waiting = async {
            tokio::select! {
                outcome = waiting.outcome() => Some(outcome),
                () = &mut changed => None,
            }
        };
        match timeout(LOOK, waiting).await {
            Ok(Some(outcome)) => return outcome.ok_or_else(Problem::stopping),
            Ok(None) | Err(_) if app.store.runs(key) => {}
            Ok(None) | Err(_) => {
                let poll = app.store.get(key.clone()).await?;
                if let Some(outcome) = poll.and_then(|poll| poll.outcome) {
                    return Ok(outcome);
                }
            }
        }
    }
}

/// The outcome of a poll, which is waited for if `wait` says so; or that it is pending.
async fn outcome(app: &Arc<App>, key: &PollKey, wait: Option<Duration>) -> Result<Response, Problem> {
    // Before the look into the store, so that no outcome is missed in between.
    let waiting = wait.map(|wait| (wait, app.hub.wait(key)));
    let poll = match app.store.outcome(key.clone()).await? {
        Some(FoundOutcome::Open(poll)) => poll,
        Some(FoundOutcome::Ended(outcome)) => return Ok(ended_as(key, &outcome)),
        _ => return Err(Problem::not_found(format_args!("poll {key}"))),
    };
    if let Some((wait, mut waiting)) = waiting
        && let Ok(outcome) = timeout(wait, ending(app, key, &mut waiting)).await
    {
        return Ok(ended(key, &*outcome?));
    }
    let live = app.poller.look(vec![key.clone()]).await?.pop().flatten();
    let next = live.and_then(|live| live.next);
    let now = app.clock.now();
    // At least the next request must be made before there can be an outcome.
    let after = next.map_or(1, |next| next.since(now).as_millis().div_ceil(1000).clamp(1, 300));
    let pending = Pending { state: "open", deadline: poll.deadline(), next };
    let mut response = (StatusCode::ACCEPTED, Json(Named::new(key, pending))).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(u64::try_from(after).unwrap_or(1)));
    if let Some(wait) = wait
        && let Ok(applied) = HeaderValue::from_str(&format!("wait={}", wait.as_secs()))
    {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

fn ended(key: &PollKey, outcome: &Outcome) -> Response {
    Json(Named::new(key, outcome)).into_response()
}

/// The same of an outcome as JSON.
fn ended_as(key: &PollKey, outcome: &str) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], named_text(key, outcome)).into_response()
}
