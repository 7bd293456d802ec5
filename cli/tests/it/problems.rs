//! Errors as data: the object of `--json` when a command cannot run, and the formats of `check`.

use serde_json::Value;

use crate::json::holds_to;
use crate::process::run;
use crate::store::{Folder, spec};

const BAD: &str = "{\"url\":\"https://a.example/x\",\"interval\":5,\n \"responseFilter\":{\"body\":{\"s\":{\"$startWith\":\"S\"}}}}";

/// The object of a command that could not run; standard output has nothing else.
async fn error_of(arguments: &[&str], input: &str) -> Value {
    let ended = run(arguments, input).await;
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(2), 1), "{arguments:?}: {ended:#?}");
    let object: Value = serde_json::from_str(&ended.stdout).unwrap();
    holds_to("A command that could not run", &object, &[]);
    for problem in object["problems"].as_array().unwrap() {
        holds_to("A problem", problem, &[]);
    }
    // People read the same on standard error, which may be wrapped by clap.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = object["error"].as_str().unwrap();
    assert!(words(&ended.stderr).contains(&words(message)), "{message:?} is not in {ended:#?}");
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_cannot_run_prints_one_object() {
    let folder = Folder::new();
    let missing = folder.path().join("missing.db");
    let missing = missing.to_str().unwrap();
    for command in [
        // Usage errors of every command with --json.
        &["run", "--json"][..],
        &["wait", "--json"],
        &["demo", "--json", "--no-such-option"],
        &["submit", "--json"],
        &["list", "--json"],
        &["show", "--json"],
        &["cancel", "--json"],
        &["forget", "--json"],
        &["purge", "--json", "--keep", "many"],
        &["explain", "--json"],
        &["check", "--json"],
        // Bad arguments that the command itself finds.
        &["wait", "--json", "ftp://a.example"],
        &["wait", "--json", "http://127.0.0.1:1", "--until", "{"],
        &["wait", "--json", "http://127.0.0.1:1", "--cacert", "/no/such"],
        &["explain", "--json", "-f", r#"{"a":{"$no":1}}"#],
        // Unreadable files and unusable stores.
        &["run", "--json", "/no/such"],
        &["run", "--json", "--store", missing],
        &["run", "--json", "--store", "/no/such/folder/polls.db", "-"],
        &["submit", "--json", "--store", "/no/such/folder/polls.db", "-"],
        &["list", "--json", "--store", missing],
        &["show", "--json", "--store", missing, "key"],
        &["cancel", "--json", "--store", missing, "key"],
        &["forget", "--json", "--store", missing, "key"],
        &["purge", "--json", "--store", missing],
    ] {
        error_of(command, r#"{"url":"http://127.0.0.1:1/"}"#).await;
    }
    // An argument behind `--` is no option.
    let ended = run(&["check", "--no-such", "--", "--json"], "").await;
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_problems_of_specs_are_in_the_object() {
    for command in [&["run", "--json", "-"][..], &["submit", "--json", "--store", "never-made.db", "-"]] {
        let object = error_of(command, BAD).await;
        let problems = object["problems"].as_array().unwrap();
        assert_eq!(problems.len(), 2, "{object}");
        assert_eq!((&problems[0]["pointer"], &problems[0]["line"]), (&"/interval".into(), &1.into()));
        assert_eq!(
            (&problems[1]["code"], &problems[1]["line"], &problems[1]["column"], &problems[1]["endColumn"]),
            (&"unknown-operator".into(), &2.into(), &33.into(), &45.into())
        );
        assert_eq!(problems[1]["help"], "did you mean \"$startsWith\"?");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_with_the_store_is_an_object() {
    let folder = Folder::new();
    let (one, other) = (spec("a", "http://127.0.0.1:1/one"), spec("a", "http://127.0.0.1:1/other"));
    folder.poll(&["submit", "--unbounded", "-"], &one).await.expect(0, "a\n");
    for arguments in [&["submit", "--unbounded", "--json", "-"][..], &["run", "--unbounded", "--json", "-"]] {
        let ended = folder.poll(arguments, &other).await;
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        let object: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert!(object["error"].as_str().unwrap().contains("they differ in /url"), "{object}");
    }
    let object = error_of(&["run", "--unbounded", "--json", "-"], &format!("{one}{other}")).await;
    assert!(object["error"].as_str().unwrap().contains("the same key"), "{object}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_prints_all_problems_as_one_object() {
    let ended = run(&["check", "--json", "-"], BAD).await;
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let object: Value = serde_json::from_str(&ended.stdout).unwrap();
    holds_to("What was checked", &object, &[]);
    assert_eq!((&object["specs"], &object["errors"]), (&1.into(), &2.into()));
    assert_eq!(object["problems"].as_array().unwrap().len(), 2);
    let good = run(&["check", "--json", "-"], r#"{"status":["SUCCESS"]}"#).await;
    assert_eq!(good.code, Some(0));
    let object: Value = serde_json::from_str(&good.stdout).unwrap();
    assert_eq!((&object["filters"], &object["problems"]), (&1.into(), &Value::Array(Vec::new())));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_annotates_pull_requests() {
    let folder = Folder::new();
    let file = folder.path().join("bad.json");
    std::fs::write(&file, BAD).unwrap();
    let file = file.to_str().unwrap();
    let ended = run(&["check", "--format", "github", file, "/no/such"], "").await;
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{ended:#?}");
    assert!(
        lines[0].starts_with(&format!("::error file={file},line=1,col=41,endColumn=41,title=")),
        "{lines:?}"
    );
    assert_eq!(
        lines[1],
        format!(
            "::error file={file},line=2,col=33,endColumn=44,title=unknown-operator::unknown operator \"$startWith\"%0Aat \
             /responseFilter/body/s/$startWith%0Ahelp: did you mean \"$startsWith\"?"
        )
    );
    assert!(lines[2].starts_with("::error::cannot read /no/such"), "{lines:?}");
}
