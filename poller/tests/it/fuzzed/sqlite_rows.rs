//! Crafted rows: whatever is in the columns of a store file, its readers return, and one bad row stops no other.
//!
//! The input is cut into values at each byte 0xff; they replace columns of a poll, its spec, its seal, its outcome and its
//! attempts. A second poll beside it must always be there.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use poller::store::{Store as _, StoreAdmin as _, StoredPoll};
use poller::{PollKey, SealKey, SqliteStore, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, params};

fn value(bytes: &[u8]) -> Value {
    match bytes.split_first() {
        Some((b'i', rest)) => Value::Integer(
            rest.iter().fold(0_i64, |number, byte| number.wrapping_mul(256).wrapping_add(i64::from(*byte))),
        ),
        Some((b'b', rest)) => Value::Blob(rest.to_vec()),
        Some((b'n', _)) | None => Value::Null,
        Some((b't', rest)) => Value::Text(String::from_utf8_lossy(rest).into_owned()),
        Some(_) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// Holds for any input.
pub(crate) fn check(data: &[u8]) {
    let memory = PathBuf::from("/dev/shm");
    let memory = if memory.is_dir() { memory } else { std::env::temp_dir() };
    // A folder that was never there: a store of the last input may still be closing, which removes its log by its path.
    static FOLDERS: AtomicUsize = AtomicUsize::new(0);
    let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
    let folder = memory.join(format!("poll-fuzz-rows-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let path = folder.join("polls.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it starts");
    let key = SealKey::parse(&"5a".repeat(32)).expect("it is a key");
    let (crafted, good) = (PollKey::new("", "crafted"), PollKey::new("", "good"));
    runtime.block_on(async {
        let store = SqliteStore::open_sealed(&path, Some(key.clone())).expect("the store opens");
        for (name, header) in [(&crafted, "authorization"), (&good, "x-plain")] {
            let spec = format!(
                r#"{{"url":"https://a.test/1","requestInit":{{"headers":{{"{header}":"hunter2"}}}}}}"#
            );
            let spec = spec.parse().expect("it is a spec");
            store
                .create(StoredPoll::new(name.clone(), spec, Timestamp::from_micros(1)))
                .await
                .expect("stored");
        }
        drop(store);
    });
    let raw = Connection::open(&path).expect("it is a file of SQLite");
    // What STRICT tables and constraints refuse is not in a file that SQLite has written.
    let mut applied = 0;
    for (number, bytes) in data.split(|byte| *byte == 0xff).take(8).enumerate() {
        let (column, rest) = match bytes.split_first() {
            Some((first, rest)) => (usize::from(*first) % 14, rest),
            None => (number, bytes),
        };
        let new = value(rest);
        let changed = match column {
            0 => raw.execute("UPDATE specs SET text = ?1 WHERE id = 1", params![new]),
            1 => raw.execute("UPDATE polls SET url = ?1 WHERE key = 'crafted'", params![new]),
            2 => raw.execute("UPDATE polls SET scope = ?1 WHERE key = 'crafted'", params![new]),
            3 => raw.execute("UPDATE polls SET spec = ?1 WHERE key = 'crafted'", params![new]),
            4 => raw.execute("UPDATE polls SET created_at = ?1 WHERE key = 'crafted'", params![new]),
            5 => raw.execute("UPDATE polls SET run = ?1 WHERE key = 'crafted'", params![new]),
            6 => raw.execute("UPDATE polls SET restarts = ?1 WHERE key = 'crafted'", params![new]),
            7 => raw.execute("UPDATE polls SET cancelling = ?1 WHERE key = 'crafted'", params![new]),
            8 => raw.execute("UPDATE seals SET sealed = ?1 WHERE poll = 1", params![new]),
            9 => raw.execute("INSERT OR REPLACE INTO attempts (poll, history) VALUES (1, ?1)", params![new]),
            10 => raw.execute("INSERT OR REPLACE INTO followed (poll, url) VALUES (1, ?1)", params![new]),
            11 => raw.execute("INSERT OR REPLACE INTO outcomes (poll, outcome) VALUES (1, ?1)", params![new]),
            12 => raw.execute(
                "UPDATE polls SET ended_at = ?1, ending = 'matched', requests = ?1 WHERE key = 'crafted'",
                params![new],
            ),
            _ => raw.execute("UPDATE polls SET ending = ?1 WHERE key = 'crafted'", params![new]),
        };
        applied += changed.unwrap_or(0);
    }
    drop(raw);
    if applied == 0 {
        let _ = std::fs::remove_dir_all(&folder);
        return;
    }
    runtime.block_on(async {
        let store = SqliteStore::open_sealed(&path, Some(key)).expect("a file with crafted rows opens");
        let summaries = store.summaries().await.expect("a list is printed");
        assert!(summaries.iter().any(|summary| summary.key == good), "{summaries:?}");
        let _ = store.status(Timestamp::from_micros(2)).await.expect("a status is printed");
        let _ = store.get(crafted.clone()).await;
        let _ = store.show(crafted.clone()).await;
        let _ = store.verify().await.expect("a file with crafted rows is checked");
        store.reseal().await.expect("the other seals are made anew");
        store.begin_run().await.expect("a file with crafted rows is run");
        let open = store.load_open().await.expect("its open polls are loaded");
        assert!(open.polls.iter().any(|poll| poll.key == good), "{open:?}");
        for poll in &open.polls {
            // As the engine and the commands do.
            let _ = (poll.deadline(), poll.spec.url(), poll.spec.to_value(), format!("{poll:?}"));
        }
        let _ = store.changes().await.expect("changes are found");
    });
    let _ = std::fs::remove_dir_all(&folder);
}
