//! Files of a store that are moved, removed, replaced or copied while they are in use.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use poller::store::{Store as _, StoreAdmin as _, StoreError};
use poller::{Clock as _, SqliteStore, SystemClock};
use tempfile::TempDir;

use crate::stores::{key, load, outcome, poll};

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("polls.db")
}

fn log(file: &Path) -> PathBuf {
    file.with_extension("db-wal")
}

fn lock(file: &Path) -> PathBuf {
    file.with_extension("db-runner")
}

fn refused(path: &Path) -> String {
    SqliteStore::open(path).unwrap_err().to_string()
}

fn assert_unusable<T: std::fmt::Debug>(result: Result<T, StoreError>, parts: &[&str]) {
    let error = result.unwrap_err();
    assert!(error.is_unusable(), "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "expected {part:?} in {error}");
    }
}

async fn keys(store: &SqliteStore) -> Vec<String> {
    store.list().await.unwrap().iter().map(|poll| poll.key.key().to_owned()).collect()
}

#[tokio::test]
async fn nothing_is_acknowledged_in_a_file_that_was_moved() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let store = SqliteStore::open(&path).unwrap();
    store.begin_run().await.unwrap();
    load(&store).await;
    store.create(poll("before", 1)).await.unwrap();
    let ended = outcome(b"done").await;

    let elsewhere = folder.path().join("elsewhere.db");
    fs::rename(&path, &elsewhere).unwrap();
    let moved = ["polls.db was moved or removed while it was in use", "Move the file back"];
    assert_unusable(store.create(poll("after", 1)).await, &moved);
    assert_unusable(store.finish(key("before"), Arc::clone(&ended)).await, &moved);
    assert_unusable(store.changes().await, &moved);
    for created in store.create_all(vec![poll("x", 1), poll("y", 1)]).await {
        assert_unusable(created, &moved);
    }
    // Another file under the name: a backup that was put there, for example.
    fs::write(&path, b"").unwrap();
    assert_unusable(store.changes().await, &["polls.db is another file than the one that was opened"]);
    fs::remove_file(&path).unwrap();
    drop_and_wait(store).await;

    // The log was left where it is, so moving the file back restores everything.
    assert!(refused(&path).contains("its log, "), "{}", refused(&path));
    assert!(refused(&elsewhere).contains("polls.db") || refused(&elsewhere).contains("was copied or moved"));
    fs::rename(&elsewhere, &path).unwrap();
    assert!(keys(&SqliteStore::open(&path).unwrap()).await.contains(&"before".to_owned()));
}

async fn drop_and_wait(store: SqliteStore) {
    let closed = store.closed();
    drop(store);
    closed.await;
}

#[tokio::test]
async fn nothing_is_stored_without_the_index_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let (runner, beside) = (SqliteStore::open(&path).unwrap(), SqliteStore::open(&path).unwrap());
    runner.begin_run().await.unwrap();
    beside.create(poll("before", 1)).await.unwrap();
    fs::remove_file(path.with_extension("db-shm")).unwrap();
    for error in [refused(&path), SqliteStore::open_for_reading(&path, None).unwrap_err().to_string()] {
        assert!(error.contains("polls.db-shm was moved or removed while process "), "{error}");
    }
    assert!(!path.with_extension("db-shm").exists(), "a refusal makes no new one");
    let lost = ["polls.db-shm was moved or removed while", "start again"];
    assert_unusable(beside.create(poll("beside", 1)).await, &lost);
    assert_unusable(runner.changes().await, &lost);
    assert_unusable(runner.finish(key("before"), outcome(b"done").await).await, &lost);
    drop_and_wait(beside).await;
    drop_and_wait(runner).await;
    assert_eq!(keys(&SqliteStore::open(&path).unwrap()).await, ["before"]);
}

#[tokio::test]
async fn an_emptied_file_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let store = SqliteStore::open(&path).unwrap();
    store.begin_run().await.unwrap();
    fs::write(&path, b"").unwrap();
    assert_unusable(store.changes().await, &["polls.db was emptied while it was in use", "Restore a backup"]);
    assert_unusable(store.create(poll("a", 1)).await, &["was emptied"]);
    drop_and_wait(store).await;
    assert_eq!(fs::metadata(&path).unwrap().len(), 0, "nothing is written over it");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_is_made_through_a_link_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (link, target) = (folder.path().join("link.db"), folder.path().join("target.db"));
    std::os::unix::fs::symlink("target.db", &link).unwrap();
    let store = SqliteStore::open(&link).unwrap();
    store.create(poll("a", 1)).await.unwrap();
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
    drop_and_wait(store).await;
    assert_eq!(keys(&SqliteStore::open(&target).unwrap()).await, ["a"]);
}

