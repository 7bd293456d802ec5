//! An HTTP service that waits for remote jobs on behalf of its callers, and ends cleanly.
//!
//! ```sh
//! cargo run -p poller --example axum -- polls.db          # listens on 127.0.0.1:7000
//! curl -X PUT http://127.0.0.1:7000/jobs/export-42 -d '{"url": "https://api.example.com/v1/exports/42", "timeout": 300}'
//! curl http://127.0.0.1:7000/jobs/export-42/outcome       # returns when the poll has ended
//! ```
//!
//! The order of the end matters: axum waits for its handlers, and handlers wait for outcomes. So the poller shuts down first;
//! each waiting handler gets an error at once and answers 503.

use std::error::Error;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use poller::{ErrorKind, Outcome, PollSpec, Poller, SqliteStore};

type Reply<T> = Result<T, (StatusCode, String)>;

pub(crate) fn service(poller: Poller) -> Router {
    Router::new()
        .route("/jobs/{key}", put(submit))
        .route("/jobs/{key}/outcome", get(outcome))
        .with_state(poller)
}

fn refused(error: poller::Error) -> (StatusCode, String) {
    let status = match error.kind() {
        ErrorKind::Shutdown => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Spec => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, error.to_string())
}

/// Stores the poll, and answers when it is on the disk.
async fn submit(State(poller): State<Poller>, Path(key): Path<String>, spec: String) -> Reply<StatusCode> {
    let spec =
        PollSpec::parse(&spec).map_err(|error| (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    poller.submit(key, spec).await.map_err(refused)?;
    Ok(StatusCode::ACCEPTED)
}

/// Answers when the poll has ended.
async fn outcome(State(poller): State<Poller>, Path(key): Path<String>) -> Reply<Json<Outcome>> {
    let stored = poller.get(&key).await.map_err(refused)?;
    let poll = stored.ok_or_else(|| (StatusCode::NOT_FOUND, format!("there is no poll {key}")))?;
    // The same key and the same spec are the same poll.
    let handle = poller.submit(key, poll.spec).await.map_err(refused)?;
    let outcome = handle.outcome().await.map_err(refused)?;
    Ok(Json((*outcome).clone()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).unwrap_or_else(|| "polls.db".to_owned());
    let poller = Poller::builder().store(SqliteStore::open(file)?).build().await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:7000").await?;
    let ending = poller.clone();
    axum::serve(listener, service(poller))
        .with_graceful_shutdown(async move {
            let _ = tokio::signal::ctrl_c().await;
            let report = ending.shutdown().await;
            eprintln!("{} polls stay open and go on at the next start", report.left_open);
        })
        .await?;
    Ok(())
}
