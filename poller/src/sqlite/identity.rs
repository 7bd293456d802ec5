//! Whether the files of a store are still the ones that were opened, and the permissions that new ones get.
//!
//! A process keeps using a file that was renamed or removed, and what it writes there is lost to everyone who opens the
//! path. So the identities of the file, of its log and of the log's index (device and inode, which a rename keeps) are compared
//! with those of the paths: before each commit, after it and before it is acknowledged, and at each look of the runner. A path
//! costs one `stat`.
//!
//! SQLite's locks are on the index (`-shm`). A process that opens the file after the index was removed makes a new one, and two
//! processes with an index each overwrite each other's changes in the log.
//!
//! Only metadata is read. To open and close the file would release the locks that SQLite holds in this process (POSIX locks
//! end with any descriptor of the file).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// The permissions of a new file: other users must not read URLs and bodies. SQLite gives its log the same.
pub(super) const OWNER_ONLY: u32 = 0o600;

/// What a path names: device and inode.
///
/// Elsewhere than on Unix an open file can be neither renamed nor removed, so being there is all there is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            Self(metadata.dev(), metadata.ino())
        }
        #[cfg(not(unix))]
        {
            let _ = metadata;
            Self(0, 0)
        }
    }

    /// `None` if nothing is there.
    pub(super) fn at(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(Self::of(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn text(self) -> String {
        format!("{}:{}", self.0, self.1)
    }
}

/// The files of an open store.
#[derive(Clone, Debug)]
pub(super) struct OpenedFiles {
    path: PathBuf,
    log: PathBuf,
    index: PathBuf,
    file_id: FileId,
    log_id: FileId,
    index_id: FileId,
}

impl OpenedFiles {
    /// The files that a connection has just opened.
    pub(super) fn new(path: &Path) -> Result<Self, StoreError> {
        let log = beside(path, "-wal");
        let id = |path: &Path| {
            at(path)?.ok_or_else(|| {
                let path = path.display();
                StoreError::unusable(format!("{path} was moved or removed while it was opened; try again"))
            })
        };
        let index = beside(path, INDEX);
        Ok(Self {
            path: path.to_owned(),
            file_id: id(path)?,
            log_id: id(&log)?,
            index_id: id(&index)?,
            log,
            index,
        })
    }

    /// Fails if a path no longer names the file that was opened, once and for all.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let Self { path, log, index, file_id, log_id, index_id } = self;
        let (file, wal) = (path.display(), log.display());
        match at(path)? {
            Some(id) if id == *file_id && is_emptied(path) => {
                return Err(StoreError::unusable(format!(
                    "{file} was emptied while it was in use: what it had is lost, except for the last changes in its log, {wal}. \
                     Restore a backup"
                )));
            }
            Some(id) if id == *file_id => {}
            Some(_) => {
                return Err(StoreError::unusable(format!(
                    "{file} is another file than the one that was opened: that one was moved or removed. What was \
                     acknowledged is in it and in its log, {wal}. Move both back, or open that one under its new name \
                     with the log beside it (NAME-wal)"
                )));
            }
            None => {
                return Err(StoreError::unusable(format!(
                    "{file} was moved or removed while it was in use, so nothing more can be stored. What was acknowledged \
                     is in the file and in its log, {wal}. Move the file back, or move the log to it (NAME-wal); then start \
                     again"
                )));
            }
        }
        if at(log)? != Some(*log_id) {
            return Err(StoreError::unusable(format!(
                "{wal} was moved or removed while {file} was in use: the last changes were in it, and nothing more can be \
                 stored. Move it back, and start again"
            )));
        }
        if at(index)? != Some(*index_id) {
            return Err(StoreError::unusable(format!(
                "{} was moved or removed while {file} was in use: other processes cannot see any more what this one writes, \
                 so it stores nothing more. What was acknowledged is in the file and in its log, {wal}. Leave the three \
                 beside each other; start again",
                index.display()
            )));
        }
        Ok(())
    }
}

/// What a path names. Metadata may be unreadable for a moment, for example on a network file system.
fn at(path: &Path) -> Result<Option<FileId>, StoreError> {
    FileId::at(path).map_err(|error| {
        StoreError::with_source(format!("cannot look at {}: {error}", path.display()), error)
    })
}

/// SQLite writes the first page of a file before anything is in its log.
fn is_emptied(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0)
}

/// What the name of the log's index adds to that of the store.
pub(super) const INDEX: &str = "-shm";

/// The path of a file beside the store. SQLite follows symbolic links before it adds to the name.
pub(super) fn beside(store: &Path, suffix: &str) -> PathBuf {
    let file =
        store.canonicalize().or_else(|_| std::path::absolute(store)).unwrap_or_else(|_| store.to_owned());
    let mut name = file.into_os_string();
    name.push(suffix);
    PathBuf::from(name)
}
