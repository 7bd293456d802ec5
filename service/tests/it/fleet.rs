//! Two services on one PostgreSQL database: each answers for all polls, whichever of them runs a poll.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use http::{Method, Request};
use poller::http::Guard;
use poller::store::Store as _;
use poller::{Limits, PollKey, Poller, PostgresOptions, PostgresStore};
use service::{Access, Keys, Options, Service};
use test_support::{Reply, Script, Server};

use crate::client::{Answer, digest, send};
use crate::streams::{Stream, names};

/// One of the services.
struct Node {
    store: PostgresStore,
    router: Router,
}

impl Node {
    async fn start(url: &str, mut options: Options) -> Self {
        options.limits = Limits::unbounded();
        // Few shards and a short lease, so that both have their share soon.
        let store = PostgresOptions::parse(url).unwrap().with_shards(64).with_lease(Duration::from_secs(3));
        let store = store.connect().await.unwrap();
        let mut limits = Limits::unbounded();
        limits.history_every = Some(Duration::from_millis(200));
        let poller = Poller::builder().store(store.clone()).guard(Guard::local()).limits(limits);
        let router = Service::new(poller.build().await.unwrap(), store.clone(), options).router();
        Self { store, router }
    }

    async fn call(&self, method: Method, path: &str, body: &str) -> Answer {
        send(&self.router, Request::builder().method(method).uri(path), body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, "").await
    }

    /// A key whose poll this service runs, once the shards are shared.
    fn own(&self, name: &str) -> String {
        let found = (0..).map(|number| format!("{name}-{number}"));
        let mut found = found.filter(|key| self.store.runs(&PollKey::new("", key)));
        found.next().unwrap()
    }
}

/// Two services, and a server whose jobs are done once the flag is set.
struct World {
    jobs: Server,
    done: Arc<AtomicBool>,
    nodes: [Node; 2],
}

