//! `poll run --report FILE`: the file holds to the rules of JUnit's schema, and its counts to the outcomes.

use std::collections::BTreeMap;

use test_support::{Reply, Script, Server};

use crate::process::run;
use crate::store::{Folder, spec};

/// An element of the report.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    children: Vec<Element>,
    text: String,
}

/// A reader of XML that is strict about what it knows: elements, attributes, text, the five entities, one declaration.
/// Anything else ends the test.
fn parse(text: &str) -> Element {
    let rest = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").expect("a declaration");
    // The characters of XML 1.0.
    let allowed =
        |c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert_eq!(text.chars().find(|c| !allowed(*c)), None, "{text}");
    let (mut stack, mut rest) = (vec![Element::default()], rest);
    while let Some((before, after)) = rest.split_once('<') {
        assert!(!before.contains('>') || stack.len() > 1, "{before}");
        stack.last_mut().unwrap().text.push_str(&unescape(before));
        let (tag, after) = after.split_once('>').expect("an end of the tag");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            let ended = stack.pop().unwrap();
            assert_eq!(ended.name, name);
            stack.last_mut().unwrap().children.push(ended);
            continue;
        }
        let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut element = Element { name: name.to_owned(), ..Element::default() };
        while let Some((name, value)) = attributes.trim_start().split_once("=\"") {
            let (value, after) = value.split_once('"').expect("an end of the attribute");
            assert!(element.attributes.insert(name.to_owned(), unescape(value)).is_none(), "{name} twice");
            attributes = after;
        }
        assert_eq!(attributes.trim(), "");
        if empty { stack.last_mut().unwrap().children.push(element) } else { stack.push(element) }
    }
    assert_eq!((stack.len(), rest.trim()), (1, ""));
    stack.pop().unwrap().children.pop().unwrap()
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut parts = text.split('&');
    plain.push_str(parts.next().unwrap());
    for part in parts {
        let (entity, rest) = part.split_once(';').expect("an entity");
        plain.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = entity.strip_prefix("#x").map(|hex| u32::from_str_radix(hex, 16));
                let number = number.or_else(|| entity.strip_prefix('#').map(str::parse));
                char::from_u32(number.expect(entity).unwrap()).unwrap()
            }
        });
        plain.push_str(rest);
    }
    plain
}

