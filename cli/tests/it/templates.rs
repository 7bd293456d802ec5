//! `{{NAME}}` in specs: what stands for it, and that a wrong reference prevents the first request.

use test_support::{Reply, Script, Server};

use crate::process::run;
use crate::store::Folder;

const TEMPLATE: &str = r#"{
  "cacheKey": "export-{{ID}}",
  "url": "{{BASE}}/jobs/{{ID}}",
  "interval": 0.1,
  "timeout": "{{TIMEOUT}}",
  "requestInit": {"headers": {"x-literal": "\\{{ID}}"}},
  "responseFilter": {"body": {"id": ["{{ID}}"]}}
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn variables_come_from_arguments_and_files() {
    let server = Server::start(Script::new().on("/jobs/42", [Reply::json(r#"{"id":"42"}"#)])).await;
    let folder = Folder::new();
    let base = server.url("");
    for (name, file) in [
        ("v.json", format!(r#"{{"BASE": "{base}", "TIMEOUT": 60, "ID": "from the file"}}"#)),
        ("v.env", format!("# of this machine\nBASE={base}\nTIMEOUT=60\n")),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, file).unwrap();
        let template =
            if name == "v.env" { TEMPLATE.replace("\"{{TIMEOUT}}\"", "60") } else { TEMPLATE.to_owned() };
        let arguments =
            ["run", "--unbounded", "--variables-file", path.to_str().unwrap(), "--variable", "ID=42", "-"];
        run(&arguments, template).await.expect(0, r#"{"id":"42"}"#);
    }
    assert_eq!(server.requests().len(), 2);
    assert_eq!(server.requests()[0].header("x-literal"), Some("{{ID}}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_name_is_an_error_with_its_place_in_every_command() {
    let folder = Folder::new();
    let spec = "{\"url\": \"http://127.0.0.1:1/\",\n \"cacheKey\": \"a {{NO}}\"}";
    for arguments in [&["run", "-"][..], &["submit", "--store", &folder.file(), "-"], &["check", "-"]] {
        let code = if arguments[0] == "check" { 1 } else { 2 };
        run(&[arguments, &["--variable", "ID=1"]].concat(), spec)
            .await
            .expect(code, "")
            .stderr_contains("no variable is called \"NO\"")
            .stderr_contains(" --> standard input:2:17")
            .stderr_contains("known are ID;");
    }
    assert!(!std::path::Path::new(&folder.file()).exists(), "nothing was stored");
    let ended = run(&["check", "-", "--variable", "NO=x"], spec).await.expect(0, "");
    assert!(!ended.stderr.contains("warning"), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_cannot_leave_its_string() {
    let spec = r#"{"url": "http://127.0.0.1:1/", "cacheKey": "{{A}}"}"#;
    let folder = Folder::new();
    let value = r#"A=x", "timeout": "9"#;
    folder.poll(&["submit", "--variable", value, "-"], spec).await.expect(0, "x\", \"timeout\": \"9\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_that_nothing_uses_and_files_that_cannot_be_read_are_told() {
    let folder = Folder::new();
    let spec = r#"{"url": "http://127.0.0.1:1/"}"#;
    folder
        .poll(&["submit", "--variable", "IDD=1", "-"], spec)
        .await
        .stderr_contains("warning: --variable IDD: no spec has {{IDD}}");
    let file = folder.path().join("v.env");
    std::fs::write(&file, "A=1\ns3cret without a name\n").unwrap();
    let ended = run(&["run", "--variables-file", file.to_str().unwrap(), "-"], spec)
        .await
        .expect(2, "")
        .stderr_contains("v.env:2:1")
        .stderr_contains("expected NAME=VALUE");
    assert!(!ended.stderr.contains("s3cret"), "{ended:#?}");
    run(&["run", "--variable", "A=1", "--variable", "A=2", "-"], spec)
        .await
        .expect(2, "")
        .stderr_contains("twice");
    run(&["run", "--variable", "A", "-"], spec).await.expect(2, "").stderr_contains("expected NAME=VALUE");
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_values_that_look_like_references_are_warnings() {
    let spec = |name: &str, value: &str| {
        format!(r#"{{"url": "http://127.0.0.1:1/", "requestInit": {{"headers": {{"{name}": "{value}"}}}}}}"#)
    };
    for (value, part) in [
        ("Bearer env:API_TOKEN", "env:API_TOKEN"),
        ("@/run/token", "@/run/token"),
        ("Bearer ${API_TOKEN}", "${API_TOKEN}"),
        ("$API_TOKEN", "$API_TOKEN"),
    ] {
        for name in ["authorization", "x-plain"] {
            run(&["check", "-"], spec(name, value))
                .await
                .expect(0, "")
                .stderr_contains(&format!("warning: {part:?} is sent as it stands"))
                .stderr_contains("{\"$secret\": ");
        }
    }
    run(&["check", "-"], r#"{"url": "https://a.example/jobs/$JOB_ID"}"#)
        .await
        .expect(0, "")
        .stderr_contains("warning: \"$JOB_ID\" is sent as it stands");
    let server = Server::start(Script::new().on("/job", [Reply::text("ok")])).await;
    run(&["wait", &server.url("/job"), "--header", "x-key: ${TOKEN}"], "")
        .await
        .expect(0, "ok")
        .stderr_contains("poll: warning: --header x-key: \"${TOKEN}\" is sent as it stands");
    // The backslash says that it is meant.
    let literal =
        run(&["wait", &server.url("/job"), "--header", r"x-key: \env:TOKEN"], "").await.expect(0, "ok");
    assert!(!literal.stderr.contains("warning"), "{literal:#?}");
}
