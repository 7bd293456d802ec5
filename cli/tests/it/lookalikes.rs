//! Filters that compile but hardly mean what was meant: every command that takes a filter shows the warning and its help.

use serde_json::json;
use test_support::{Reply, Script, Server};

use crate::process::run;

/// Dialect, filter, code-like part of the warning, part of the help.
const LOOKALIKES: [(&str, &str, &str, &str); 9] = [
    (
        "event-bridge",
        r#"{"n": {"numeric": [">", 5]}}"#,
        r#""numeric" is a field here"#,
        r#""n": [{"numeric": [">", 5]}]"#,
    ),
    ("trigger-dev", r#"{"n": {"$between": [1, 5]}}"#, "is a field here", r#""n": [{"$between": [1, 5]}]"#),
    ("native", r#"{"status": {"prefix": "a"}}"#, "is a field here", r#"{"$startsWith": "a"}"#),
    ("native", r#"{"x": {"gt": 5}}"#, "is a field here", r#""x": {"$gt": 5}"#),
    ("native", r#"{"n": [">", 5]}"#, "not a comparison", r#""n": {"$gt": 5}"#),
    ("native", r#"{"a.b.c": "x"}"#, "not a path", r#"{"a": {"b": {"c": "x"}}}"#),
    ("native", r#"{"a[0]": "x"}"#, "not a path", r#"{"a": {"$includes": "x"}}"#),
    ("native", r#"{"x": {"$regex": "/abc/i"}}"#, "slashes", r#"{"$regex": "(?i)abc"}"#),
    ("native", r#"{"x": {"$wildcard": "a?"}}"#, "? is an ordinary character", r#"{"$regex": "#),
];

#[tokio::test(flavor = "multi_thread")]
async fn match_route_and_check_warn() {
    let folder = tempfile::tempdir().unwrap();
    for (dialect, filter, warning, help) in LOOKALIKES {
        let dialect = ["--dialect", dialect];
        let [name, value] = dialect;
        let file = folder.path().join("filter.json");
        std::fs::write(&file, filter).unwrap();
        let rules = folder.path().join("rules.json");
        std::fs::write(&rules, format!(r#"{{"id": "one", "filter": {filter}}}"#)).unwrap();
        let (file, rules) = (file.to_str().unwrap(), rules.to_str().unwrap());
        for arguments in [
            vec!["match", name, value, "-f", filter],
            vec!["explain", name, value, "-f", filter],
            vec!["route", name, value, "--rules", rules],
            vec!["check", name, value, file],
        ] {
            run(&arguments, "{\"n\": 1}\n").await.stderr_contains(warning).stderr_contains(help);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_and_wait_warn() {
    let script = LOOKALIKES.iter().fold(Script::new(), |script, _| script.on("/job", [Reply::json("{}")]));
    let server = Server::start(script).await;
    let url = server.url("/job");
    for (dialect, filter, warning, help) in LOOKALIKES {
        let body: serde_json::Value = serde_json::from_str(filter).unwrap();
        let spec = json!({"url": url, "dialect": dialect, "failureFilter": {"status": [200]}, "responseFilter": {"body": body}});
        run(&["run", "-"], spec.to_string()).await.stderr_contains(warning).stderr_contains(help);
        let arguments = ["wait", &url, "--dialect", dialect, "--until-body", filter, "--timeout", "100ms"];
        run(&arguments, "").await.stderr_contains(warning).stderr_contains(help);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_filter_or_event_is_recognised() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(br#"{"a": 1}"#).unwrap();
    let packed = packed.finish().unwrap();
    let file = folder.path().join("a.json.gz");
    std::fs::write(&file, &packed).unwrap();
    let path = file.to_str().unwrap();
    run(&["match", "-f", &format!("@{path}")], "{}").await.stderr_contains("gzip");
    run(&["check", path], "").await.stderr_contains("gzip");
    run(&["explain", "-f", r#"{"a": 1}"#], &packed).await.stderr_contains("gzip");
    run(&["match", "-f", r#"{"a": 1}"#], &packed).await.stderr_contains("gzip");
}
