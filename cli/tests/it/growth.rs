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
