//! A webhook endpoint: each event that is posted goes to the queues of the rules that it matches.
//!
//! ```text
//! cargo run --release --bin axum_router -- rules.jsonl 127.0.0.1:8080
//! curl -s http://127.0.0.1:8080/events -d '{"type": "invoice.paid"}'           {"ids":["billing"]}
//! curl -s 'http://127.0.0.1:8080/why/fraud' -d '{"type": "payment.failed"}'    why a rule holds or not
//! curl -s http://127.0.0.1:8080/hits                                           how often each rule matched
//! ```
//!
//! Rules are matched on the body's bytes, which are parsed nowhere; a body that is not JSON gets 400 with the place of the
//! error. A real service would pass the body to the queues of the ids where this one returns them.

use std::sync::Arc;

use anyhow::Context as _;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use filter::FilterSet;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

type Rules = State<Arc<FilterSet<String>>>;
/// A status and a body. Built without axum's own JSON, so that the example needs few features.
type Reply = (StatusCode, String);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: axum_router RULES [ADDRESS]";
    let rules = adapters::read_rules(&arguments.next().context(usage)?)?;
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let app = axum::Router::new()
        .route("/events", post(route))
        .route("/why/{id}", post(why))
        .route("/hits", get(hits))
        .with_state(Arc::new(rules));
    let listener =
        TcpListener::bind(&address).await.with_context(|| format!("cannot listen on {address}"))?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await.context("the server has stopped")
}

async fn route(State(rules): Rules, event: Bytes) -> Reply {
    match rules.matches_slice(&event) {
        Ok(ids) => (StatusCode::OK, json!({ "ids": ids }).to_string()),
        Err(error) => not_json(&error),
    }
}

async fn why(State(rules): Rules, Path(id): Path<String>, event: Bytes) -> Reply {
    let Some(filter) = rules.filter(&id) else {
        return (StatusCode::NOT_FOUND, json!({"error": "no rule has this id"}).to_string());
    };
    match filter.explain_slice(&event) {
        Ok(explanation) => (StatusCode::OK, explanation.to_string()),
        Err(error) => not_json(&error),
    }
}

async fn hits(State(rules): Rules) -> String {
    let counts = rules.ids().map(|id| (id.clone(), Value::from(rules.hits(id))));
    Value::Object(counts.collect::<Map<_, _>>()).to_string()
}

fn not_json(error: &filter::JsonError) -> Reply {
    (StatusCode::BAD_REQUEST, json!({ "error": error.to_string() }).to_string())
}
