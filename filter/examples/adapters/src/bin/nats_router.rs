//! Between two streams of NATS JetStream: each message of `events.>` is published again under `routed.ID` for each rule that
//! it matches, or under `unrouted`.
//!
//! ```text
//! nats-server -js -sd /tmp/nats &
//! cargo run --release --bin nats_router -- rules.jsonl nats://127.0.0.1:4222                routes until Ctrl-C
//! cargo run --release --bin nats_router -- rules.jsonl nats://127.0.0.1:4222 --measure 100000
//! ```
//!
//! At least once: a message is acknowledged after the server has stored all its copies. A copy has an id made of the
//! message's number and the rule, so the server drops copies of a message that is delivered again.
//!
//! `--measure N` publishes N events first, ends when all of them are routed, and prints the rate.

use std::time::Instant;

use anyhow::{Context as _, bail};
use async_nats::HeaderMap;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{self, Message, stream};
use filter::FilterSet;
use futures_util::StreamExt as _;

/// Messages per request: their copies are in flight together.
const BATCH: usize = 500;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (rules, url, count) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [rules, url] => (rules, url, None),
        [rules, url, "--measure", count] => {
            (rules, url, Some(count.parse::<usize>().context("--measure N")?))
        }
        _ => bail!("usage: nats_router RULES URL [--measure N]"),
    };
    let rules = adapters::read_rules(rules)?;
    let client = async_nats::connect(url).await.with_context(|| format!("cannot connect to {url}"))?;
    let jetstream = jetstream::new(client.clone());
    let events = stream_of(&jetstream, "EVENTS", &["events.>"]).await?;
    stream_of(&jetstream, "ROUTED", &["routed.>", "unrouted"]).await?;
    let durable = Some("router".to_owned());
    let config = pull::Config { durable_name: durable, max_ack_pending: -1, ..Default::default() };
    let consumer = events.get_or_create_consumer("router", config).await?;
    let incoming = consumer.stream().max_messages_per_batch(BATCH).messages().await?;
    let mut incoming = incoming.ready_chunks(BATCH);
    if let Some(count) = count {
        publish_samples(&jetstream, count).await?;
    }

    let started = now();
    let (mut messages, mut copies) = (0, 0);
    while count.is_none_or(|count| messages < count) {
        // Waits for a message, and takes all that have arrived by then.
        let Some(batch) = incoming.next().await else { break };
        let batch: Vec<Message> =
            batch.into_iter().collect::<Result<_, _>>().context("cannot fetch messages")?;
        copies += route(&jetstream, &rules, &batch).await?;
        // Acknowledgements that are not sent when the process ends are messages that come again.
        client.flush().await?;
        messages += batch.len();
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{messages} messages, {copies} copies in {seconds:.2} s: {:.0} messages/s",
        messages as f64 / seconds
    );
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a rate is measured, and nothing depends on it")]
fn now() -> Instant {
    Instant::now()
}

async fn stream_of(
    jetstream: &jetstream::Context,
    name: &str,
    subjects: &[&str],
) -> anyhow::Result<stream::Stream> {
    let subjects = subjects.iter().map(|&subject| subject.to_owned()).collect();
    let config = stream::Config { name: name.to_owned(), subjects, ..Default::default() };
    jetstream.get_or_create_stream(config).await.with_context(|| format!("cannot create the stream {name}"))
}

/// Publishes the copies of a batch and acknowledges its messages; returns the number of copies.
async fn route(
    jetstream: &jetstream::Context,
    rules: &FilterSet<String>,
    batch: &[Message],
) -> anyhow::Result<usize> {
    let mut stored = Vec::with_capacity(batch.len());
    for message in batch {
        // A message that is not JSON matches no rule; it is kept as unrouted.
        let ids = rules.matches_slice(&message.payload).unwrap_or_default();
        let number =
            message.info().map_err(|error| anyhow::anyhow!("not of a stream: {error}"))?.stream_sequence;
        let subjects: Vec<_> = match ids[..] {
            [] => vec!["unrouted".to_owned()],
            _ => ids.iter().map(|id| format!("routed.{id}")).collect(),
        };
        for subject in subjects {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", format!("{number}-{subject}"));
            let copy = message.payload.clone();
            stored.push(jetstream.publish_with_headers(subject, headers, copy).await?);
        }
    }
    let copies = stored.len();
    for copy in stored {
        copy.await.context("the server has not stored a copy")?;
    }
    for message in batch {
        message.ack().await.map_err(|error| anyhow::anyhow!("cannot acknowledge: {error}"))?;
    }
    Ok(copies)
}

/// Publishes events of which a quarter matches each sample rule, and a quarter none.
async fn publish_samples(jetstream: &jetstream::Context, count: usize) -> anyhow::Result<()> {
    let mut stored = Vec::with_capacity(BATCH);
    for number in 0..count {
        let event = match number % 4 {
            0 => format!(r#"{{"type": "invoice.paid", "n": {number}}}"#),
            1 => format!(r#"{{"type": "payment.failed", "data": {{"amount": 5000}}, "n": {number}}}"#),
            2 => format!(r#"{{"type": "user.deleted", "data": {{"by": "ada"}}, "n": {number}}}"#),
            _ => format!(r#"{{"type": "user.created", "n": {number}}}"#),
        };
        stored.push(jetstream.publish("events.sample", event.into()).await?);
        if stored.len() == BATCH || number + 1 == count {
            for copy in stored.drain(..) {
                copy.await?;
            }
        }
    }
    Ok(())
}
