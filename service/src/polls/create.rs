//! `PUT …/{key}` and `POST …/{key}/again`: new polls.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use filter::Diagnostic;
use http::{HeaderMap, StatusCode};
use poller::{Accepted, Clock as _, PollKey, PollSpec, SpecOptions};
use serde::Deserialize;

use crate::access::{Access, Caller, Counted, Entry};
use crate::app::App;
use crate::name::Name;
use crate::parameters::Parameters;
use crate::problem::{Kind, Problem};
use crate::views::{Named, Submission, Submitted};
use crate::{body, preference};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wait {
    pub(crate) wait: Option<String>,
}

/// Creates a poll, or joins the one that has this key and the same spec.
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Name(key): Name,
    caller: Caller,
    Parameters(query): Parameters<Wait>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wait = preference::wait(query.wait.as_deref(), &headers, app.options.max_wait)?;
    let text = body::text(&headers, body, app.options.max_spec).await?;
    let options = SpecOptions::new().limits(app.options.limits.clone());
    let spec = options.parse(&text).map_err(|error| Problem::invalid_spec(&error, &text))?;
    check_key(&key, &spec)?;
    if let Access::Keys(keys) = &app.options.access
        && let Some(message) = keys.forbidden(&key, &spec)
    {
        let error = Diagnostic::error(message).with_pointer("/requestInit");
        return Err(Problem::invalid(Kind::InvalidSpec, &[error], None));
    }
    let submitted = submit(&app, &caller, &key, spec).await?;
    match wait {
        Some(wait) => super::outcome(&app, &key, Some(wait)).await,
        None => Ok(submitted),
    }
}

/// The spec may name its own key, which must then be that of the path.
fn check_key(key: &PollKey, spec: &PollSpec) -> Result<(), Problem> {
    match spec.cache_key() {
        Some(named) if named != key.key() => {
            let message = format!("found {named:?}, expected {:?}, the key of the path, or none", key.key());
            let error = Diagnostic::error(message).with_pointer("/cacheKey");
            Err(Problem::invalid(Kind::InvalidSpec, &[error], None))
        }
        _ => Ok(()),
    }
}

async fn submit(app: &App, caller: &Caller, key: &PollKey, spec: PollSpec) -> Result<Response, Problem> {
    // A durable store without a seal key keeps no inline secrets; its message names both ways out.
    if let Err(error) = app.store.admits(&spec) {
        let pointer = spec.inline_secrets().into_iter().next().unwrap_or_default();
        let error = Diagnostic::error(error.to_string()).with_pointer(pointer);
        return Err(Problem::invalid(Kind::InvalidSpec, &[error], None));
    }
    let counted = match caller.entry() {
        Some(entry) => {
            forget_ended(app, entry).await?;
            app.quotas.reserve(entry, key, app.clock.now())?
        }
        None => Counted::Before,
    };
    let poll = app.poller.scope(key.scope()).submit(key.key(), spec).await;
    let created = poll.as_ref().is_ok_and(|poll| poll.accepted() == Accepted::Created);
    if counted == Counted::Now && !created {
        app.quotas.ended(key);
    }
    let poll = poll?;
    let (status, submitted) = match poll.accepted() {
        Accepted::Created => (StatusCode::CREATED, Submission::Created),
        Accepted::Joined => (StatusCode::OK, Submission::Open),
        _ => (StatusCode::OK, Submission::Finished),
    };
    let view = Submitted { submitted, deadline: poll.deadline() };
    Ok((status, Json(Named::new(key, view))).into_response())
}

/// Has the quota of a key no longer count the polls that have ended in other processes, if it is full.
async fn forget_ended(app: &App, entry: &Entry) -> Result<(), Problem> {
    let unsure = app.quotas.unsure(entry, app.clock.now(), |key| !app.store.runs(key));
    if !unsure.is_empty() {
        let found = app.store.find(unsure.clone()).await?;
        let ended =
            unsure.iter().zip(found).filter(|(_, found)| found.as_ref().is_none_or(|poll| poll.ended));
        ended.for_each(|(key, _)| app.quotas.ended(key));
    }
    Ok(())
}

/// Runs the spec of a finished poll anew. The old outcome is removed.
pub(crate) async fn again(
    State(app): State<Arc<App>>,
    Name(key): Name,
    caller: Caller,
) -> Result<Response, Problem> {
    let Some(poll) = app.store.get(key.clone()).await? else {
        return Err(Problem::not_found(format_args!("poll {key}")));
    };
    if poll.outcome.is_none() {
        return Err(Problem::new(Kind::Open, format!("the poll {key} is open; it runs already")));
    }
    app.poller.scope(key.scope()).forget(key.key()).await?;
    submit(&app, &caller, &key, poll.spec).await
}
