//! Every spec of `testdata/specs`: good specs are read, bad specs give errors that a person can act on.

use std::path::PathBuf;

use filter::Diagnostic;
use poller::{PollSpec, SpecError, SpecOptions};

pub(crate) fn corpus(kind: &str) -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testdata/specs").join(kind);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

/// Each problem with the text it points at.
fn shown(text: &str, diagnostics: &[Diagnostic]) -> String {
    let mut shown = format!("{}\n", text.trim_end());
    for diagnostic in diagnostics {
        let at = diagnostic.span().map_or("(nowhere)", |span| &text[span.start..span.end]);
        let line = at.lines().next().unwrap_or_default();
        shown.push_str(&format!("\n{diagnostic}\n    at: {line}\n"));
    }
    shown
}

#[test]
fn good_specs_are_read_and_their_canonical_form_is_the_same_spec() {
    for (name, text) in corpus("good") {
        let spec = PollSpec::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = serde_json::to_string(&spec).unwrap();
        assert!(!again.contains("r8_secret"), "{name} shows its secret: {again}");
        // A redacted secret cannot be read back, by design.
        if !again.contains("__redactedString") {
            let again: PollSpec =
                SpecOptions::new().parse(&again).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(again.differences(&spec), Vec::<String>::new(), "{name}");
            assert_eq!(again.digest(), spec.digest(), "{name}");
        }
    }
}

#[test]
fn a_spec_of_the_documentation_of_trigger_dev_keeps_its_meaning() {
    let (_, text) = corpus("good").into_iter().find(|(name, _)| name == "trigger-dev").unwrap();
    let spec = PollSpec::parse(&text).unwrap();
    let body = spec.response_filter().body.as_ref().unwrap();
    let accepts =
        |progress: u32| body.matches(&serde_json::json!({"status": "succeeded", "progress": progress}));
    assert!(accepts(50) && !accepts(200), "arrays of matchers are all-of, and [] is no constraint");
    let headers = spec.response_filter().headers.as_ref().unwrap();
    assert!(headers.matches(&serde_json::json!({"content-type": "application/json; charset=utf-8"})));
}

#[test]
fn header_names_in_references_ignore_case() {
    let text = r#"{"url": "https://a.test", "responseFilter": {"headers": {"X-Left": {"$eq": {"$ref": "/X-Limit"}}}}}"#;
    let headers = PollSpec::parse(text).unwrap().response_filter().headers.clone().unwrap();
    assert!(headers.matches(&serde_json::json!({"x-left": "5", "x-limit": "5"})));
    assert!(!headers.matches(&serde_json::json!({"x-left": "4", "x-limit": "5"})));
}

#[test]
fn bad_specs_give_errors_that_name_field_value_and_expectation() {
    for (name, text) in corpus("bad") {
        let error: SpecError = match PollSpec::parse(&text) {
            Ok(spec) => panic!("{name} was accepted: {spec:?}"),
            Err(error) => error,
        };
        let shown = shown(&text, error.diagnostics());
        assert!(!error.to_string().contains("hunter2"), "{name} shows a secret:\n{shown}");
        assert!(error.diagnostics().iter().all(|diagnostic| diagnostic.span().is_some()), "{name}:\n{shown}");
        insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(name.as_str(), shown);
        });
    }
}

#[test]
fn suspicious_specs_give_warnings() {
    let cases = [
        (
            r#"{"url": "https://example.com", "interval": 60, "timeout": 30}"#,
            "/interval",
            "not shorter than the timeout",
        ),
        (
            r#"{"url": "https://example.com", "failureFilter": {}}"#,
            "/failureFilter",
            "accepts every response",
        ),
        (
            r#"{"url": "https://example.com", "requestInit": {"body": "x"}}"#,
            "/requestInit/body",
            "GET or HEAD",
        ),
        (
            r#"{"url": "https://example.com", "responseFilter": {"body": {"n": [{"$gt": 20}, {"$lt": 40}]}}}"#,
            "/responseFilter/body/n",
            "",
        ),
    ];
    for (text, pointer, message) in cases {
        let spec = PollSpec::parse(text).unwrap();
        let [warning] = spec.warnings() else { panic!("{text}: {:?}", spec.warnings()) };
        assert_eq!(warning.pointer(), pointer, "{warning}");
        assert!(warning.message().contains(message), "{warning}");
    }
}

#[test]
fn equivalent_specs_are_equal() {
    let one = r##"{"url": "https://example.com/#part", "interval": 10, "responseFilter": {"header": {"A": ["b"]}, "body": {"n": [1]}}}"##;
    let two = r#"{"responseFilter": {"body": {"n": [1.0]}, "headers": {"a": ["b"]}}, "interval": 10.0, "url": "https://example.com/", "giveUp": true}"#;
    let (one, two) = (PollSpec::parse(one).unwrap(), PollSpec::parse(two).unwrap());
    assert_eq!(one.differences(&two), Vec::<String>::new());
    assert_eq!(one.digest(), two.digest());
}

#[test]
fn the_order_of_retry_rules_is_part_of_a_spec() {
    let rules = |first: &str, second: &str| {
        format!(
            r#"{{"url": "https://example.com", "retry": {{"{first}": {{"strategy": "backoff"}}, "{second}": {{"strategy": "backoff"}}}}}}"#
        )
    };
    let one = PollSpec::parse(&rules("5xx", "503")).unwrap();
    let two = PollSpec::parse(&rules("503", "5xx")).unwrap();
    assert_eq!(one.differences(&two), ["/retry"]);
    let again = PollSpec::parse(&serde_json::to_string(&one).unwrap()).unwrap();
    assert_eq!(again.differences(&one), Vec::<String>::new());
}
