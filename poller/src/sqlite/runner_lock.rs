//! The lock of the runner: at most one process at a time runs the polls of a file.
//!
//! It is an advisory lock of the operating system on a file beside the store, so it ends with its process, even by
//! `kill -9`. The lock file stays and holds the id of the process that has, or had, the lock. A lock inside the database was
//! rejected: it would need renewal and would outlive a crash. A store that is opened through a symbolic link uses the lock
//! of the link's target, as it uses the target's log.
//!
//! A process finds out whether the lock is held only by taking a shared lock for a moment, because the id in the file may be
//! that of a dead process. A process that wants to run the file may meet such a moment and therefore tries again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::{Runner, StoreError};

/// The lock, held until it is dropped.
#[derive(Debug)]
pub(super) struct LockFile {
    _file: File,
}

/// The result of trying to lock.
#[derive(Debug)]
pub(super) enum LockResult {
    Acquired(LockFile),
    HeldBy(Runner),
}

impl LockFile {
    fn take(store: &Path, lock: &Path) -> Result<LockResult, StoreError> {
        let failed = |error: io::Error| {
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
            .open(lock)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(LockResult::HeldBy(holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(LockResult::Acquired(Self { _file: file }))
    }

    /// The process that holds the lock now.
    fn find(store: &Path, lock: &Path) -> Result<Option<Runner>, StoreError> {
        let failed = |error: io::Error| {
            StoreError::with_source(format!("cannot find out who runs {}: {error}", store.display()), error)
        };
        let mut file = match File::open(lock) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(holder(&mut file))),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

/// The lock of one store, and whether this process holds it.
#[derive(Debug)]
pub(super) struct RunnerLock {
    store: PathBuf,
    lock: PathBuf,
    ours: Mutex<Option<LockFile>>,
}

impl RunnerLock {
    /// The file of the store must exist.
    pub(super) fn new(store: PathBuf) -> Self {
        let lock = lock_path(&store);
        Self { store, lock, ours: Mutex::new(None) }
    }

    /// The file of the store.
    pub(super) fn path(&self) -> &Path {
        &self.store
    }

    pub(super) fn is_ours(&self) -> bool {
        self.ours().is_some()
    }

    /// The process that runs the file.
    pub(super) fn runner(&self) -> Result<Option<Runner>, StoreError> {
        if self.is_ours() {
            return Ok(Some(Runner::this_process()));
        }
        LockFile::find(&self.store, &self.lock)
    }

    /// Takes the lock until the result is dropped.
    pub(super) fn lock(&self) -> Result<LockResult, StoreError> {
        LockFile::take(&self.store, &self.lock)
    }

    /// Takes the lock until the store is dropped. Returns the other process if one holds it.
    pub(super) fn take(&self) -> Result<Option<Runner>, StoreError> {
        let mut ours = self.ours();
        if ours.is_none() {
            match self.lock()? {
                LockResult::Acquired(lock) => *ours = Some(lock),
                LockResult::HeldBy(runner) => return Ok(Some(runner)),
            }
        }
        Ok(None)
    }

    fn ours(&self) -> MutexGuard<'_, Option<LockFile>> {
        // The option is set in one step, so a panic leaves no half-done change.
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For messages only: some systems forbid reading a locked file.
fn holder(file: &mut File) -> Runner {
    let mut text = String::new();
    let process = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
    Runner { process }
}

fn lock_path(store: &Path) -> PathBuf {
    let file = store.canonicalize().unwrap_or_else(|_| store.to_owned());
    let mut name = file.into_os_string();
    name.push("-runner");
    PathBuf::from(name)
}
