//! Clients that try to make answers say what they want.

use test_support::{Reply, Script};

use crate::client::Fixture;

#[tokio::test]
async fn names_cannot_become_headers_or_lines() {
    let it = Fixture::new(Script::from_fn(|_, _| Reply::json("{}"))).await;
    for name in ["a%0d%0aset-cookie:%20b=c", "a%00", "a%1b%5b31m", "%C2%9B31m", "%ff", "."] {
        for path in [format!("/v1/polls/{name}"), format!("/v1/scopes/{name}/polls/a")] {
            let answer = it.put(&path, &it.spec("/job")).await;
            assert!(!answer.headers.contains_key("set-cookie"), "{answer:?}");
            answer.expect_problem(400, "bad-request");
        }
    }
    assert_eq!(it.poller.stats().open, 0);
}
