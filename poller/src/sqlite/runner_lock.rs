//! Who runs the polls of a file: at most one process at a time.
//!
//! The lock is an advisory lock of the operating system on a file beside the store, so it goes when its process does,
//! even by `kill -9`. The file stays; it holds the number of the process that has, or had, the lock. A lock inside the
//! database was rejected: it would have to be renewed, and would outlive a crash. A store that is reached by a link has the
//! lock of the file that the link leads to, as it has that file's log.
//!
//! Whether somebody has the lock can only be found out by taking a shared one for a moment, since the number in the file
//! may be that of a dead process. Whoever wants to run the file may meet such a moment, and therefore tries again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::{Runner, StoreError};

/// Held for as long as it lives.
#[derive(Debug)]
pub(super) struct LockFile {
    _file: File,
}

/// What came of a wish for the lock.
#[derive(Debug)]
pub(super) enum Taken {
    Ours(LockFile),
    Theirs(Runner),
}

impl LockFile {
    fn take(store: &Path, lock: &Path) -> Result<Taken, StoreError> {
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
            Err(TryLockError::WouldBlock) => return Ok(Taken::Theirs(holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Taken::Ours(Self { _file: file }))
    }

    /// Who has the lock of this store now.
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

/// The place of the one who runs a file, and whether this process has it.
#[derive(Debug)]
pub(super) struct RunnerLock {
    store: PathBuf,
    lock: PathBuf,
    ours: Mutex<Option<LockFile>>,
}

impl RunnerLock {
    /// The file is there.
    pub(super) fn new(store: PathBuf) -> Self {
        let lock = lock_path(&store);
        Self { store, lock, ours: Mutex::new(None) }
    }

    /// The file whose polls are run.
    pub(super) fn path(&self) -> &Path {
        &self.store
    }

    pub(super) fn is_ours(&self) -> bool {
        self.ours().is_some()
    }

    /// Whether anybody runs the file; nobody, where that cannot be found out.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self.runner(), Ok(Some(_)))
    }

    /// Who runs the file.
    pub(super) fn runner(&self) -> Result<Option<Runner>, StoreError> {
        if self.is_ours() {
            return Ok(Some(Runner { process: Some(std::process::id()) }));
        }
        LockFile::find(&self.store, &self.lock)
    }

    /// Takes the lock for as long as what is returned is held.
    pub(super) fn lock(&self) -> Result<Taken, StoreError> {
        LockFile::take(&self.store, &self.lock)
    }

    /// Takes it for as long as this process lives, unless somebody else has it, who is returned then.
    pub(super) fn take(&self) -> Result<Option<Runner>, StoreError> {
        let mut ours = self.ours();
        if ours.is_none() {
            match self.lock()? {
                Taken::Ours(lock) => *ours = Some(lock),
                Taken::Theirs(runner) => return Ok(Some(runner)),
            }
        }
        Ok(None)
    }

    fn ours(&self) -> MutexGuard<'_, Option<LockFile>> {
        // It is set once, as a whole.
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Only for messages: on a system whose locks forbid reading, it goes without.
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
