//! Commands with `--server`: the same output and the same exit codes as with the file that the service runs.

use serde_json::Value;
use test_support::{Gate, Reply, Script, Server};

use crate::process::{ProcessOutput, command, finish, run};
use crate::serve::Served;
use crate::store::{Folder, spec};

/// `poll COMMAND --server URL ARGUMENTS`.
async fn remote(served: &Served, arguments: &[&str], input: &str) -> ProcessOutput {
    let url = format!("http://{}", served.address);
    let mut all = vec![arguments[0], "--server", &url];
    all.extend(&arguments[1..]);
    run(&all, input).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_used_like_its_file() {
    let gate = Gate::new();
    let server =
        Server::start(Script::from(Reply::json("{ \"status\": \"SUCCESS\", \"n\": 1.50 }").held_by(&gate)))
            .await;
    let folder = Folder::new();
    let served = Served::start(&folder, &[]).await;
    let specs = format!("{}\n{}", spec("a", &server.url("/job")), spec("b/c", &server.url("/job")));
    remote(&served, &["submit", "--unbounded", "-"], &specs)
        .await
        .expect(0, "a\nb/c\n")
        .stderr_contains("2 polls stored; another process runs ");
    remote(&served, &["submit", "--unbounded", "-"], &specs)
        .await
        .expect(0, "a\nb/c\n")
        .stderr_contains("2 polls open already");
    let other = spec("a", &server.url("/other"));
    remote(&served, &["submit", "--unbounded", "-"], &other)
        .await
        .expect(2, "")
        .stderr_contains("they differ in /url");

    for arguments in [
        &["list", "--json"][..],
        &["list", "--json", "--state", "open", "--limit", "1"],
        &["list", "--json", "--prefix", "b"],
    ] {
        let by_file = folder.poll(arguments, "").await;
        remote(&served, arguments, "").await.expect(0, &by_file.stdout);
    }
    remote(&served, &["cancel", "b/c", "none"], "")
        .await
        .expect(2, "")
        .stderr_contains("there is no poll none in http://");
    remote(&served, &["forget", "a"], "")
        .await
        .expect(2, "")
        .stderr_contains("a is open, and only finished polls are forgotten");
    remote(&served, &["cancel", "b/c"], "").await.expect(0, "b/c: cancelled\n");
    remote(&served, &["cancel", "b/c"], "").await.expect(0, "b/c: cancelled already\n");
    gate.open();
    assert_eq!(served.call("GET", "/v1/polls/a/outcome?wait=25", "").await.0, 200);
    for key in ["a", "b/c"] {
        let mut by_file: Value =
            serde_json::from_str(&folder.poll(&["show", key, "--json"], "").await.stdout).unwrap();
        let shown = remote(&served, &["show", key, "--json"], "").await;
        // A service does not say which process it is.
        by_file.as_object_mut().unwrap().remove("runner");
        assert_eq!(serde_json::from_str::<Value>(&shown.stdout).unwrap(), by_file);
    }
    let shown = remote(&served, &["show", "a", "--json"], "").await;
    assert!(shown.stdout.contains(r#"{ "status": "SUCCESS", "n": 1.50 }"#), "to the byte: {shown:?}");
    remote(&served, &["cancel", "a"], "").await.expect(1, "a: matched already\n");
    remote(&served, &["forget", "a", "b/c"], "").await.expect(0, "a: forgotten\nb/c: forgotten\n");
    remote(&served, &["show", "a"], "").await.expect(2, "");
    remote(&served, &["list"], "")
        .await
        .expect(0, "")
        .stderr_contains("0 polls; another process runs http://");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_named_and_unlocked_by_the_environment() {
    let folder = Folder::new();
    // printf %s foo | sha256sum
    let keys = "[[key]]\nname = 'a'\nsha256 = '2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae'\nscope = 's'\nrights = ['read']\n";
    let path = folder.path().join("keys.toml");
    std::fs::write(&path, keys).unwrap();
    let served = Served::start(&folder, &["--keys", path.to_str().unwrap()]).await;
    let url = format!("http://{}/", served.address);
    let call = async |key: Option<&str>, arguments: &[&str]| {
        let mut command = command(arguments);
        command.env("POLL_SERVER", &url).env_remove("POLL_KEY");
        if let Some(key) = key {
            command.env("POLL_KEY", key);
        }
        finish(command.spawn().unwrap(), spec("x", "https://1.1.1.1/")).await
    };
    call(None, &["list"]).await.expect(2, "").stderr_contains("wants a key: set POLL_KEY");
    call(Some("bar"), &["list"]).await.expect(2, "").stderr_contains("wants a key");
    call(Some("foo"), &["list"]).await.expect(0, "");
    let refused = call(Some("foo"), &["submit", "--unbounded", "--scope", "s", "-"]).await;
    refused.expect(2, "").stderr_contains("lacks the right create");
    call(Some("foo"), &["backup", "copy.db"]).await.expect(2, "").stderr_contains("is a service");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_there_is_an_error() {
    let port = test_support::ClosedPort::new();
    let list = run(&["list", "--server", &port.url("")], "").await;
    list.expect(2, "").stderr_contains("is `poll serve` running there?");
    let server = Server::start(Script::from(Reply::text("hello"))).await;
    let list = run(&["list", "--server", &server.url("")], "").await;
    list.expect(2, "").stderr_contains("what is not understood");
}
