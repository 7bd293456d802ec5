//! Which path has which handler, and what holds for all of them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use http::{HeaderValue, header};

use crate::app::App;
use crate::polls::{change, create, list, read, webhook};
use crate::problem::{Kind, Problem};
use crate::{access, callback, events, filters, health, metrics, page};

/// The calls about one poll, under the path of the poll.
fn one() -> Router<Arc<App>> {
    Router::new()
        .route("/{key}", put(create::put).get(read::one).delete(change::forget))
        .route("/{key}/outcome", get(read::outcome))
        .route("/{key}/result", get(read::result))
        .route("/{key}/events", get(events::of_one))
        .route("/{key}/cancel", post(change::cancel))
        .route("/{key}/again", post(create::again))
        .route("/{key}/webhook", get(webhook::read).post(webhook::again))
}

pub(crate) fn all(app: Arc<App>) -> Router {
    let guarded = middleware::from_fn_with_state(Arc::clone(&app), guard);
    Router::new()
        .route("/v1/polls", get(list::list))
        .nest("/v1/polls", one())
        .nest("/v1/scopes/{scope}/polls", one())
        .route("/v1/events", get(events::of_all))
        .route("/v1/webhooks", get(webhook::list))
        .route("/v1/callbacks/{token}", post(callback::called))
        .route("/v1/cancel", post(change::bulk))
        .route("/v1/check", post(filters::check))
        .route("/v1/explain", post(filters::explain))
        .route("/v1/match", post(filters::matches))
        .route("/v1/convert", post(filters::convert))
        .route("/v1/schema/{dialect}", get(filters::schema))
        .route("/openapi.json", get(health::description))
        .route("/metrics", get(health::metrics))
        .route("/healthz", get(health::living))
        .route("/readyz", get(health::ready))
        .route("/problems/{name}", get(page::problem))
        .route("/page/{name}", get(page::part))
        .route("/", get(page::index))
        .fallback(nowhere)
        .method_not_allowed_fallback(no_method)
        .layer(guarded)
        // Each handler reads its body with a limit of its own.
        .layer(DefaultBodyLimit::disable())
        .with_state(app)
}

async fn nowhere() -> Problem {
    Problem::not_found("such path")
}

async fn no_method() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "this path has no such method")
}

/// Which requests reach their handlers, and what every response says unless its handler says otherwise.
async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let mut response = match access::admit(&app, &mut request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    metrics::answered(&method, response.status());
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}
