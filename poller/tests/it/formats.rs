//! Files of earlier formats, from `testdata/stores`: opening one brings it up to date.

use std::path::Path;
use std::sync::Arc;

use poller::store::{Store as _, StoreAdmin as _, StoredPoll};
use poller::{PollKey, PollSpec, SealKey, SqliteStore, Timestamp};
use serde_json::json;

use crate::files::file;

/// A copy that only its owner may write, whatever the umask of the checkout was.
fn copy_private(fixture: &str, file: &Path) {
    std::fs::copy(fixture, file).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[tokio::test]
async fn a_file_of_format_1_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/stores/format-1.db");
    copy_private(fixture, &file(&folder));
    let seal_key = SealKey::parse(&"ab".repeat(32)).unwrap();
    let store = SqliteStore::open_sealed(file(&folder), Some(seal_key)).unwrap();
    let named = |name: &str| PollKey::new("", name);

    let matched = store.get(named("matched")).await.unwrap().unwrap().outcome.unwrap();
    assert_eq!(matched.response().unwrap().body(), "{\"status\": \"SUCCESS\",\n \"n\": 1.0}");
    assert_eq!((matched.attempts, matched.history.len()), (3, 3));
    let ending = store.summary(named("matched")).await.unwrap().unwrap().ended.unwrap();
    assert_eq!((&*ending.outcome, ending.attempts, ending.at), ("matched", 3, matched.ended_at));

    assert_eq!(store.begin_run().await.unwrap(), 6);
    let open = store.load_open().await.unwrap();
    let found: Vec<_> = open.polls.iter().map(|poll| (poll.key.key(), poll.restarts)).collect();
    // Format 1 counted a restart when a poll was loaded.
    assert_eq!(found, [("open", 3), ("alike", 1), ("sealed", 1), ("cancelling", 1)]);
    assert_eq!(open.polls[0].spec.url_text(), "https://api.example.com/v1/exports/42?full=%22yes%22");
    assert_eq!(open.polls[0].spec.retry().len(), 3);
    assert_eq!(open.polls[1].spec.differences(&open.polls[0].spec), ["/url"]);
    assert_eq!(open.polls[2].spec.request().headers.len(), 1, "its secret can be opened");
    assert_eq!(store.changes().await.unwrap().cancelling, [named("cancelling")]);
    let unreadable: Vec<_> = open.unreadable.iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(unreadable, ["unreadable", "run-17/no JSON"]);
    drop(store);
    // Numbers are not used again, though the polls that had them are gone.
    let raw = rusqlite::Connection::open(file(&folder)).unwrap();
    let number: i64 =
        raw.query_row("SELECT seq FROM sqlite_sequence WHERE name = 'polls'", [], |row| row.get(0)).unwrap();
    assert_eq!(number, 40);
    let unused: i64 = raw
        .query_row(
            "SELECT count(*) FROM specs WHERE polls != (SELECT count(*) FROM polls WHERE spec = specs.id)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(unused, 0, "uses of specs are counted");
}

/// The files of formats in which seals were bound to nothing.
#[tokio::test]
async fn secrets_of_earlier_formats_are_sealed_anew_when_the_key_is_there() {
    for format in 1..=4 {
        let folder = tempfile::tempdir().unwrap();
        let fixture = format!("{}/../testdata/stores/format-{format}.db", env!("CARGO_MANIFEST_DIR"));
        copy_private(&fixture, &file(&folder));
        let raw = rusqlite::Connection::open(file(&folder)).unwrap();
        let counts = || -> (i64, i64, i64) {
            raw.query_row(
                "SELECT (SELECT count(*) FROM specs WHERE instr(text, '\"$sealed\":\"v1.')), (SELECT count(*) FROM seals), \
                 (SELECT unbound FROM runs)",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap()
        };
        let sealed = PollKey::new("", "sealed");
        // Without the key the file is converted, and its secrets stay as they are.
        let without = SqliteStore::open(file(&folder)).unwrap();
        let error = without.get(sealed.clone()).await.unwrap_err().to_string();
        assert!(error.contains("sealed with the key"), "{error}");
        assert!(without.summary(sealed.clone()).await.unwrap().unwrap().problem.is_none());
        drop(without);
        assert_eq!(counts(), (1, 0, 1), "format {format}");
        let store =
            SqliteStore::open_sealed(file(&folder), Some(SealKey::parse(&"ab".repeat(32)).unwrap())).unwrap();
        assert_eq!(counts(), (0, 1, 0), "format {format}");
        assert_eq!(store.get(sealed).await.unwrap().unwrap().spec.request().headers.len(), 1);
        let problems = store.verify().await.unwrap();
        assert!(
            problems.iter().all(|problem| !problem.contains("seal") && !problem.contains("count of polls")),
            "{problems:?}"
        );
    }
}

#[tokio::test]
async fn a_file_of_format_4_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    copy_private(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/stores/format-4.db"), &file(&folder));
    let seal_key = SealKey::parse(&"ab".repeat(32)).unwrap();
    let store = SqliteStore::open_sealed(file(&folder), Some(seal_key)).unwrap();
    assert_eq!(store.begin_run().await.unwrap(), 5);
    let open = store.load_open().await.unwrap();
    let mut found: Vec<_> = open.polls.iter().map(|poll| (poll.key.key(), poll.restarts)).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [("alike", 1), ("cancelling", 0), ("followed", 1), ("open", 1), ("sealed", 0)],
        "{:?}",
        open.unreadable
    );
    let followed = store.get(PollKey::new("", "followed")).await.unwrap().unwrap().followed;
    assert_eq!(followed.as_deref(), Some("http://127.0.0.1:18999/operations/7"));
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_of_format_5_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/stores/format-5.db");
    copy_private(fixture, &file(&folder));
    let seal_key = SealKey::parse(&"ab".repeat(32)).unwrap();
    let store = SqliteStore::open_sealed(file(&folder), Some(seal_key)).unwrap();
    let named = |name: &str| PollKey::new("", name);
    let polls = store.list().await.unwrap();
    assert_eq!(polls.len(), 6);
    assert!(polls.iter().all(|poll| poll.first_after.is_zero()), "their grids begin where they did");
    let follows = store.get(named("follows")).await.unwrap().unwrap();
    assert!(follows.followed.unwrap().ends_with("/op/1"));
    assert_eq!(store.get(named("matched")).await.unwrap().unwrap().outcome.unwrap().name(), "matched");
    assert_eq!(store.begin_run().await.unwrap(), 5);
    assert_eq!(store.load_open().await.unwrap().polls.len(), 5);
    assert_eq!(store.changes().await.unwrap().cancelling, [named("cancelling")]);
}

#[tokio::test]
async fn a_file_of_format_6_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/stores/format-6.db");
    copy_private(fixture, &file(&folder));
    let seal_key = SealKey::parse(&"ab".repeat(32)).unwrap();
    let store = SqliteStore::open_sealed(file(&folder), Some(seal_key)).unwrap();
    let named = |name: &str| PollKey::new("", name);
    assert_eq!(store.list().await.unwrap().len(), 3);
    let open = store.get(named("open")).await.unwrap().unwrap();
    assert_eq!(open.first_after.as_micros(), 1_491_934);
    let cancelled = store.get(named("cancelled")).await.unwrap().unwrap().outcome.unwrap();
    assert_eq!(cancelled.name(), "cancelled");
    assert!(store.get(named("sealed")).await.unwrap().is_some(), "its seal opens");
    // Specs of that format have no webhooks; those that are stored from now on do.
    let outbox = store.outbox().unwrap();
    store.finish(named("open"), Arc::clone(&cancelled)).await.unwrap();
    assert!(outbox.delivery(named("open")).await.unwrap().is_none());
    let hook = r#"{"url":"https://example.com/a","onOutcome":{"url":"https://a.test/","secret":{"$secret":"env:HOOK"}}}"#;
    store.create(StoredPoll::new(named("new"), hook.parse().unwrap(), Timestamp::default())).await.unwrap();
    store.finish(named("new"), cancelled).await.unwrap();
    assert_eq!(&*outbox.delivery(named("new")).await.unwrap().unwrap().receiver, "https://a.test");
    let key = store.callback_key().await.unwrap().unwrap();
    assert_eq!(store.callback_key().await.unwrap(), Some(key), "it stays");
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_of_format_3_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/stores/format-3.db");
    copy_private(fixture, &file(&folder));
    let seal_key = SealKey::parse(&"ab".repeat(32)).unwrap();
    let store = SqliteStore::open_sealed(file(&folder), Some(seal_key)).unwrap();
    let open = PollKey::new("", "open");
    assert_eq!(store.get(open.clone()).await.unwrap().unwrap().followed, None);
    store.follow(open.clone(), "https://a.test/1".into()).await.unwrap();
    assert_eq!(store.get(open).await.unwrap().unwrap().followed.as_deref(), Some("https://a.test/1"));
}

