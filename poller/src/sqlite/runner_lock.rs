//! The lock of the runner: at most one process at a time runs the polls of a file.
//!
//! It is an advisory lock of the operating system on a file beside the store, so it ends with its process, even by
//! `kill -9`. The lock file stays and holds the id of the process that has, or had, the lock. A lock inside the database was
//! rejected: it would need renewal and would outlive a crash. A store that is opened through a symbolic link uses the lock
//! of the link's target, as it uses the target's log.
//!
//! The lock is one for writing, of the open file (`F_OFD_SETLK` on Linux). A process finds out whether it is held by asking,
//! because the id in the file may be that of a dead process. Who may only read the lock file cannot take such a lock; if he
//! takes one for reading, the lock file is replaced. flock(2), which serves elsewhere, makes no such difference: there a reader
//! can keep the runner out, and asking takes the lock for a moment, so a process that wants to run the file tries again.
//!
//! A lock file can be removed from under its holder, and a second process would then lock a new one. So a process compares
//! what it has locked with what the path names, after it has locked and at each [look](RunnerLock::check). The run also
//! has a number in the file of the store, which the next runner increments: what an earlier runner would store is refused.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::identity::{FileId, beside};
use crate::lock::lock;
use crate::store::{Runner, RunsUntil, StoreError};

/// More than the id of a process and a line break take.
const LONGEST_ID: u64 = 64;

/// Runs are counted from 1.
const NO_RUN: i64 = 0;

/// How often a lock file may be replaced while it is opened and locked.
const REPLACED: usize = 100;

/// The lock, held until it is dropped.
#[derive(Debug)]
pub(super) struct LockFile {
    file: File,
    id: FileId,
}

impl Drop for LockFile {
    /// Unlocks, which closing alone does not: a process that is being started has a copy of the descriptor until its program
    /// is loaded.
    fn drop(&mut self) {
        // Without the copies, closing the file unlocks it as well.
        let _ = os_lock::release(&self.file);
    }
}

/// The lock, or the process that holds it.
type LockResult = Result<Arc<LockFile>, Runner>;

impl LockFile {
    fn take(store: &Path, lock: &Path, until: RunsUntil) -> Result<LockResult, StoreError> {
        let failed = |error: io::Error| {
            StoreError::with_source(
                format!("cannot lock {} to run its polls: {error}", store.display()),
                error,
            )
        };
        for _ in 0..REPLACED {
            let mut file = open(store, lock).map_err(failed)?;
            match os_lock::take(&file).map_err(failed)? {
                os_lock::Taken::Ours => {}
                os_lock::Taken::HeldByWriter => return Ok(Err(holder(&mut file))),
                os_lock::Taken::HeldByReader => {
                    // No runner holds it, and none can take it. The reader keeps the old one.
                    std::fs::remove_file(lock).map_err(failed)?;
                    continue;
                }
            }
            let id = FileId::of(&file.metadata().map_err(failed)?);
            if FileId::at(lock).map_err(failed)? != Some(id) {
                // Removed between opening and locking: another process may lock a new one.
                continue;
            }
            let mut text = Vec::new();
            (&mut file).take(LONGEST_ID).read_to_end(&mut text).map_err(failed)?;
            if !parse(&text).is_some_and(|runner| text.is_empty() || runner.process.is_some()) {
                return Err(StoreError::new(format!(
                    "{} is not a lock file of a store: something else is in it; move it away to run {}",
                    lock.display(),
                    store.display()
                )));
            }
            file.set_len(0).map_err(failed)?;
            file.rewind().map_err(failed)?;
            writeln!(file, "{}{}", std::process::id(), word(until)).map_err(failed)?;
            return Ok(Ok(Arc::new(Self { file, id })));
        }
        Err(StoreError::new(format!("{} is removed again and again; see what does so", lock.display())))
    }

    /// The process that holds the lock now.
    pub(super) fn find(store: &Path, lock: &Path) -> Result<Option<Runner>, StoreError> {
        let failed = |error: io::Error| {
            StoreError::with_source(format!("cannot find out who runs {}: {error}", store.display()), error)
        };
        let mut file = match open_as(lock, OpenOptions::new().read(true)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let is_held = os_lock::is_held(&file).map_err(failed)?;
        Ok(is_held.then(|| holder(&mut file)))
    }
}

/// The lock of one store, and whether this process holds it.
#[derive(Debug, Default)]
pub(super) struct RunnerLock {
    store: PathBuf,
    lock: PathBuf,
    ours: Mutex<Option<Arc<LockFile>>>,
    /// The lock for single changes; concurrent ones share it.
    passing: Mutex<Weak<LockFile>>,
    /// The number of this process's run, once it has begun one.
    run: AtomicI64,
    /// When this process ends, for other processes to read.
    until: Mutex<RunsUntil>,
}

impl RunnerLock {
    /// The file of the store must exist.
    pub(super) fn new(store: PathBuf) -> Self {
        let lock = beside(&store, LOCK);
        Self { store, lock, run: AtomicI64::new(NO_RUN), ..Self::default() }
    }

