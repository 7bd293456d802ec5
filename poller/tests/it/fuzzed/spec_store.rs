//! Text as a spec: what is read is stored, read back the same, and shows no secret.
//!
//! A spec that was accepted must survive its store, whatever is in it: it was acknowledged. The store is a file in memory.

use std::cell::RefCell;
use std::path::PathBuf;

use poller::store::{Creation, Store as _, StoredPoll};
use poller::{Limits, PollKey, PollSpec, SealKey, SpecOptions, SqliteStore, Timestamp};

/// How many polls one file gets.
const FULL: u32 = 2000;

struct File {
    runtime: tokio::runtime::Runtime,
    folder: PathBuf,
    store: SqliteStore,
    polls: u32,
}

impl File {
    fn new() -> Self {
        let memory = PathBuf::from("/dev/shm");
        let memory = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = memory.join(format!("poll-fuzz-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        let key = SealKey::parse(&"5a".repeat(32)).expect("it is a key");
        let store = SqliteStore::open_sealed(folder.join("polls.db"), Some(key)).expect("the store opens");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it starts");
        Self { runtime, folder, store, polls: 0 }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

thread_local! {
    static FILE: RefCell<Option<File>> = const { RefCell::new(None) };
}

/// Holds for any input.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let spec = match SpecOptions::new().limits(Limits::unbounded()).parse(text) {
        Ok(spec) => spec,
        Err(error) => {
            assert!(!error.diagnostics().is_empty());
            for diagnostic in error.diagnostics() {
                assert!(
                    diagnostic.span().is_none_or(|span| text.get(span.start..span.end).is_some()),
                    "{diagnostic}"
                );
            }
            return;
        }
    };
    assert!(spec.differences(&spec).is_empty());
    // The canonical form, secrets aside, is a spec again, and the same one.
    let value = spec.to_value();
    let shown = value.to_string();
    let secrets = shown.contains("__redactedString");
    if !secrets {
        let again = SpecOptions::new()
            .limits(Limits::unbounded())
            .parse(&shown)
            .expect("the canonical form is a spec");
        assert_eq!(again.differences(&spec), Vec::<String>::new(), "{shown}");
        assert_eq!(again.digest(), spec.digest());
    }
    for rule in spec.secret_rules() {
        let parsed: poller::secret::SecretRule =
            rule.to_string().parse().expect("a rule is written as it is read");
        assert_eq!(parsed, rule);
    }
    FILE.with_borrow_mut(|slot| {
        if slot.as_ref().is_some_and(|file| file.polls >= FULL) {
            *slot = None;
        }
        let file = slot.get_or_insert_with(File::new);
        file.polls += 1;
        let key = PollKey::new("fuzz", format!("{}", file.polls));
        let poll = StoredPoll::new(key.clone(), spec.clone(), Timestamp::from_micros(1));
        let read: PollSpec = file.runtime.block_on(async {
            let created = file.store.create(poll).await.expect("what was accepted can be stored");
            assert!(matches!(created, Creation::Created));
            let read = file.store.get(key).await.expect("what was stored can be read").expect("it is there");
            read.spec
        });
        assert_eq!(read.url_text(), spec.url_text());
        assert_eq!(read.differences(&spec), Vec::<String>::new(), "stored: {shown}");
    });
}
