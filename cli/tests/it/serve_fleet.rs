//! `poll serve` on PostgreSQL, over real sockets: two services share a database, and each answers for all polls.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use serde_json::Value;
use test_support::{Reply, Script, Server};

use crate::fleet::Fleet;
use crate::serve::Served;
use crate::signals::send;

const KEY: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// How many polls are created.
const POLLS: usize = 12;

/// What a receiver has had: of each poll, the ids of its webhooks.
type Received = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

async fn receiver(received: &Received) -> Server {
    let received = Arc::clone(received);
    Server::start(Script::from_fn(move |_, request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let key = body["data"]["key"].as_str().unwrap().to_owned();
        let id = request.header("webhook-id").unwrap().to_owned();
        received.lock().unwrap().entry(key).or_default().push(id);
        Reply::new(204)
    }))
    .await
}

async fn serve(fleet: &Fleet, hooks: &Server) -> Served {
    let rule = format!("env:HOOK@{}", hooks.url("").trim_end_matches('/'));
    let arguments = ["--store", &fleet.url, "--lease", "5s", "--allow-secret", &rule];
    Served::run(&arguments, &[("HOOK", KEY)]).await
}

fn json(answer: (u16, String), status: u16) -> Value {
    assert_eq!(answer.0, status, "{}", answer.1);
    serde_json::from_str(&answer.1).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_services_share_a_database() {
    let done = Arc::new(AtomicBool::new(false));
    let is_done = Arc::clone(&done);
    let Some(fleet) =
        Fleet::with("poll serve on PostgreSQL", &[], move |_| is_done.load(Ordering::Relaxed)).await
    else {
        return;
    };
    fleet.done.store(true, Ordering::Relaxed);
    let received = Received::default();
    let hooks = receiver(&received).await;
    let (mut one, other) = (serve(&fleet, &hooks).await, serve(&fleet, &hooks).await);
    fleet.wait_for_workers(2);
    let create = async |served: &Served, key: &str| {
        let spec = format!(
            r#"{{"url":"{}","interval":0.1,"timeout":600,"responseFilter":{{"body":{{"status":["SUCCESS"]}}}},
                "onOutcome":{{"url":"{}","secret":{{"$secret":"env:HOOK"}}}}}}"#,
            fleet.server.url("/job"),
            hooks.url("/hook")
        );
        json(served.call("PUT", &format!("/v1/polls/{key}"), &spec).await, 201)
    };
    let keys: Vec<String> = (0..POLLS).map(|number| format!("job-{number}")).collect();
    for key in &keys {
        create(&one, key).await;
    }
    let runs = "SELECT count(DISTINCT s.worker) FROM poll.open o JOIN poll.shard s ON s.id = o.shard";
    fleet.wait(runs, "2");

    // One is cancelled where it was not created; the others are waited for and watched at both.
    let cancelled = json(other.call("POST", "/v1/polls/job-0/cancel", "").await, 200);
    assert_eq!(cancelled["outcome"], "cancelled");
    let watched = async |served: &Served, key: &str| {
        let path = format!("/v1/polls/{key}");
        assert_eq!(json(served.call("GET", &path, "").await, 200)["state"], "open");
        let head = format!("host: {}\r\nconnection: close", served.address);
        let stream = format!("GET {path}/events HTTP/1.1\r\n{head}\r\n\r\n");
        let outcome = format!("{path}/outcome?wait=30");
        let (text, outcome) = tokio::join!(served.raw(&stream), served.call("GET", &outcome, ""));
        assert_eq!(json(outcome, 200)["outcome"], "matched", "{key}");
        assert!(text.contains("event: attempted\n") && text.contains("event: outcome\n"), "{key}: {text}");
    };
    let all = keys[1..].iter().flat_map(|key| [watched(&one, key), watched(&other, key)]);
    let finish = async {
        // Every poll was asked; most streams are open by now, and the others see the same.
        fleet.server.arrived(fleet.server.requests().len() + 3 * POLLS).await;
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(futures_util::future::join_all(all), finish);

    // Every outcome has reached the receiver, with one id, and both say so.
    for key in &keys {
        for served in [&one, &other] {
            let mut looks = 0;
            let delivery = loop {
                let delivery = json(served.call("GET", &format!("/v1/polls/{key}/webhook"), "").await, 200);
                looks += 1;
                assert!(looks < 20_000, "{delivery}");
                if delivery["state"] == "delivered" {
                    break delivery;
                }
            };
            let received = received.lock().unwrap();
            assert!(received[key].iter().all(|id| *id == delivery["id"]), "{received:?} {delivery}");
        }
    }

    // What one has created goes on at the other when one stops.
    done.store(false, Ordering::Relaxed);
    let last: Vec<String> = (0..POLLS).map(|number| format!("last-{number}")).collect();
    for key in &last {
        create(&one, key).await;
    }
    send(Signal::TERM, &one.process);
    assert_eq!(one.process.wait().await.unwrap().code(), Some(0));
    done.store(true, Ordering::Relaxed);
    for key in &last {
        let outcome = json(other.call("GET", &format!("/v1/polls/{key}/outcome?wait=30"), "").await, 200);
        assert_eq!(outcome["outcome"], "matched", "{key}");
    }
}