impl World {
    /// `None` where there is no PostgreSQL.
    async fn start(test: &str, options: Options) -> Option<Self> {
        let postgres = test_support::postgres::shared(test)?;
        let url = postgres.database();
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let jobs = Server::start(Script::from_fn(move |_, _| match is_done.load(Ordering::Relaxed) {
            true => Reply::json(r#"{"status":"SUCCESS"}"#),
            false => Reply::json(r#"{"status":"RUNNING"}"#),
        }))
        .await;
        let nodes = [Node::start(&url, options.clone()).await, Node::start(&url, options).await];
        let world = Self { jobs, done, nodes };
        // Each has its share, and no more shards move; the database and the workers say the same.
        let shared = "SELECT count(*) = 2 AND min(n) >= 30 AND sum(n) = 64 FROM \
                      (SELECT count(*) AS n FROM poll.shard WHERE worker IS NOT NULL GROUP BY worker) each";
        while postgres.query(&url, shared) != "t" {}
        let runners = |number: u32| {
            let key = PollKey::new("", number.to_string());
            world.nodes.iter().filter(|node| node.store.runs(&key)).count()
        };
        while !(0..1000).all(|number| runners(number) == 1) {
            tokio::task::yield_now().await;
        }
        Some(world)
    }

    fn spec(&self, interval: f64) -> String {
        format!(
            r#"{{"url":"{}","interval":{interval},"timeout":600,"responseFilter":{{"body":{{"status":["SUCCESS"]}}}}}}"#,
            self.jobs.url("/job")
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_answers_for_the_polls_of_the_other() {
    let Some(world) = World::start("two services on one database", Options::default()).await else { return };
    let [one, other] = &world.nodes;
    for (creator, owner, name) in [(one, other, "theirs"), (other, other, "ours")] {
        world.done.store(false, Ordering::Relaxed);
        let path = format!("/v1/polls/{}", owner.own(name));
        let spec = world.spec(0.05);
        creator.call(Method::PUT, &path, &spec).await.expect(201);
        // The same spec at the other joins; another one conflicts.
        owner.call(Method::PUT, &path, &spec).await.expect(200);
        one.call(Method::PUT, &path, &spec.replace("0.05", "7")).await.expect_problem(409, "conflict");
        let mut streams = Vec::new();
        for node in &world.nodes {
            let mut stream = Stream::of(&node.router, &format!("{path}/events"), None).await;
            while stream.next().await.unwrap().name != "attempted" {}
            streams.push(stream);
            let shown = node.get(&path).await.expect(200).json();
            assert_eq!(shown["state"], "open", "{shown}");
            assert!(shown["callback"].is_string(), "{shown}");
            node.get(&format!("{path}/outcome")).await.expect(202);
        }
        let outcome = format!("{path}/outcome?wait=30");
        let (at_one, at_other) = tokio::join!(one.get(&outcome), async {
            world.done.store(true, Ordering::Relaxed);
            other.get(&outcome).await
        });
        assert_eq!(at_one.expect(200).json(), at_other.expect(200).json());
        for stream in streams {
            let rest = stream.rest().await;
            let last = rest.last().unwrap();
            assert_eq!((last.name.as_str(), &last.data["outcome"]), ("outcome", &"matched".into()));
            let numbers: Vec<u64> = rest.iter().filter_map(|event| event.data["number"].as_u64()).collect();
            assert!(numbers.is_sorted_by(|one, next| one < next), "each attempt once: {numbers:?}");
        }
        for node in &world.nodes {
            let replayed = Stream::of(&node.router, &format!("{path}/events"), None).await.rest().await;
            assert_eq!(*names(&replayed).last().unwrap(), "outcome");
            assert_eq!(node.get(&format!("{path}/result")).await.expect(200).text, r#"{"status":"SUCCESS"}"#);
        }
        one.call(Method::DELETE, &path, "").await.expect(204);
        other.get(&path).await.expect_problem(404, "not-found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_is_cancelled_and_called_back_where_another_runs_it() {
    let Some(world) = World::start("calls about polls of another service", Options::default()).await else {
        return;
    };
    let [one, other] = &world.nodes;
    let path = format!("/v1/polls/{}", other.own("called"));
    let spec = world.spec(600.0);
    one.call(Method::PUT, &path, &spec).await.expect(201);
    world.jobs.ended(0).await;
    // The token that one gives is good at the other, and reaches the owner from each.
    for (asked, (giver, taker)) in [(one, one), (one, other), (other, one)].into_iter().enumerate() {
        let callback = giver.get(&path).await.expect(200).json()["callback"].as_str().unwrap().to_owned();
        taker.call(Method::POST, &callback, "").await.expect(204);
        world.jobs.ended(asked + 1).await;
    }
    let cancelled = one.call(Method::POST, &format!("{path}/cancel"), "").await.expect(200).json();
    assert_eq!((&cancelled["outcome"], &cancelled["attempts"]), (&"cancelled".into(), &4.into()));
    // Many at once, of both.
    for node in &world.nodes {
        let path = format!("/v1/polls/{}", node.own("bulk"));
        one.call(Method::PUT, &path, &spec).await.expect(201);
    }
    let bulk = one.call(Method::POST, "/v1/cancel", r#"{"prefix":"bulk-"}"#).await.expect(200).json();
    assert_eq!(bulk["polls"], 2);
    let again = one.call(Method::POST, &format!("{path}/again"), "").await;
    again.expect(201);
    other.call(Method::POST, &format!("{path}/cancel"), "").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_free_again_when_polls_have_ended_elsewhere() {
    let mut options = Options::default();
    let text = format!(
        "[[key]]\nname = 'a'\nsha256 = '{}'\nrights = ['create', 'read', 'cancel']\nopen-polls = 1",
        digest("a")
    );
    options.access = Access::Keys(Keys::parse(&text).unwrap());
    let Some(world) = World::start("quotas of two services", options).await else { return };
    let [one, other] = &world.nodes;
    let call = async |node: &Node, method: Method, path: &str, body: &str| {
        let request = Request::builder().method(method).uri(path).header("authorization", "Bearer a");
        send(&node.router, request, body).await
    };
    let spec = world.spec(600.0);
    let first = format!("/v1/polls/{}", other.own("first"));
    call(one, Method::PUT, &first, &spec).await.expect(201);
    let second = format!("/v1/polls/{}", other.own("second"));
    call(one, Method::PUT, &second, &spec).await.expect_problem(429, "quota");
    call(other, Method::POST, &format!("{first}/cancel"), "").await.expect(200);
    loop {
        // It looks again once a second.
        let answer = call(one, Method::PUT, &second, &spec).await;
        if answer.status != 429 {
            answer.expect(201);
            break;
        }
        tokio::task::yield_now().await;
    }
}