/// Builds before 202 was excluded wrote any 2xx for a spec without a `responseFilter`.
#[tokio::test(start_paused = true)]
async fn a_spec_without_a_filter_joins_the_poll_that_an_old_build_stored() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/stores/format-1.db");
    copy_private(fixture, &file(&folder));
    let seal_key = SealKey::parse(&"ab".repeat(32)).unwrap();
    let store = SqliteStore::open_sealed(file(&folder), Some(seal_key)).unwrap();
    let key = PollKey::new("", "open");
    let stored = store.get(key.clone()).await.unwrap().unwrap().spec;
    let retry = json!({
        "503": {"strategy": "backoff", "limit": 3},
        "5xx": {"strategy": "headers", "resetHeader": "x-reset"},
        "429": {"strategy": "headers", "resetHeader": "x-reset"},
    });
    let same = |also: serde_json::Value| {
        let mut spec = json!({
            "url": "https://api.example.com/v1/exports/42?full=%22yes%22", "interval": 12.5, "timeout": 3600,
            "requestInit": {
                "method": "POST", "body": {"base64": "AAEC/w=="}, "headers": {"x-key": {"$secret": "env:KEY"}},
            },
            "retry": retry,
        });
        spec.as_object_mut().unwrap().extend(also.as_object().unwrap().clone());
        let spec: PollSpec = spec.to_string().parse().unwrap();
        let mut differences = spec.differences(&stored);
        differences.retain(|pointer| pointer.starts_with("/responseFilter"));
        differences
    };
    assert!(same(json!({})).is_empty(), "it is the same filter: none");
    assert!(!same(json!({"responseFilter": {}})).is_empty(), "any 2xx, with 202, is another");
}

#[tokio::test]
async fn a_file_of_format_2_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/stores/format-2.db");
    copy_private(fixture, &file(&folder));
    let seal_key = SealKey::parse(&"ab".repeat(32)).unwrap();
    let store = SqliteStore::open_sealed(file(&folder), Some(seal_key)).unwrap();
    let named = |name: &str| PollKey::new("", name);
    let matched = store.get(named("matched")).await.unwrap().unwrap().outcome.unwrap();
    assert_eq!(matched.response().unwrap().body(), "{\"status\": \"SUCCESS\",\n \"n\": 1.0}");
    let sealed = store.get(named("sealed")).await.unwrap().unwrap();
    assert_eq!(sealed.spec.request().headers.len(), 1, "its secret can be opened");
    assert_eq!(store.begin_run().await.unwrap(), 3);
    let open = store.load_open().await.unwrap();
    let found: Vec<_> = open.polls.iter().map(|poll| (poll.key.key(), poll.restarts)).collect();
    assert_eq!(found, [("open", 1), ("alike", 1), ("cancelling", 1)]);
    assert_eq!(store.changes().await.unwrap().cancelling, [named("cancelling")]);
}
