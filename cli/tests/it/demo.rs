//! `poll demo`: the result alone on standard output, the show on standard error.
//!
//! The one test that takes seconds: the demo is for people, and this is its real pace.

use std::time::Duration;

use crate::process::run;

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_succeeds_and_prints_only_the_body() {
    let ended = tokio::time::timeout(Duration::from_secs(60), run(&["demo"], "")).await.unwrap();
    let ended = ended
        .expect(
            0,
            concat!(
                r#"{"id":42,"status":"SUCCESS","progress":100,"result":{"rows":1830,"file":"export-42.csv"}}"#,
                "\n"
            ),
        )
        .stderr_contains("#2 500 in ")
        .stderr_contains("the server asks to wait")
        .stderr_contains("Retry-After")
        .stderr_contains("matched: 200 after 5 attempts")
        .stderr_contains("Try next:");
    assert!(!ended.stderr.contains("panicked"));
}
