//! Stores whose file is damaged, truncated, or copied during a write: the errors, and that no acknowledged poll is lost.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use poller::PollKey;
use poller::store::{Creation, Store as _, StoreAdmin as _, StoreError, StoredPoll};
use poller::{PollSpec, SqliteStore, Timestamp};
use tempfile::TempDir;

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("polls.db")
}

fn poll(number: usize) -> StoredPoll {
    let spec = PollSpec::parse(r#"{"url": "https://example.com/job"}"#).unwrap();
    let created = Timestamp::from_micros(1_000_000);
    StoredPoll::new(PollKey::new("", format!("poll-{number:05}")), spec, created)
}

/// A file with many polls, closed, so that all of them are in it and nothing is beside it.
async fn filled(folder: &TempDir) -> PathBuf {
    let file = file(folder);
    let store = SqliteStore::open(&file).unwrap();
    let results = store.create_all((0..2000).map(poll).collect()).await;
    assert!(results.iter().all(|result| matches!(result, Ok(Creation::Created))));
    drop(store);
    // The store's connections are closed one after the other, and the last takes the log that is beside the file.
    while folder.path().join("polls.db-wal").exists() {
        std::thread::yield_now();
    }
    file
}

/// What a run of the file comes to: everything is read.
async fn run(file: &Path) -> Result<usize, StoreError> {
    let store = SqliteStore::open(file)?;
    store.begin_run().await?;
    let mut polls = 0;
    loop {
        let open = store.load_open().await?;
        polls += open.polls.len() + open.unreadable.len();
        if open.last {
            return Ok(polls);
        }
    }
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_the_reason_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let whole = filled(&folder).await;
    assert_eq!(run(&whole).await.unwrap(), 2000);
    let length = std::fs::metadata(&whole).unwrap().len();
    let damaged = |name: &str| {
        let copy = folder.path().join(name);
        std::fs::copy(&whole, &copy).unwrap();
        (std::fs::File::options().write(true).open(&copy).unwrap(), copy)
    };

    let (header, path) = damaged("header");
    header.write_all_at(&[0xff; 16], 0).unwrap();
    let error = run(&path).await.unwrap_err().to_string();
    assert!(error.contains("header: the file is not an SQLite file; name another file"), "{error}");

    let (pages, path) = damaged("pages");
    for page in 1..length / 4096 {
        pages.write_all_at(&[0xff; 64], page * 4096).unwrap();
    }
    let error = run(&path).await.unwrap_err().to_string();
    assert!(error.contains("pages: the file is damaged; restore it from a backup"), "{error}");

    let (short, path) = damaged("short");
    short.set_len(length / 2 / 4096 * 4096).unwrap();
    let error = run(&path).await.unwrap_err().to_string();
    assert!(error.contains("short: the file is damaged; restore it from a backup"), "{error}");
}

#[tokio::test]
async fn damage_inside_rows_ends_those_polls_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(&folder).await;
    // One byte of a URL and one of a key, where SQLite does not look; what pages have left behind is damaged as well.
    let bytes = std::fs::read(&path).unwrap();
    let raw = std::fs::File::options().write(true).open(&path).unwrap();
    for (row, offset) in
        [(&b"poll-00007https://example.com/job"[..], 10), (b"poll-00009https://example.com/job", 0)]
    {
        for (position, _) in bytes.windows(row.len()).enumerate().filter(|(_, window)| *window == row) {
            raw.write_all_at(&[0xff], position as u64 + offset).unwrap();
        }
    }
    drop(raw);
    let store = SqliteStore::open(&path).unwrap();
    store.begin_run().await.unwrap();
    let open = store.load_open().await.unwrap();
    assert_eq!(open.polls.len(), 1998);
    let unreadable: Vec<_> =
        open.unreadable.iter().map(|(key, outcome)| (key.key(), outcome.explanation().unwrap())).collect();
    let [("poll-00007", url), ("\u{fffd}oll-00009", name)] = &unreadable[..] else {
        panic!("{unreadable:?}")
    };
    assert!(url.contains("the spec of the poll poll-00007 cannot be read"), "{url}");
    assert!(name.contains("the name of the poll") && name.contains("is not UTF-8"), "{name}");
    assert_eq!(store.count_open().await.unwrap(), 1998, "they have ended, by the numbers of their rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_files_at_any_moment_has_all_that_was_acknowledged_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(file(&folder)).unwrap();
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let writing = {
        let (store, acknowledged) = (store.clone(), Arc::clone(&acknowledged));
        tokio::spawn(async move {
            // Enough for the log to be written back into the file several times.
            for batch in 0..150 {
                let polls: Vec<_> = (batch * 100..(batch + 1) * 100).map(poll).collect();
                let keys: Vec<_> = polls.iter().map(|poll| poll.key.clone()).collect();
                for result in store.create_all(polls).await {
                    assert!(matches!(result.unwrap(), Creation::Created));
                }
                acknowledged.lock().unwrap().extend(keys);
            }
        })
    };
    let mut copies = 0;
    while !writing.is_finished() {
        let before = acknowledged.lock().unwrap().clone();
        let copy = tempfile::tempdir().unwrap();
        {
            // Copying two files takes time. An open read transaction prevents a restart of the log between the two copies;
            // other writes continue.
            let holder = rusqlite::Connection::open(file(&folder)).unwrap();
            holder.execute_batch("BEGIN; SELECT count(*) FROM runs").unwrap();
            std::fs::copy(file(&folder), file(&copy)).unwrap();
            std::fs::copy(folder.path().join("polls.db-wal"), copy.path().join("polls.db-wal")).unwrap();
        }
        let polls = SqliteStore::open(file(&copy)).unwrap().summaries().await.unwrap();
        let kept: BTreeSet<_> = polls.into_iter().map(|poll| poll.key).collect();
        assert!(before.is_subset(&kept), "{} of {} are lost", before.difference(&kept).count(), before.len());
        copies += 1;
    }
    writing.await.unwrap();
    assert!(copies > 1, "only {copies} copies were made");
}
