//! Who runs the polls of a file: at most one process at a time.
//!
//! The lock is an advisory lock of the operating system on a file beside the store, so it goes when its process does,
//! even by `kill -9`. The file stays; it holds the number of the process that has, or had, the lock. A lock inside the
//! database was rejected: it would have to be renewed, and would outlive a crash.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::super::StoreError;

/// Held for as long as it lives.
#[derive(Debug)]
pub(super) struct RunnerLock {
    _file: File,
}

impl RunnerLock {
    pub(super) fn take(store: &Path) -> Result<Self, StoreError> {
        let path = lock_path(store);
        let failed = |error: std::io::Error| {
            StoreError::with_source(
                format!("cannot lock {} to run its polls: {error}", store.display()),
                error,
            )
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only for the message: on a system whose locks forbid reading, it goes without.
                let _ = file.read_to_string(&mut holder);
                let holder = match holder.trim() {
                    "" => "another process".to_owned(),
                    number => format!("process {number}"),
                };
                return Err(StoreError::new(format!(
                    "{} is run by {holder}; one process at a time runs the polls of a file: end that one first",
                    store.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn lock_path(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push("-runner");
    PathBuf::from(name)
}