    /// The file of the store.
    pub(super) fn path(&self) -> &Path {
        &self.store
    }

    pub(super) fn is_ours(&self) -> bool {
        lock(&self.ours).is_some()
    }

    /// The process that runs the file.
    pub(super) fn runner(&self) -> Result<Option<Runner>, StoreError> {
        if self.is_ours() {
            return Ok(Some(Runner::this_process(self.until())));
        }
        LockFile::find(&self.store, &self.lock)
    }

    /// Takes the lock until the result is dropped, unless a process runs the file; this one counts too.
    pub(super) fn lock_unrun(&self) -> Result<Option<Arc<LockFile>>, StoreError> {
        if self.is_ours() {
            return Ok(None);
        }
        Ok(self.lock()?.ok())
    }

    /// Takes the lock until the result is dropped. Concurrent callers share it.
    fn lock(&self) -> Result<LockResult, StoreError> {
        let mut passing = lock(&self.passing);
        if let Some(lock) = passing.upgrade() {
            return Ok(Ok(lock));
        }
        let result = LockFile::take(&self.store, &self.lock, self.until())?;
        if let Ok(lock) = &result {
            *passing = Arc::downgrade(lock);
        }
        Ok(result)
    }

    /// Takes the lock until the store is dropped. Returns the other process if one holds it.
    pub(super) fn take(&self) -> Result<Option<Runner>, StoreError> {
        let mut ours = lock(&self.ours);
        if ours.is_none() {
            match self.lock()? {
                Ok(lock) => *ours = Some(lock),
                Err(runner) => return Ok(Some(runner)),
            }
        }
        Ok(None)
    }

    /// The identity of the lock file, if the lock is ours.
    pub(super) fn id(&self) -> Option<FileId> {
        lock(&self.ours).as_ref().map(|lock| lock.id)
    }

    /// Sets when this process ends, before it takes the lock.
    pub(super) fn runs_until(&self, until: RunsUntil) {
        *lock(&self.until) = until;
    }

    fn until(&self) -> RunsUntil {
        *lock(&self.until)
    }

    /// Sets the number of the run that this process has begun.
    pub(super) fn begun(&self, run: i64) {
        self.run.store(run, Ordering::Release);
    }

    /// Fails if another process may run the file although the lock is ours: the lock file was removed, or the run that the
    /// file names is another one.
    pub(super) fn check(&self, run: Option<i64>) -> Result<(), StoreError> {
        let Some(id) = self.id() else { return Ok(()) };
        let ours = self.run.load(Ordering::Acquire);
        if ours != NO_RUN && run.is_some_and(|run| run != ours) {
            return Err(StoreError::unusable(format!(
                "another process has begun to run the polls of {}, so this one stores nothing more: its lock file, {}, was \
                 removed",
                self.store.display(),
                self.lock.display()
            )));
        }
        match FileId::at(&self.lock) {
            Ok(Some(now)) if now == id => Ok(()),
            // Whether it can be read is no question of who has the lock.
            Err(_) => Ok(()),
            Ok(_) => Err(StoreError::unusable(format!(
                "the lock file of the runner, {}, was removed: another process could run the polls of {} as well, so this one \
                 stops. Leave the file where it is; start again",
                self.lock.display(),
                self.store.display()
            ))),
        }
    }
}

/// For messages only: some systems forbid reading a locked file.
fn holder(file: &mut File) -> Runner {
    let mut text = Vec::new();
    let read = file.take(LONGEST_ID).read_to_end(&mut text).ok();
    read.and_then(|_| parse(&text)).unwrap_or(Runner { process: None, until: RunsUntil::Unknown })
}

/// What is in a lock file: `4711`, or `4711 stopped`. `None` if it is something else.
fn parse(text: &[u8]) -> Option<Runner> {
    let mut words = std::str::from_utf8(text).ok()?.split_ascii_whitespace();
    let process = words.next().map(str::parse).transpose().ok()?;
    let until = match words.next() {
        None => RunsUntil::Unknown,
        Some(said) => UNTIL.into_iter().find_map(|(until, word)| (word == said).then_some(until))?,
    };
    words.next().is_none().then_some(Runner { process, until })
}

/// The word of a lock file for each answer.
const UNTIL: [(RunsUntil, &str); 3] =
    [(RunsUntil::Stopped, "stopped"), (RunsUntil::NoneOpen, "none-open"), (RunsUntil::OwnEnded, "own-ended")];

fn word(until: RunsUntil) -> String {
    UNTIL
        .into_iter()
        .find(|(known, _)| *known == until)
        .map_or_else(String::new, |(_, word)| format!(" {word}"))
}

/// What the name of the lock file adds to that of the store.
pub(super) const LOCK: &str = "-runner";

/// Opens or creates a lock file, for its owner only, and takes rights away that others have to it.
fn open(store: &Path, lock: &Path) -> io::Result<File> {
    let file = open_as(lock, OpenOptions::new().read(true).write(true).create(true).truncate(false))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let metadata = file.metadata()?;
        let owner = metadata.uid();
        let is_ours = owner == rustix::process::geteuid().as_raw()
            || std::fs::metadata(store).is_ok_and(|store| store.uid() == owner);
        if !is_ours {
            return Err(io::Error::other(format!(
                "{} belongs to another user, who could hold it for ever; remove it",
                lock.display()
            )));
        }
        // Who may write to it could hold it. A chmod that fails leaves that possible, and harms nothing.
        if metadata.permissions().mode() & 0o077 != 0 {
            let _ = file.set_permissions(std::fs::Permissions::from_mode(super::identity::OWNER_ONLY));
        }
    }
    #[cfg(not(unix))]
    let _ = store;
    Ok(file)
}