#[tokio::test]
async fn a_removed_log_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(file(&folder)).unwrap();
    store.begin_run().await.unwrap();
    fs::remove_file(log(&file(&folder))).unwrap();
    let removed = ["polls.db-wal was moved or removed while ", "the last changes were in it"];
    assert_unusable(store.create(poll("a", 1)).await, &removed);
    assert_unusable(store.changes().await, &removed);
    drop_and_wait(store).await;
    // The next process does not take the file for a complete one.
    assert!(refused(&file(&folder)).contains("its log was removed"), "{}", refused(&file(&folder)));
}

#[tokio::test]
async fn no_store_is_created_beside_a_held_lock_or_a_log_without_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let runner = SqliteStore::open(&path).unwrap();
    runner.begin_run().await.unwrap();
    let elsewhere = folder.path().join("elsewhere.db");
    fs::rename(&path, &elsewhere).unwrap();
    let process = format!("was moved or removed while process {} runs its polls", std::process::id());
    assert!(refused(&path).contains(&process), "{}", refused(&path));
    drop_and_wait(runner).await;
    for empty in [false, true] {
        if empty {
            fs::write(&path, b"").unwrap();
        }
        assert!(refused(&path).contains("is missing or empty, but its log, "), "{}", refused(&path));
        assert!(fs::metadata(log(&path)).unwrap().len() > 0, "the log is kept");
    }
    // A lock file without a holder is no obstacle.
    fs::remove_file(log(&path)).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(lock(&path).exists());
    drop(SqliteStore::open(&path).unwrap());
}

#[tokio::test]
async fn a_file_that_needs_its_log_is_not_opened_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let copy_of = |files: &[PathBuf]| {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            fs::copy(file, folder.path().join(file.file_name().unwrap())).unwrap();
        }
        folder
    };
    for is_runner in [true, false] {
        let store = SqliteStore::open(&path).unwrap();
        if is_runner {
            store.begin_run().await.unwrap();
        }
        store.create(poll(if is_runner { "run" } else { "submitted" }, 1)).await.unwrap();
        let without = copy_of(std::slice::from_ref(&path));
        let message = refused(&file(&without));
        assert!(message.contains("polls.db was copied or moved while it was in use"), "{message}");
        assert!(
            !log(&file(&without)).exists(),
            "the refusal leaves no log that the next process would believe"
        );
        assert_eq!(refused(&file(&without)), message, "again");
        assert!(SqliteStore::open_for_reading(file(&without), None).is_err());
        // With its log the copy is complete, as after a crash.
        let with = copy_of(&[path.clone(), log(&path)]);
        let copied = SqliteStore::open(file(&with)).unwrap();
        assert_eq!(keys(&copied).await, keys(&store).await);
        // A closed file needs none.
        drop_and_wait(copied).await;
        assert!(!log(&file(&with)).exists());
        drop(SqliteStore::open(file(&with)).unwrap());
        // The way out that the message names.
        rusqlite::Connection::open(file(&without))
            .unwrap()
            .execute("UPDATE runs SET needs_log = 0", [])
            .unwrap();
        drop(SqliteStore::open(file(&without)).unwrap());
        drop_and_wait(store).await;
        drop(SqliteStore::open(file(&copy_of(std::slice::from_ref(&path)))).unwrap());
    }
}

// The second runner waits until the first has noticed; the virtual clock passes that time.
#[tokio::test(start_paused = true)]
async fn a_runner_whose_lock_file_was_removed_stores_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let clock = SystemClock::new();
    let first = SqliteStore::open(&path).unwrap();
    let look = first.changes_every().unwrap();
    first.begin_run().await.unwrap();
    load(&first).await;
    first.create(poll("a", 1)).await.unwrap();
    fs::remove_file(lock(&path)).unwrap();
    assert_unusable(first.changes().await, &["polls.db-runner, was removed", "could run the polls of "]);

    let second = SqliteStore::open(&path).unwrap();
    let before = clock.now();
    second.begin_run().await.unwrap();
    assert!(clock.now().since(before) >= 2 * look, "the first looks meanwhile");
    let fenced = ["another process has begun to run the polls of "];
    assert_unusable(first.finish(key("a"), outcome(b"first").await).await, &fenced);
    assert_unusable(first.create(poll("b", 1)).await, &fenced);
    let ended = outcome(b"second").await;
    assert_eq!(second.finish(key("a"), Arc::clone(&ended)).await.unwrap(), ended);
    assert_eq!(keys(&second).await, ["a"]);
    // A third waits for the second's lock as always, and a restart after a proper end does not wait.
    let third = SqliteStore::open(&path).unwrap();
    assert!(third.begin_run().await.unwrap_err().to_string().contains("is run by process "));
    drop(first);
    drop_and_wait(second).await;
    let before = clock.now();
    third.begin_run().await.unwrap();
    assert!(clock.now().since(before) < look, "nobody can be alive");
}

