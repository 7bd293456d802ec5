//! `/healthz` and `/readyz`, for those who keep services running.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header;
use tokio::time::timeout;

use crate::app::App;
use crate::problem::Problem;

/// The process answers.
pub(crate) async fn living() -> &'static str {
    "ok\n"
}

/// The metrics, in the text format of Prometheus.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let Some(exposition) = &app.options.metrics else {
        return Err(Problem::not_found("exposition of metrics here"));
    };
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], exposition.render()).into_response())
}

/// The description of the API.
pub(crate) async fn description() -> Response {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| crate::openapi().to_string().into());
    ([(header::CONTENT_TYPE, "application/json")], TEXT.clone()).into_response()
}

/// How long the store may take to answer.
const STORE: Duration = Duration::from_secs(5);

/// The store answers, and the engine runs.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    if app.hub.is_closed() {
        return Err(Problem::stopping());
    }
    let read = timeout(STORE, app.store.runner()).await;
    read.map_err(|_| Problem::unavailable(format!("the store has not answered for {} s", STORE.as_secs())))??;
    app.poller.look(Vec::new()).await?;
    Ok("ready\n".into_response())
}
