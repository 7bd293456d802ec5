//! `…/{key}/webhook` and `GET /v1/webhooks`: the deliveries of webhooks, and sending one again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use poller::outbox::{Delivery, DeliveryAttempt, DeliverySelection, DeliveryState};
use poller::{PollKey, Timestamp};
use serde::{Deserialize, Serialize};

use super::list::limit;
use crate::access::Caller;
use crate::app::App;
use crate::name::Name;
use crate::parameters::Parameters;
use crate::problem::Problem;

/// A delivery in an answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveryView {
    key: String,
    scope: String,
    /// The `webhook-id`.
    id: String,
    receiver: String,
    state: DeliveryState,
    ended_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<Timestamp>,
    tries: u32,
    attempts: Vec<DeliveryAttempt>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id(),
            key: delivery.key.key().to_owned(),
            scope: delivery.key.scope().to_owned(),
            receiver: delivery.receiver.into(),
            state: delivery.state,
            ended_at: delivery.ended_at,
            due: delivery.due,
            tries: delivery.tries,
            attempts: delivery.attempts,
        }
    }
}

/// The delivery of a poll, if it has ended and has one.
pub(crate) async fn of(app: &App, key: &PollKey) -> Result<Option<Delivery>, Problem> {
    match app.store.outbox() {
        Some(outbox) => Ok(outbox.delivery(key.clone()).await?),
        None => Ok(None),
    }
}

fn none(key: &PollKey) -> Problem {
    Problem::not_found(format_args!(
        "webhook of a poll {key}, which has one once it has ended, if its spec has onOutcome"
    ))
}

/// How far the webhook of a poll has come.
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Name(key): Name,
) -> Result<Json<DeliveryView>, Problem> {
    Ok(Json(of(&app, &key).await?.ok_or_else(|| none(&key))?.into()))
}

/// Sends the webhook of a poll again, now.
pub(crate) async fn again(State(app): State<Arc<App>>, Name(key): Name) -> Result<Response, Problem> {
    let Some(outbox) = app.store.outbox() else { return Err(none(&key)) };
    let Some(mut delivery) = outbox.delivery(key.clone()).await? else { return Err(none(&key)) };
    delivery.send_again(app.now());
    if !outbox.note(delivery.clone()).await? {
        return Err(none(&key));
    }
    Ok((StatusCode::ACCEPTED, Json(DeliveryView::from(delivery))).into_response())
}

/// Deliveries that are dead, or pending after an attempt that has failed.
const FAILING: &str = "failing";

/// Which deliveries to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    state: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Deliveries {
    webhooks: Vec<DeliveryView>,
    next: Option<String>,
}

/// Deliveries, newest first.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Parameters(which): Parameters<Which>,
) -> Result<Json<Deliveries>, Problem> {
    let limit = limit(which.limit.as_deref())?;
    let mut selection = DeliverySelection::new(caller.scope(), limit);
    if let Some(text) = &which.state {
        selection = match DeliveryState::named(text) {
            Some(state) => selection.with_state(state),
            None if text == FAILING => selection.failing(),
            None => {
                let known = DeliveryState::ALL.map(DeliveryState::as_str).join(", ");
                let message = format!("state is {text:?}, expected one of {known}, {FAILING}");
                return Err(Problem::bad_request(message));
            }
        };
    }
    if let Some(cursor) = &which.cursor {
        let place = cursor.parse().map_err(|_| Problem::bad_request("the cursor is not of this list"))?;
        selection = selection.after(place);
    }
    let found = match app.store.outbox() {
        Some(outbox) => outbox.deliveries(selection).await?,
        None => Vec::new(),
    };
    let next = found.last().filter(|_| found.len() == limit).map(|last| last.place.to_string());
    Ok(Json(Deliveries { webhooks: found.into_iter().map(DeliveryView::from).collect(), next }))
}
