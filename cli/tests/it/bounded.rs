//! Of the errors of many items the first hundred are listed, whatever the items are and whatever the output is for.

use std::fmt::Write as _;

use serde_json::Value;

use crate::process::run;
use crate::store::Folder;
use crate::terminal::on_screen;

const MANY: usize = 6000;
const REST: &str = "and 5900 more errors; the first 100 are above\n";

/// Items with one error each.
fn items(item: impl Fn(usize) -> String) -> String {
    (0..MANY).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "{}", item(number));
        text
    })
}

fn specs() -> String {
    items(|n| format!(r#"{{"cacheKey":"p{n}","url":"http://127.0.0.1:1/{n}","interval":1}}"#))
}

fn filters() -> String {
    items(|n| format!(r#"{{"status":[{{"$startWith":"{n}"}}]}}"#))
}

fn rules() -> String {
    items(|n| format!(r#"{{"id":{n},"filter":{{"status":[{{"$startWith":"S"}}]}}}}"#))
}

#[tokio::test(flavor = "multi_thread")]
async fn check_lists_the_first_hundred_of_every_kind_of_file() {
    let folder = Folder::new();
    for (kind, text) in [("spec", specs()), ("filter", filters()), ("rule", rules())] {
        let file = folder.path().join(format!("{kind}s.jsonl"));
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let (code, screen) = on_screen(80, &["check", file]).await;
        assert_eq!((code, screen.matches("error: ").count()), (Some(1), 100), "{kind}: {screen}");
        assert!(screen.lines().count() < 1500, "{kind}: {}", screen.lines().count());
        assert!(screen.lines().all(|line| line.chars().count() <= 80), "{kind}: {screen}");
        let checked = if kind == "rule" { "nothing".to_owned() } else { format!("{MANY} {kind}s") };
        assert!(screen.ends_with(&format!("{REST}checked {checked}: 6000 errors\n")), "{kind}: {screen}");

        // The bound is that of the command: two files print no more than one.
        let ended = run(&["check", "--json", file, file], "").await;
        assert_eq!(ended.stderr.matches("error: ").count(), 100, "{kind}");
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        crate::json::holds_to("What was checked", &report, &[]);
        let problems = report["problems"].as_array().unwrap();
        assert_eq!((&report["errors"], problems.len()), (&12_000.into(), 101), "{kind}");
        assert_eq!(problems[100]["code"], "more", "{kind}");
        assert_eq!(problems[100]["message"], "11900 more errors; the first 100 are above", "{kind}");
        let ended = run(&["check", "--format", "github", file], "").await;
        assert_eq!(ended.stdout.lines().count(), 101, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_commands_list_the_first_hundred_too() {
    let folder = Folder::new();
    let file = folder.path().join("rules.jsonl");
    std::fs::write(&file, rules()).unwrap();
    let file = file.to_str().unwrap();
    for (arguments, input) in [
        (&["submit", "--store", "never-made.db", "-"][..], specs()),
        (&["run", "-"], specs()),
        (&["convert", "--from", "event-bridge", "-"], filters()),
        (&["route", "-r", file, "-"], "{}\n".to_owned()),
        (&["match", "-f", "{}", "-"], "{]\n".repeat(MANY)),
        (&["explain", "-f", "{}", "-"], "{]\n".repeat(MANY)),
    ] {
        let ended = run(arguments, input).await;
        assert_eq!(ended.stderr.matches("error: ").count(), 100, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(REST), "{arguments:?}: {}", ended.stderr);
        assert!(ended.code != Some(0), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_and_repetitions_are_listed_likewise() {
    let folder = Folder::new();
    let good = items(|n| format!(r#"{{"cacheKey":"p{n}","url":"http://127.0.0.1:1/{n}"}}"#));
    let ended = folder.poll(&["submit", "-q", "-"], &good).await;
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), MANY));
    let others = good.replace("127.0.0.1:1/", "127.0.0.1:1/other/");
    let ended = folder.poll(&["submit", "-"], &others).await.expect(2, "");
    assert_eq!(ended.stderr.matches("they differ in /url").count(), 100, "{}", ended.stderr);
    assert!(ended.stderr.ends_with(REST), "{}", ended.stderr);
    let ended = folder.poll(&["submit", "-"], format!("{good}{good}")).await;
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), MANY));
    assert_eq!(ended.stderr.matches("it runs once").count(), 100, "{}", ended.stderr);
    assert!(ended.stderr.contains("and 5900 more notes; the first 100 are above\n"), "{}", ended.stderr);
}
