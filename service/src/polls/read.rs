//! `GET …/{key}`, `…/outcome` and `…/result`: one poll.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use poller::OutcomeKind;

use super::create::Wait;
use super::webhook::DeliveryView;
use crate::app::App;
use crate::callback::Tokens;
use crate::name::Name;
use crate::parameters::Parameters;
use crate::preference;
use crate::problem::{Kind, Problem};
use crate::views::{Named, Open, Whole};

/// Everything about one poll.
pub(crate) async fn one(State(app): State<Arc<App>>, Name(key): Name) -> Result<Response, Problem> {
    let Some(record) = app.store.show(key.clone()).await? else {
        return Err(Problem::not_found(format_args!("poll {key}")));
    };
    let poll = &record.poll;
    // The store knows attempts of some seconds ago, the engine those of now.
    let live = match poll.outcome {
        Some(_) => None,
        None => app.poller.look(vec![key.clone()]).await?.pop().flatten(),
    };
    let state = match &poll.outcome {
        Some(outcome) => outcome.name(),
        None if record.cancelling => "cancelling",
        None => "open",
    };
    let webhook = match (&poll.outcome, poll.spec.on_outcome()) {
        (Some(_), Some(_)) => super::webhook::of(&app, &key).await?,
        _ => None,
    };
    let callback = match &poll.outcome {
        Some(_) => None,
        None => Some(Tokens::path(&app, &key, poll.created_at).await?),
    };
    let whole = Whole {
        state,
        created_at: poll.created_at,
        deadline: poll.deadline(),
        restarts: poll.restarts,
        spec: &poll.spec,
        followed: poll.followed.as_deref(),
        history: live.as_ref().map_or(&record.attempts, |live| &live.attempts),
        open: live.as_ref().map(|live| Open::new(&poll.spec, live)),
        outcome: poll.outcome.as_deref(),
        callback,
        webhook: webhook.map(DeliveryView::from),
    };
    Ok(Json(Named::new(&poll.key, whole)).into_response())
}

/// The outcome, which may be waited for.
pub(crate) async fn outcome(
    State(app): State<Arc<App>>,
    Name(key): Name,
    Parameters(query): Parameters<Wait>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wait = preference::wait(query.wait.as_deref(), &headers, app.options.max_wait)?;
    super::outcome(&app, &key, wait).await
}

/// The body that matched, byte for byte, with its content type.
///
/// A server that this one does not know wrote it: as a page it must run nothing here, where it would have the rights of
/// the reader.
pub(crate) async fn result(State(app): State<Arc<App>>, Name(key): Name) -> Result<Response, Problem> {
    let Some(poll) = app.store.get(key.clone()).await? else {
        return Err(Problem::not_found(format_args!("poll {key}")));
    };
    let Some(outcome) = poll.outcome else { return super::outcome(&app, &key, None).await };
    let OutcomeKind::Matched { response } = &outcome.kind else {
        let detail = format!("the poll {key} ended as {}; its outcome says why", outcome.name());
        return Err(Problem::new(Kind::NotMatched, detail));
    };
    let kind = response.headers().get("content-type").and_then(|kind| HeaderValue::from_str(kind).ok());
    let kind = kind.unwrap_or_else(|| HeaderValue::from_static("application/octet-stream"));
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment")),
    ];
    Ok((StatusCode::OK, headers, response.body().clone()).into_response())
}
