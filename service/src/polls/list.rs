//! `GET /v1/polls`: a page of polls, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use poller::Timestamp;
use poller::store::{Cursor, Selection};
use serde::Deserialize;

use crate::access::Caller;
use crate::app::App;
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::views::{List, Row, origin};

/// The polls of a page: by default, and at most.
const LIMIT: usize = 100;
const MOST: usize = 1000;

/// The states of polls, in the words of the API.
pub(crate) const STATES: [&str; 6] = ["open", "cancelling", "matched", "failed", "timed out", "cancelled"];

/// Which polls.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    pub(crate) scope: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) outcome: Option<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) origin: Option<String>,
    pub(crate) since: Option<String>,
    pub(crate) limit: Option<String>,
    pub(crate) cursor: Option<String>,
}

impl Which {
    /// As a selection of the store.
    pub(crate) fn selection(&self) -> Result<Selection, Problem> {
        let mut selection = Selection::all();
        selection.scope = self.scope.clone();
        selection.prefix = self.prefix.clone();
        for (name, states) in [("state", &self.state), ("outcome", &self.outcome)] {
            for state in states.iter().flat_map(|states| states.split(',')) {
                let state = state.trim().replace('-', " ");
                if !STATES.contains(&state.as_str()) {
                    return Err(Problem::bad_request(format!(
                        "{name} is {state:?}, expected some of {}, separated by commas",
                        STATES.join(", ")
                    )));
                }
                selection.states.push(state);
            }
        }
        if let Some(text) = &self.origin {
            let Some(origin) = origin(text) else {
                return Err(Problem::bad_request(
                    "origin is no URL; expected one such as https://api.example.com",
                ));
            };
            selection.origin = Some(origin);
        }
        if let Some(since) = &self.since {
            let time = serde_json::from_value::<Timestamp>(since.as_str().into());
            selection.since = Some(time.map_err(|_| {
                Problem::bad_request("since is no time; expected one such as 2026-01-31T12:00:00Z")
            })?);
        }
        Ok(selection)
    }
}

/// The rows of a page.
pub(super) fn limit(given: Option<&str>) -> Result<usize, Problem> {
    let Some(text) = given else { return Ok(LIMIT) };
    text.parse()
        .ok()
        .filter(|limit| (1..=MOST).contains(limit))
        .ok_or_else(|| Problem::bad_request(format!("limit is not a number from 1 to {MOST}")))
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Parameters(which): Parameters<Which>,
) -> Result<Json<List>, Problem> {
    let selection = which.selection()?.with_under(caller.scope()).with_limit(limit(which.limit.as_deref())?);
    let cursor = which.cursor.as_deref().map(str::parse::<Cursor>).transpose();
    let cursor = cursor.map_err(|error| Problem::bad_request(error.to_string()))?;
    let page = app.store.page(selection, cursor).await?;
    let open: Vec<_> =
        page.polls.iter().filter(|poll| poll.ended.is_none()).map(|poll| poll.key.clone()).collect();
    let mut live = app.poller.look(open).await?.into_iter();
    let rows = page.polls.into_iter().map(|poll| {
        let live = if poll.ended.is_none() { live.next().flatten() } else { None };
        Row::new(poll, live.as_ref())
    });
    Ok(Json(List { polls: rows.collect(), next: page.next.map(|cursor| cursor.to_string()) }))
}
