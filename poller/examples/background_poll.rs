//! Waits for a job behind a URL and prints the body that says it is done.
//!
//! ```text
//! cargo run -p poller --example background_poll -- https://api.example.com/v1/exports/42
//! ```
//!
//! Without a URL it starts a small job server of its own on loopback and waits for that.

use std::time::Duration;

use poller::http::Guard;
use poller::{Event, Limits, PollSpec, Poller};
use serde_json::json;
use test_support::{Reply, Script, Server};

#[derive(serde::Deserialize)]
struct Job {
    status: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let replies =
        [Reply::json(r#"{"status":"PENDING"}"#), Reply::new(500), Reply::json(r#"{"status":"SUCCESS"}"#)];
    let server = Server::start(Script::new().on("/job", replies)).await;
    let url = std::env::args().nth(1).unwrap_or_else(|| server.url("/job"));

    // The one who writes this program also writes the spec, so its pace need not be bounded.
    let limits = Limits::unbounded();
    let spec = PollSpec::builder(url)
        .limits(limits.clone())
        .interval(Duration::from_secs(1))
        .timeout(Duration::from_secs(60))
        .response_filter(json!({"status": [200], "body": {"status": ["SUCCESS"]}}))
        .failure_filter(json!({"body": {"status": ["FAILED"]}}))
        .build()?;
    let poller = Poller::builder().guard(Guard::local()).limits(limits).build().await?;

    let poll = poller.submit("job-1", spec.clone()).await?;
    let mut events = poll.events();
    while let Some(event) = events.next().await {
        match event {
            Event::Attempted(attempt) => {
                println!(
                    "attempt {}: {} {}",
                    attempt.number,
                    attempt.result,
                    attempt.note.unwrap_or_default()
                );
            }
            Event::Outcome(outcome) => println!("{} after {:?}", outcome.name(), outcome.elapsed()),
            _ => {}
        }
    }

    // The same key and spec again is the same poll: its stored result, without a request.
    let done = poller.background_poll::<Job>("job-1", spec).await?;
    println!("{} by the stored result", done.value.status);
    Ok(())
}