/// Opens a lock file. A symbolic link is not followed: another user of the folder could make it lead to a file that must not be
/// written. A pipe does not make this wait.
fn open_as(lock: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let irregular = || io::Error::other(format!("{} is not a regular file", lock.display()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;

        use rustix::fs::OFlags;

        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        options.mode(super::identity::OWNER_ONLY).custom_flags(flags.bits().cast_signed());
    }
    let opened = options.open(lock);
    match opened {
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        Ok(_) => Err(irregular()),
        // What the system says of a link that is not followed differs.
        Err(_) if std::fs::symlink_metadata(lock).is_ok_and(|metadata| !metadata.is_file()) => {
            Err(irregular())
        }
        Err(error) => Err(error),
    }
}

/// Locks of open files.
#[cfg(target_os = "linux")]
mod os_lock {
    use std::fs::File;
    use std::io;

    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum Taken {
        Ours,
        HeldByWriter,
        HeldByReader,
    }

    /// A lock of this kind on the whole file.
    fn whole(kind: libc::c_int) -> libc::flock {
        libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        }
    }

    pub(super) fn take(file: &File) -> io::Result<Taken> {
        match fcntl(file, FcntlArg::F_OFD_SETLK(&whole(libc::F_WRLCK))) {
            Ok(_) => Ok(Taken::Ours),
            Err(Errno::EAGAIN | Errno::EACCES) => {
                Ok(if is_held(file)? { Taken::HeldByWriter } else { Taken::HeldByReader })
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn release(file: &File) -> io::Result<()> {
        Ok(fcntl(file, FcntlArg::F_OFD_SETLK(&whole(libc::F_UNLCK))).map(drop)?)
    }

    /// Whether another open file holds the lock for writing. Takes none.
    pub(super) fn is_held(file: &File) -> io::Result<bool> {
        // A lock for reading is in conflict with one for writing only.
        let mut found = whole(libc::F_RDLCK);
        fcntl(file, FcntlArg::F_OFD_GETLK(&mut found))?;
        Ok(libc::c_int::from(found.l_type) != libc::F_UNLCK)
    }
}

/// Locks of open files, by flock(2) or what the system has.
#[cfg(not(target_os = "linux"))]
mod os_lock {
    use std::fs::{File, TryLockError};
    use std::io;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum Taken {
        Ours,
        HeldByWriter,
        #[expect(dead_code, reason = "readers and writers cannot be told apart")]
        HeldByReader,
    }

    pub(super) fn take(file: &File) -> io::Result<Taken> {
        match file.try_lock() {
            Ok(()) => Ok(Taken::Ours),
            Err(TryLockError::WouldBlock) => Ok(Taken::HeldByWriter),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn release(file: &File) -> io::Result<()> {
        file.unlock()
    }

    /// Whether it is held. Takes it for a moment.
    pub(super) fn is_held(file: &File) -> io::Result<bool> {
        match file.try_lock_shared() {
            Ok(()) => file.unlock().map(|()| false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that is being started has copies of all descriptors, which it closes later.
    #[test]
    fn a_copy_of_its_descriptor_does_not_keep_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (store, lock) = (folder.path().join("p.db"), folder.path().join("p.db-runner"));
        let held = LockFile::take(&store, &lock, RunsUntil::Unknown).unwrap().expect("nobody else locks it");
        let copy = held.file.try_clone().unwrap();
        assert_eq!(LockFile::find(&store, &lock).unwrap(), Some(Runner::this_process(RunsUntil::Unknown)));
        drop(held);
        assert_eq!(LockFile::find(&store, &lock).unwrap(), None);
        drop(copy);
    }
}
