//! Files that are longer than a piece: what is said of them is the same, and their length does not change the memory.

use std::fmt::Write as _;

#[cfg(target_os = "linux")]
use tokio::process::Child;

use crate::many::{lines, specs};
use crate::process::{ProcessOutput, command, run};

/// A text in a file of its own.
struct File {
    path: String,
    _folder: tempfile::TempDir,
}

impl File {
    fn new(text: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.json");
        std::fs::write(&path, text).unwrap();
        Self { path: path.to_str().unwrap().to_owned(), _folder: folder }
    }
}

/// More specs than a piece has.
const MANY: usize = 9000;

async fn check(arguments: &[&str], text: impl AsRef<[u8]>) -> ProcessOutput {
    assert!(text.as_ref().len() > 1 << 20);
    let file = File::new(&text);
    let ended = run(&[&["check"], arguments, &[&*file.path]].concat(), "").await;
    let piped = run(&[&["check"], arguments, &["-"]].concat(), &text).await;
    assert_eq!(ended.code, piped.code);
    assert_eq!(ended.stderr.replace(&file.path, "standard input"), piped.stderr);
    piped
}

#[tokio::test(flavor = "multi_thread")]
async fn check_names_the_lines_of_a_long_file() {
    let specs = specs(MANY);
    check(&[], &specs).await.expect(0, "").stderr_contains("checked 9000 specs: no errors");
    let wrong = format!(
        "{specs}{{\"cacheKey\":\"x\",\"url\":\"http://127.0.0.1:1/\",\"interval\":1}}\n[1]\n{{\n\"$or\":[]}}"
    );
    let ended = check(&[], &wrong).await.expect(1, "");
    for part in ["standard input:9001:56", "standard input:9004:7", "2 filters and 9001 specs: 2 errors"] {
        assert!(ended.stderr.contains(part), "{part}: {ended:#?}");
    }
    let ended = check(&["--json"], &wrong).await;
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&report["specs"], &report["problems"][0]["line"]), (&9001.into(), &9001.into()));
    // --as holds in every piece.
    check(&["--as", "filter"], &specs).await.stderr_contains("checked 9000 filters");
    // What is not JSON ends the reading.
    let ended = check(&[], format!("{specs}{{\"url\" 1}}\n{specs}")).await;
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("standard input:9001:8"), "{ended:#?}");
    let ended = check(&[], [specs.as_bytes(), b"\xff\n"].concat()).await;
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("standard input:9001: not UTF-8"), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_reads_one_long_document_and_an_array() {
    let names = (0..40_000).fold(String::new(), |mut names, number| {
        let _ = write!(names, "{}\n\"n{number}\"", if number == 0 { "" } else { "," });
        names
    });
    // Each is on many lines, and longer than a piece.
    let filter = |condition: &str| format!("{{\n\"status\": [{names}],\n\"b\": {condition}\n}}\n");
    let filters = [&*filter("1"), &filter("1"), &filter(r#"{"$startWith": "c"}"#)].concat();
    check(&[], &filters).await.expect(1, "").stderr_contains("standard input:120011:7");
    let array = format!("[{}]", specs(MANY).trim().replace('\n', ",\n"));
    check(&[], &array)
        .await
        .expect(1, "")
        .stderr_contains("found an array of 9000 elements, expected a spec");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_compares_all_rules_of_a_long_file() {
    let long = "x".repeat(2000);
    let rules = (0..1000).fold(String::new(), |mut rules, number| {
        let _ = writeln!(rules, r#"{{"id":{number},"filter":{{"a":["{long}{}"]}}}}"#, number % 999);
        rules
    });
    // Lines of spaces come before, more than a piece of them.
    for text in [rules.clone(), format!("{}{rules}", " \n".repeat(1 << 20))] {
        let ended = check(&[], &text).await.expect(0, "");
        assert!(ended.stderr.contains("checked 1000 rules: 1 warning"), "{ended:#?}");
    }
    check(&["--as", "rules"], &rules).await.expect(0, "").stderr_contains("1000 rules: 1 warning");
    check(&[], " \n".repeat(1 << 20)).await.expect(1, "").stderr_contains("empty; expected");
}

/// The most memory that a process has had so far, in KiB.
#[cfg(target_os = "linux")]
fn peak(process: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn check_takes_the_memory_of_a_piece() {
    let peak = async |count: usize| {
        let file = File::new(format!("{}{{\"url\":\"http://127.0.0.1:1/\",\"last\":1}}\n", specs(count)));
        // After the file, the process waits for its standard input.
        let mut process = command(&["check", &file.path, "-"]).spawn().unwrap();
        let mut errors = lines(process.stderr.take().unwrap());
        while !errors.recv().await.unwrap().contains("\"last\"") {}
        let peak = peak(&process);
        drop(process.stdin.take());
        assert_eq!(process.wait().await.unwrap().code(), Some(1));
        peak
    };
    let (few, many) = (peak(MANY).await, peak(4 * MANY).await);
    assert!(many < few + few / 4, "{few} KiB, {many} KiB for four times as many");
}

/// Rules of two exact fields.
fn rules(count: usize) -> String {
    (0..count).fold(String::new(), |mut rules, number| {
        let _ =
            writeln!(rules, r#"{{"id":"r{number}","filter":{{"a":["s{}"],"b":[{number}]}}}}"#, number % 100);
        rules
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn route_reads_a_long_file_of_rules() {
    let events = "{\"a\":\"s99\",\"b\":29999}\n";
    let text = rules(30_000);
    assert!(text.len() > 1 << 20);
    let route = async |rules: &[u8]| {
        let file = File::new(rules);
        run(&["route", "-r", &file.path, "-"], events).await
    };
    route(format!("\u{feff}{text}").as_bytes()).await.expect(0, "[\"r29999\"]\n");
    // The two are in different chunks.
    let ended = route(format!("{text}{{\"id\":\"r7\",\"filter\":{{}}}}\n{{\"id\":1}}\n").as_bytes()).await;
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    for part in [
        "r7\" is given twice, on line 8 and on line 30001",
        "all.json:30001:7",
        "all.json:30002:1",
        "2 errors",
    ] {
        assert!(ended.stderr.contains(part), "{part}: {ended:#?}");
    }
    let warned = text.replace(r#""id":"r29999","filter":{"#, r#""id":"r29999","filter":{"c":{"gt":5},"#);
    let ended = route(warned.as_bytes()).await;
    assert!(ended.stderr.contains("all.json:30000:"), "{ended:#?}");
    let ended = route(&[text.as_bytes(), b"\xff\n"].concat()).await;
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    let place = format!("all.json:30001: not UTF-8 at byte {} of the file", text.len());
    assert!(ended.stderr.contains(&place), "{ended:#?}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn route_takes_less_than_twice_the_memory_of_its_rules() {
    let sizes = async |count: usize| {
        let file = File::new(rules(count));
        // After the rules, the process waits for events.
        let mut process = command(&["route", "--stats", "-r", &file.path, "-"]).spawn().unwrap();
        let mut messages = lines(process.stderr.take().unwrap());
        let bytes = loop {
            let line = messages.recv().await.unwrap();
            if let Some(rest) = line.strip_prefix("bytes ") {
                break rest.split_whitespace().next().unwrap().parse::<u64>().unwrap();
            }
        };
        let peak = peak(&process) * 1024;
        drop(process.stdin.take());
        assert_eq!(process.wait().await.unwrap().code(), Some(1));
        (bytes, peak)
    };
    let (few, many) = (sizes(20_000).await, sizes(100_000).await);
    let (stats, peak) = (many.0 - few.0, many.1 - few.1);
    assert!(peak < 2 * stats, "{stats} bytes by the statistics, and {peak} in memory");
}