/// The rules of Jenkins' `junit-10.xsd` and of Ant's `JUnit.xsd` for what a report uses: elements and their order, known and
/// required attributes, the types of values. Returns the test cases.
fn hold_to_the_schema(report: &Element) -> Vec<&Element> {
    let known = |element: &Element, required: &[&str], optional: &[&str]| {
        for name in required {
            assert!(element.attributes.contains_key(*name), "{} lacks {name}", element.name);
        }
        for name in element.attributes.keys() {
            assert!(
                required.contains(&&**name) || optional.contains(&&**name),
                "{} has {name}",
                element.name
            );
        }
    };
    let number = |element: &Element, name: &str| element.attributes[name].parse::<usize>().unwrap();
    let seconds = |element: &Element| element.attributes["time"].parse::<f64>().unwrap();
    let of = |cases: &[&Element], kind: &str| {
        cases.iter().filter(|case| case.children.iter().any(|child| child.name == kind)).count()
    };

    assert_eq!(report.name, "testsuites");
    known(report, &["tests", "failures", "errors"], &["name", "time", "skipped"]);
    let mut all = Vec::new();
    for suite in &report.children {
        assert_eq!(suite.name, "testsuite");
        known(suite, &["name", "tests", "failures", "errors"], &["skipped", "disabled", "time"]);
        let cases: Vec<_> = suite.children.iter().collect();
        for case in &cases {
            assert_eq!(case.name, "testcase");
            known(case, &["name", "classname"], &["time"]);
            assert!(seconds(case) >= 0.0 && !case.attributes["name"].is_empty());
            // At most one result, and none is a success.
            assert!(case.children.len() <= 1, "{case:?}");
            for result in &case.children {
                match &*result.name {
                    "failure" | "error" => known(result, &["type"], &["message"]),
                    "skipped" => known(result, &[], &["message", "type"]),
                    other => panic!("unknown {other}"),
                }
            }
        }
        assert_eq!(number(suite, "tests"), cases.len());
        assert_eq!(number(suite, "failures"), of(&cases, "failure"));
        assert_eq!(number(suite, "errors"), of(&cases, "error"));
        assert_eq!(
            suite.attributes.get("skipped").or(suite.attributes.get("disabled")).unwrap(),
            &of(&cases, "skipped").to_string()
        );
        all.extend(cases);
    }
    assert_eq!(number(report, "tests"), all.len());
    assert_eq!(number(report, "failures"), of(&all, "failure"));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn each_poll_is_a_test_case() {
    let server = Server::start(
        Script::new()
            .on("/good", [Reply::json(r#"{"status":"SUCCESS"}"#)])
            .on(
                "/bad",
                [Reply::json("{\"status\":\"FAILED\",\"why\":\"<disk> & \\\"full\\\" ]]> \u{fffe}\"}")],
            )
            .on("/slow", [Reply::json(r#"{"status":"RUNNING"}"#)]),
    )
    .await;
    let folder = Folder::new();
    let file = folder.path().join("junit.xml");
    let slow = spec("slow", &server.url("/slow")).replace(r#""timeout":60"#, r#""timeout":0.3"#);
    let bad = spec(r#"a \"quoted\" <key> & more"#, &server.url("/bad"));
    let specs = [spec("good", &server.url("/good")), bad, slow].join("\n");
    let ended = run(&["run", "--unbounded", "--report", file.to_str().unwrap(), "-"], &specs).await;
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let text = std::fs::read_to_string(&file).unwrap();
    let report = parse(&text);
    let cases: BTreeMap<_, _> = hold_to_the_schema(&report)
        .into_iter()
        .map(|case| (&*case.attributes["name"], case.children.first()))
        .collect();
    assert_eq!(cases.len(), 3, "{text}");
    assert!(cases["good"].is_none());
    let slow = cases["slow"].unwrap();
    assert_eq!((&*slow.name, &*slow.attributes["type"]), ("failure", "timed out"));
    let bad = cases["a \"quoted\" <key> & more"].unwrap();
    assert_eq!(&*bad.attributes["type"], "failed");
    assert!(bad.attributes["message"].starts_with("failed after 1 attempt: "), "{bad:?}");
    assert!(bad.text.contains("<disk> & \\\"full\\\" ]]>"), "{bad:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_that_a_signal_ended_are_skipped() {
    let server = Server::start(Script::new().on("/job", [Reply::json(r#"{"status":"RUNNING"}"#)])).await;
    let folder = Folder::new();
    for (store, why) in [(false, "cancelled"), (true, "stopped by a signal; the poll stays open")] {
        let file = folder.path().join("stopped.xml");
        let mut arguments = vec!["run", "--unbounded", "--report", file.to_str().unwrap(), "-"];
        let store_file = folder.file();
        if store {
            arguments.extend(["--store", &*store_file]);
        }
        let child = crate::process::command(&arguments).spawn().unwrap();
        let seen = server.requests().len();
        let ended = interrupt_when(child, &server, seen, spec("job", &server.url("/job"))).await;
        assert_eq!(ended.code, Some(130), "{ended:#?}");
        let text = std::fs::read_to_string(&file).unwrap();
        let report = parse(&text);
        let cases = hold_to_the_schema(&report);
        assert_eq!(cases.len(), 1, "{text}");
        assert_eq!(cases[0].children[0].name, "skipped");
        assert_eq!(cases[0].children[0].attributes["message"], why);
    }
}

/// Feeds the spec, and sends Ctrl-C once the request is at the server.
async fn interrupt_when(
    mut child: tokio::process::Child,
    server: &Server,
    seen: usize,
    spec: String,
) -> crate::process::ProcessOutput {
    use tokio::io::AsyncWriteExt as _;
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(spec.as_bytes()).await.unwrap();
    drop(stdin);
    server.arrived(seen).await;
    crate::signals::send(rustix::process::Signal::INT, &child);
    child.wait_with_output().await.unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_written_prevents_the_first_request() {
    let server = Server::start(Script::new().on("/job", [Reply::json("{}")])).await;
    run(
        &["run", "--unbounded", "--report", "/no/such/folder/junit.xml", "-"],
        spec("job", &server.url("/job")),
    )
    .await
    .expect(2, "")
    .stderr_contains("cannot write --report /no/such/folder/junit.xml");
    assert!(server.requests().is_empty());
}
