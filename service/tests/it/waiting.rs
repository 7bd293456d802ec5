//! Requests that wait: many, without work for each, until the outcome or the end of the service.

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use test_support::{Gate, Reply, Script};

use crate::client::Fixture;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_waiting_requests_get_the_outcome() {
    let gate = Gate::new();
    let it = Fixture::new(Script::from(Reply::json(r#"{"status":"SUCCESS"}"#).held_by(&gate))).await;
    it.put("/v1/polls/a", &it.spec("/job")).await.expect(201);
    it.jobs.arrived(0).await;
    let mut waiting: FuturesUnordered<_> = (0..1000).map(|_| it.get("/v1/polls/a/outcome?wait=25")).collect();
    // All have begun to wait when none is ready.
    assert!(waiting.next().now_or_never().is_none());
    gate.open();
    let mut answers = 0;
    while let Some(answer) = waiting.next().await {
        assert_eq!(answer.expect(200).json()["outcome"], "matched");
        answers += 1;
    }
    assert_eq!(answers, 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_requests_end_with_the_service() {
    let gate = Gate::new();
    let it = Fixture::new(Script::from(Reply::json("{}").held_by(&gate))).await;
    it.put("/v1/polls/a", &it.spec("/job")).await.expect(201);
    it.jobs.arrived(0).await;
    let mut waiting: FuturesUnordered<_> = (0..10).map(|_| it.get("/v1/polls/a/outcome?wait=25")).collect();
    assert!(waiting.next().now_or_never().is_none());
    it.service.close();
    while let Some(answer) = waiting.next().await {
        assert!(answer.headers.contains_key("retry-after"));
        answer.expect_problem(503, "unavailable");
    }
    it.get("/readyz").await.expect_problem(503, "unavailable");
    it.get("/v1/events").await.expect_problem(503, "unavailable");
    gate.open();
}

#[tokio::test]
async fn a_wait_that_is_over_says_how_long_it_was() {
    let it = Fixture::new(Script::from_fn(|_, _| Reply::json("{}"))).await;
    it.put("/v1/polls/a", &it.spec("/job")).await.expect(201);
    let waited = it.get("/v1/polls/a/outcome?wait=1").await.expect(202);
    assert_eq!(waited.headers["preference-applied"], "wait=1");
    assert!(waited.headers.contains_key("retry-after"));
}
