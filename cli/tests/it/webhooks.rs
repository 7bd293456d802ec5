//! Webhooks of a service that is killed: `kill -9` at random points under load, then restart, repeated. Every outcome reaches its
//! receiver at least once, with one id, and says what the store says.
//!
//! `POLL_KILLS` is the number of rounds, `POLL_SEED` the seed; a failure names both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use poller::SqliteStore;
use poller::outbox::{DeliverySelection, DeliveryState};
use poller::store::Store as _;
use serde_json::Value;
use test_support::{Reply, Script, Server};

use crate::serve::Served;
use crate::store::Folder;

/// How many polls one round creates.
const LOAD: u32 = 16;

const KEY: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What the receiver has accepted: of each poll, the ids and the outcomes.
type Accepted = Arc<Mutex<BTreeMap<String, BTreeSet<(String, String)>>>>;

/// Jobs that are done after a while, and a receiver that mostly accepts.
fn jobs_and_receiver(seed: u64, accepted: &Accepted) -> Script {
    let accepted = Arc::clone(accepted);
    Script::from_fn(move |index, request| {
        let mut dice = fastrand::Rng::with_seed(seed ^ (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if request.path != "/hook" {
            let status = if dice.u8(..3) == 0 { "SUCCESS" } else { "RUNNING" };
            return Reply::json(format!(r#"{{"status":"{status}"}}"#));
        }
        // The answer may be lost with the process that waits for it, and the webhook comes again.
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let key = body["data"]["key"].as_str().unwrap().to_owned();
        let id = request.header("webhook-id").unwrap().to_owned();
        let outcome = body["data"]["outcome"].as_str().unwrap().to_owned();
        accepted.lock().unwrap().entry(key).or_default().insert((id, outcome));
        Reply::new(204)
    })
}

fn spec(server: &Server) -> String {
    format!(
        r#"{{"url":"{}","interval":0.02,"timeout":60,"responseFilter":{{"body":{{"status":["SUCCESS"]}}}},
            "onOutcome":{{"url":"{}","secret":{{"$secret":"env:HOOK"}}}}}}"#,
        server.url("/job"),
        server.url("/hook")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_outcome_is_delivered_although_the_service_is_killed() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let rounds = number("POLL_KILLS").unwrap_or(4);
    let seed = number("POLL_SEED").unwrap_or_else(|| fastrand::u64(..));
    // Shown where the test fails.
    println!("POLL_KILLS={rounds} POLL_SEED={seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    let accepted = Accepted::default();
    let server = Server::start(jobs_and_receiver(seed, &accepted)).await;
    let folder = Folder::new();
    let rule = format!("env:HOOK@{}", server.url(""));
    let arguments = ["--allow-secret", rule.trim_end_matches('/')];
    let mut acknowledged = BTreeSet::new();
    for round in 0..rounds {
        let mut served = Served::start_with(&folder, &arguments, &[("HOOK", KEY)]).await;
        // At least one poll, or nothing might be asked and the round would wait for ever.
        let mut kill_after = dice.u32(1..LOAD * 2);
        let seen = server.requests().len();
        for poll in 0..LOAD {
            if kill_after == poll {
                break;
            }
            let key = format!("{round}-{poll}");
            if served.call("PUT", &format!("/v1/polls/{key}"), &spec(&server)).await.0 == 201 {
                acknowledged.insert(key);
            }
        }
        kill_after = kill_after.saturating_sub(LOAD);
        // In the middle of what it asks and delivers.
        server.arrived(seen + kill_after as usize).await;
        served.process.kill().await.unwrap();
    }
    let served = Served::start_with(&folder, &arguments, &[("HOOK", KEY)]).await;
    for key in &acknowledged {
        let (status, _) = served.call("GET", &format!("/v1/polls/{key}/outcome?wait=25"), "").await;
        assert_eq!(status, 200, "{key}");
    }
    // What is still under way is told to the receiver before it is noted in the store.
    let mut looks = 0;
    while served.call("GET", "/v1/webhooks?state=pending", "").await.1 != r#"{"webhooks":[],"next":null}"# {
        looks += 1;
        assert!(looks < 20_000, "webhooks stay pending");
    }
    drop(served);
    let store = SqliteStore::open(folder.file()).unwrap();
    let outbox = store.outbox().unwrap();
    let delivered = outbox.deliveries(DeliverySelection::new("", usize::MAX >> 1)).await.unwrap();
    let accepted = accepted.lock().unwrap().clone();
    assert_eq!(delivered.len(), store.list().await.unwrap().len(), "one for each poll");
    for delivery in &delivered {
        let key = delivery.key.key();
        assert_eq!(delivery.state, DeliveryState::Delivered, "{delivery:?}");
        let poll = store.get(delivery.key.clone()).await.unwrap().unwrap();
        let outcome = poll.outcome.unwrap().name().to_owned();
        assert_eq!(accepted[key], BTreeSet::from([(delivery.id(), outcome)]), "{key}: one id, one outcome");
    }
    assert!(acknowledged.iter().all(|key| accepted.contains_key(key)), "none is lost");
    println!("{} polls acknowledged, {} webhooks", acknowledged.len(), delivered.len());
}
