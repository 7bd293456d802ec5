//! Standard streams at their worst: closed pipes, huge lines, events that come slowly.

use test_support::{Reply, Script, Server};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::process::{command, finish, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_standard_output_is_no_error() {
    let rules = rules(r#"{"id":1,"filter":{}}"#);
    let route = ["route", "-r", rules.path().to_str().unwrap()];
    for arguments in [&["match", "-f", "{}"][..], &["explain", "-f", "{}"], &route] {
        let mut child = command(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let ended = finish(child, "{}\n".repeat(100_000)).await;
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_standard_error_is_no_error() {
    let mut child = command(&["match", "-f", "{}"]).spawn().unwrap();
    drop(child.stderr.take());
    finish(child, "not json\n{}\n").await.expect(2, "{}\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_standard_output_of_wait_is_no_error() {
    let server = Server::start(Script::from(Reply::json("{}"))).await;
    let mut child = command(&["wait", "--quiet", &server.url("/")]).spawn().unwrap();
    drop(child.stdout.take());
    let ended = finish(child, "").await;
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let child = command(&["match", "-f", "{}"]).stdout(full).spawn().unwrap();
    finish(child, "{}\n").await.expect(2, "").stderr_contains("cannot write to standard output");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_megabytes_is_a_line() {
    let line = format!("{{\"pad\":\"{}\",\"a\":1}}\n", "x".repeat(4 << 20));
    run(&["match", "-c", "-f", r#"{"a":1}"#], line.repeat(2)).await.expect(0, "2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn line_buffered_writes_before_the_input_ends() {
    let mut child = command(&["match", "--line-buffered", "-f", r#"{"a":1}"#]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in [r#"{"a":1}"#, r#"{"a": 1, "b": 2}"#] {
        stdin.write_all(format!("{line}\n{{}}\n").as_bytes()).await.unwrap();
        assert_eq!(stdout.next_line().await.unwrap().as_deref(), Some(line));
    }
    drop(stdin);
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn results_from_a_pipe_are_written_before_the_next_read() {
    let rules = rules("{\"id\":\"a\",\"filter\":{\"a\":1}}\n");
    let route = ["route", "-r", rules.path().to_str().unwrap()];
    let line = r#"{"a":1}"#;
    for (arguments, answer) in [(&["match", "-f", line][..], line), (&route, r#"["a"]"#)] {
        let mut child = command(arguments).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        // More than there are threads, so that each of them is waited for.
        for _ in 0..100 {
            stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
            assert_eq!(stdout.next_line().await.unwrap().as_deref(), Some(answer));
        }
        drop(stdin);
        assert_eq!(child.wait().await.unwrap().code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_ends_at_the_first_match() {
    let mut child = command(&["match", "-q", "-f", r#"{"a":1}"#]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"{}\n{\"a\":1}\n").await.unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    drop(stdin);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_events_keep_their_order() {
    // Several megabytes, so that there are many chunks; events of very different cost, so that threads get out of step.
    let event = |n: usize| {
        format!("{{\"n\":{n},\"pad\":\"{}\"}}\n", "x".repeat(if n % 1000 < 500 { 10 } else { 300 }))
    };
    let events: String = (0..40_000).map(event).collect();
    let rules = rules(
        &(0..10).map(|n| format!("{{\"id\":{n},\"filter\":{{\"n\":{}}}}}\n", n * 3_999)).collect::<String>(),
    );
    let answer = |n: usize| {
        if n.is_multiple_of(3_999) && n < 39_990 { format!("[{}]\n", n / 3_999) } else { "[]\n".into() }
    };
    let answers: String = (0..40_000).map(answer).collect();
    run(&["route", "-r", rules.path().to_str().unwrap()], &events).await.expect(0, &answers);

    let selected: String = (0..40_000).filter(|n| *n >= 10).map(event).collect();
    run(&["match", "-f", r#"{"n": {"$gte": 10}}"#], &events).await.expect(0, &selected);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_printed_in_the_order_of_the_input() {
    let rules = rules("{\"id\":1.0,\"filter\":{}}\n{\"id\":\"\\u0041\\\"\",\"filter\":{\"a\":1}}\n");
    let ended = run(&["route", "-r", rules.path().to_str().unwrap()], "{}\nnot json\n\n{\"a\":1}\n[").await;
    let ended = ended
        .expect(2, "[1.0]\n[1.0,\"\\u0041\\\"\"]\n")
        .stderr_contains("standard input:2:1: error: not JSON");
    ended.stderr_contains("standard input:5:2: error: not JSON");
}

fn rules(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn line_ends_and_the_byte_order_mark() {
    run(&["match", "-f", r#"{"a":1}"#], "\u{feff}{\"a\":1}\r\n\r\n\n{\"a\":2}\n{\"a\":1}")
        .await
        .expect(0, "{\"a\":1}\r\n{\"a\":1}\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn colour_is_used_on_terminals_or_on_request() {
    let explain = async |color: &str| run(&["explain", "-f", "{}", "--color", color], "{}").await.stdout;
    assert!(!explain("auto").await.contains('\u{1b}'));
    assert!(!explain("never").await.contains('\u{1b}'));
    assert!(explain("always").await.contains("\u{1b}["));
}

#[tokio::test(flavor = "multi_thread")]
async fn routed_events_are_objects_as_documented() {
    let rules = rules("{\"id\":\"a\",\"filter\":{\"a\":1}}\n");
    let path = rules.path().to_str().unwrap();
    for options in [&["--json"][..], &["--events", "--why"]] {
        let arguments = [&["route", "-r", path], options].concat();
        let ended = run(&arguments, "\n{\"a\":1}\n{\"a\":\n{}\n").await;
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        let objects = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
        let objects: Vec<serde_json::Value> = objects.collect();
        objects.iter().for_each(|object| crate::json::holds_to("An event that was routed", object, &[]));
        let lines: Vec<_> = objects.iter().map(|object| object["line"].as_u64().unwrap()).collect();
        assert_eq!(lines, [2, 4]);
        assert_eq!(objects.iter().all(|object| object.get("event").is_some()), options.len() == 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_count_every_event_of_every_thread() {
    let rules = rules(
        "{\"id\":\"a\",\"filter\":{\"a\":1}}\n{\"id\":\"all\",\"filter\":{}}\n{\"id\":\"b\",\"filter\":{\"b\":1}}\n",
    );
    let input = "{\"a\":1,\"pad\":\"0123456789\"}\n{}\n".repeat(40_000);
    let arguments = ["route", "-r", rules.path().to_str().unwrap(), "--hits"];
    let ended = run(&arguments, input).await;
    let expected = "hits       2 of 3 rules, 80000 events\n           80000  \"all\"\n           40000  \"a\"\nno hits    1 rule\n           \"b\"\n";
    assert_eq!((ended.code, &*ended.stderr), (Some(0), expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_lines_and_rules_are_bounded() {
    let ended = run(&["match", "-f", r#"{"a":1}"#], "{\n".repeat(1_000) + "{\"a\":1}\n").await;
    assert_eq!((ended.code, &*ended.stdout), (Some(2), "{\"a\":1}\n"));
    let errors: Vec<_> = ended.stderr.lines().collect();
    assert_eq!((errors.len(), errors[101]), (102, "and 900 more errors; the first 100 are above"));
    assert!(errors[0].contains("this is a value over several lines"), "{errors:?}");

    let bad = rules(&"{\"id\":1,\"filter\":{\"a\":[]}}\n".repeat(150));
    let path = bad.path().to_str().unwrap();
    let ended = run(&["route", "-r", path], "{}\n").await;
    assert_eq!((ended.code, ended.stderr.matches("error: ").count()), (Some(2), 100), "{}", ended.stderr);
    assert!(ended.stderr.contains("and 50 more errors; the first 100 are above"), "{}", ended.stderr);
    let ended = run(&["check", "--json", path], "").await;
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    crate::json::holds_to("What was checked", &report, &[]);
    assert_eq!((&report["errors"], report["problems"].as_array().unwrap().len()), (&150.into(), 101));
}
