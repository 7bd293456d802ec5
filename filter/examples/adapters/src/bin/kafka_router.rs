//! Between topics of a server that speaks Kafka's protocol: each message of `events` is produced again to `routed.ID` for each rule
//! that it matches, or to `unrouted`.
//!
//! ```text
//! sleep infinity | kcat -P -t x -b localhost -X test.mock.num.brokers=1 -d mock      a broker in memory, prints its address
//! cargo run --release --bin kafka_router -- rules.jsonl 127.0.0.1:PORT                routes until Ctrl-C
//! cargo run --release --bin kafka_router -- rules.jsonl 127.0.0.1:PORT --measure 100000
//! ```
//!
//! At least once: the offset of a message is committed after the broker has all its copies. A message that comes again is copied
//! again, with the same key, `topic-partition-offset` in the header `source`.
//!
//! `--measure N` produces N events first, ends when all of them are routed, and prints the rate.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use filter::FilterSet;
use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, TryStreamExt as _};
use rdkafka::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;

/// Messages whose copies are in flight together.
const BATCH: usize = 500;

/// How long the broker may take to store a copy before the router gives up; what was not committed comes again.
const PATIENCE: Timeout = Timeout::After(Duration::from_secs(30));

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (rules, brokers, count) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [rules, brokers] => (rules, brokers, None),
        [rules, brokers, "--measure", count] => {
            (rules, brokers, Some(count.parse::<usize>().context("--measure N")?))
        }
        _ => bail!("usage: kafka_router RULES BROKERS [--measure N]"),
    };
    let rules = adapters::read_rules(rules)?;
    let config = |more: &[(&str, &str)]| {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers);
        more.iter().for_each(|&(name, value)| _ = config.set(name, value));
        config
    };
    let producer: FutureProducer =
        config(&[("linger.ms", "5"), ("acks", "all")]).create().context("cannot create the producer")?;
    let consumer: StreamConsumer = config(&[
        ("group.id", "router"),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
    ])
    .create()
    .context("cannot create the consumer")?;
    if let Some(count) = count {
        produce_samples(&producer, count).await?;
    }
    consumer.subscribe(&["events"]).context("cannot subscribe to events")?;

    let mut incoming = consumer.stream().ready_chunks(BATCH);
    let (mut started, mut messages, mut copies) = (None, 0, 0);
    while count.is_none_or(|count| messages < count) {
        // Waits for a message, and takes those that are there with it.
        let Some(batch) = incoming.next().await else { break };
        // Joining the group takes seconds, and is no routing.
        started.get_or_insert_with(now);
        let batch: Vec<BorrowedMessage<'_>> =
            batch.into_iter().collect::<Result<_, _>>().context("cannot fetch messages")?;
        copies += route(&producer, &rules, &batch).await?;
        for message in &batch {
            consumer.store_offset_from_message(message)?;
        }
        consumer.commit_consumer_state(CommitMode::Async).context("cannot commit the offsets")?;
        messages += batch.len();
    }
    let seconds = started.map_or(0.0, |started| started.elapsed().as_secs_f64());
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

/// Produces the copies of a batch; returns their number once the broker has all.
async fn route(
    producer: &FutureProducer,
    rules: &FilterSet<String>,
    batch: &[BorrowedMessage<'_>],
) -> anyhow::Result<usize> {
    let mut copies = Vec::with_capacity(batch.len());
    for message in batch {
        let payload = message.payload().unwrap_or_default();
        // A message that is not JSON matches no rule; it is kept as unrouted.
        let ids = rules.matches_slice(payload).unwrap_or_default();
        let topics: Vec<String> = match ids[..] {
            [] => vec!["unrouted".to_owned()],
            _ => ids.iter().map(|id| format!("routed.{id}")).collect(),
        };
        let source = format!("{}-{}-{}", message.topic(), message.partition(), message.offset());
        for topic in topics {
            copies.push((topic, source.clone(), message));
        }
    }
    let stored = copies.iter().map(|(topic, source, message)| async move {
        let headers = OwnedHeaders::new().insert(Header { key: "source", value: Some(source) });
        let mut record = FutureRecord::<[u8], [u8]>::to(topic)
            .payload(message.payload().unwrap_or_default())
            .headers(headers);
        record.key = message.key();
        let sent = producer.send(record, PATIENCE).await;
        sent.map_err(|(error, _)| anyhow::anyhow!("the broker has not stored a copy in {topic}: {error}"))
    });
    Ok(try_join_all(stored).await?.len())
}

/// Produces events of which a quarter matches each sample rule, and a quarter none.
async fn produce_samples(producer: &FutureProducer, count: usize) -> anyhow::Result<()> {
    let produce = |number: usize| async move {
        let event = match number % 4 {
            0 => format!(r#"{{"type": "invoice.paid", "n": {number}}}"#),
            1 => format!(r#"{{"type": "payment.failed", "data": {{"amount": 5000}}, "n": {number}}}"#),
            2 => format!(r#"{{"type": "user.deleted", "data": {{"by": "ada"}}, "n": {number}}}"#),
            _ => format!(r#"{{"type": "user.created", "n": {number}}}"#),
        };
        let record = FutureRecord::<str, str>::to("events").payload(&event);
        producer.send(record, PATIENCE).await.map_err(|(error, _)| anyhow::Error::from(error))
    };
    let sent = futures_util::stream::iter(0..count).map(produce).buffer_unordered(BATCH);
    sent.try_for_each(|_| std::future::ready(Ok(()))).await.context("cannot produce the sample events")
}