#[cfg(unix)]
#[tokio::test]
async fn lock_files_of_others_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let precious = folder.path().join("authorized_keys");
    fs::write(&precious, "ssh-ed25519 AAAA me\n").unwrap();
    let store = SqliteStore::open(&path).unwrap();
    std::os::unix::fs::symlink(&precious, lock(&path)).unwrap();
    let error = store.begin_run().await.unwrap_err().to_string();
    assert!(error.contains("polls.db-runner is not a regular file"), "{error}");
    fs::remove_file(lock(&path)).unwrap();
    fs::hard_link(&precious, lock(&path)).unwrap();
    let error = store.begin_run().await.unwrap_err().to_string();
    assert!(error.contains("polls.db-runner is not a lock file of a store"), "{error}");
    assert_eq!(fs::read_to_string(&precious).unwrap(), "ssh-ed25519 AAAA me\n");
    fs::remove_file(lock(&path)).unwrap();
    store.begin_run().await.unwrap();
}

/// Another user who may only read the lock file can lock what he has open.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_reader_of_the_lock_file_does_not_block_the_runner() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("polls.db");
    let lock = path.with_extension("db-runner");
    let store = SqliteStore::open(&path).unwrap();
    store.begin_run().await.unwrap();
    drop(store);
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o644)).unwrap();
    let reader = fs::File::open(&lock).unwrap();
    reader.lock().unwrap();
    // The lock that a runner takes, as far as a reader can take it.
    let for_reading =
        nix::libc::flock { l_type: nix::libc::F_RDLCK as i16, l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 };
    nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_OFD_SETLK(&for_reading)).unwrap();

    let store = SqliteStore::open(&path).unwrap();
    assert!(store.runner().await.unwrap().is_none(), "a reader is no runner");
    store.begin_run().await.unwrap();
    assert_eq!(fs::metadata(&lock).unwrap().permissions().mode() & 0o777, 0o600);
    let other = SqliteStore::open(&path).unwrap();
    assert_eq!(other.runner().await.unwrap().unwrap().process, Some(std::process::id()));
    assert!(other.begin_run().await.unwrap_err().to_string().contains("is run by process"));
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let store = SqliteStore::open(&path).unwrap();
    store.begin_run().await.unwrap();
    store.create(poll("a", 1)).await.unwrap();
    let mut seen = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
        seen += 1;
    }
    assert_eq!(seen, 4, "file, log, index and lock");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_others_may_write_is_not_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let store = SqliteStore::open(&path).unwrap();
    for mode in [0o660, 0o602, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = store.begin_run().await.unwrap_err().to_string();
        let expected = format!("may be written by other users (mode {mode:04o})");
        assert!(error.contains(&expected) && error.contains("chmod go-w "), "{error}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    store.begin_run().await.unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_listed_as_far_as_it_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let create = async |name: &str| {
        let path = folder.path().join(name);
        let store = SqliteStore::open(&path).unwrap();
        store.create(poll("a", 1)).await.unwrap();
        store.create(poll("b", 1)).await.unwrap();
        drop_and_wait(store).await;
        path
    };
    let damaged = async |name: &str, sql: &str| {
        let path = create(name).await;
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let store = SqliteStore::open(&path).unwrap();
        let all = store.summaries().await.unwrap();
        (store, all.into_iter().map(|poll| (poll.key.key().to_owned(), poll.problem)).collect::<Vec<_>>())
    };
    let problem = |found: &Option<String>, part: &str| {
        assert!(found.as_ref().is_some_and(|found| found.contains(part)), "expected {part:?} in {found:?}");
    };
    let utf8 =
        "PRAGMA ignore_check_constraints = on; UPDATE polls SET key = CAST(X'61ff' AS TEXT) WHERE key = 'a'";
    let (_, all) = damaged("name.db", utf8).await;
    assert_eq!((&*all[0].0, &*all[1].0), ("a\u{fffd}", "b"));
    problem(&all[0].1, "the name is not UTF-8");
    assert_eq!(all[1].1, None);

    let (store, all) = damaged("runs.db", "DELETE FROM runs").await;
    assert_eq!(all.len(), 2);
    problem(&all[0].1, "restarts are not known");
    // A runner mends it.
    store.begin_run().await.unwrap();
    assert_eq!(load(&store).await.len(), 2);
    assert!(store.summaries().await.unwrap().iter().all(|poll| poll.problem.is_none()));

    for (name, table, part) in
        [("specs.db", "specs", "the spec is missing"), ("runs2.db", "runs", "restarts are not known")]
    {
        let (store, all) = damaged(name, &format!("DROP TABLE {table}")).await;
        assert_eq!(all.len(), 2, "{table}");
        problem(&all[0].1, part);
        let error = store.begin_run().await.unwrap_err();
        assert!(
            error.is_unusable() && error.to_string().contains(&format!("no such table: {table}")),
            "{error}"
        );
    }
}
