//! What `--json` prints is what `docs/json.md` says: every member is in its tables, and those that are always there are.

use std::collections::BTreeMap;

use serde_json::Value;
use test_support::{Reply, Script, Server};

use crate::store::{Folder, spec};

const PAGE: &str = include_str!("../../../docs/json.md");

/// The members of the object that a heading describes, and whether they are always there.
fn table(heading: &str) -> BTreeMap<String, bool> {
    let section = PAGE.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.map(|(name, rest)| (name.to_owned(), rest.starts_with("always"))).collect()
}

#[track_caller]
pub(crate) fn holds_to(heading: &str, object: &Value, without: &[&str]) {
    let table = table(heading);
    let members = object.as_object().unwrap();
    for name in members.keys() {
        assert!(table.contains_key(name), "{heading} has an undocumented {name}: {object}");
    }
    for (name, always) in &table {
        let expected = *always && !without.contains(&name.as_str());
        assert!(!expected || members.contains_key(name), "{heading} lacks {name}: {object}");
    }
}

fn holds_to_outcome(object: &Value, without: &[&str]) {
    holds_to("An outcome", object, without);
    for attempt in object["history"].as_array().unwrap() {
        holds_to("An attempt", attempt, &[]);
    }
    if let Some(response) = object.get("response") {
        holds_to("A response", response, &[]);
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn json_output_has_the_documented_members() {
    let server = Server::start(
        Script::new()
            .on("/good", [Reply::new(500), Reply::json(r#"{"status":"SUCCESS"}"#)])
            .on("/bad", [Reply::json(r#"{"status":"FAILED"}"#)])
            .on("/text", [Reply::text("not yet")])
            .on("/bytes", [Reply::new(200).body([0xff, 0x00])]),
    )
    .await;
    let folder = Folder::new();
    let poll = async |arguments: &[&str], input: &str| {
        let printed = lines(&folder.poll(arguments, input).await.stdout);
        assert!(!printed.is_empty(), "{arguments:?} prints nothing");
        printed
    };
    let short =
        |key: &str| spec(key, &server.url(&format!("/{key}"))).replace(r#""timeout":60"#, r#""timeout":0.3"#);
    let specs =
        [spec("good", &server.url("/good")), spec("bad", &server.url("/bad")), short("text"), short("bytes")];
    for scope in [&[][..], &["--scope", "s"]] {
        let submit = [&["submit", "--unbounded", "--json"], scope, &["-"]].concat();
        for object in poll(&submit, &specs.join("\n")).await {
            holds_to("A poll that was submitted", &object, &[]);
        }
    }
    for object in poll(&["show", "--json", "good"], "").await {
        holds_to("A whole poll", &object, &[]);
    }
    for object in poll(&["cancel", "--json", "--scope", "s", "text"], "").await {
        holds_to_outcome(&object, &[]);
        assert_eq!(object["scope"], "s");
    }
    let ended = poll(&["run", "--json"], "").await;
    assert_eq!(ended.len(), 7);
    ended.iter().for_each(|object| holds_to_outcome(object, &[]));
    let listed = poll(&["list", "--json"], "").await;
    assert_eq!(listed.len(), 8);
    listed.iter().for_each(|object| holds_to("A poll in a list", object, &[]));
    for key in ["good", "bad", "text", "bytes"] {
        for object in poll(&["show", "--json", key], "").await {
            holds_to("A whole poll", &object, &[]);
            holds_to_outcome(&object["outcome"], &["key", "scope"]);
        }
    }
    for object in poll(&["forget", "--json", "good", "bad"], "").await {
        holds_to("A poll that was forgotten", &object, &[]);
    }
    for object in poll(&["purge", "--json"], "").await {
        holds_to("What was purged", &object, &[]);
    }
}
