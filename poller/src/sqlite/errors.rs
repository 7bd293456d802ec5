//! What SQLite's errors mean for the user, and what to do about them.

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// What failed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    Open,
    Read,
    Write,
}

pub(super) fn failure(action: Action, path: &Path, error: rusqlite::Error) -> StoreError {
    let verb = match action {
        Action::Open => "open",
        Action::Read => "read",
        Action::Write => "write to",
    };
    let what = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full; nothing that was acknowledged is lost: make room and go on".to_owned(),
        Some(ErrorCode::ReadOnly) => {
            "the file or its folder is read-only; the folder must be writable too, for the log beside the file".to_owned()
        }
        Some(ErrorCode::SystemIoFailure) => format!(
            "the disk does not do what it should, or a limit on the size of files is reached ({error}); nothing that was \
             acknowledged is lost: mend that and go on"
        ),
        Some(ErrorCode::CannotOpen) => cannot_open(path),
        Some(ErrorCode::NotADatabase) => "the file is not an SQLite file; name another file for the polls".to_owned(),
        Some(ErrorCode::DatabaseCorrupt) => {
            "the file is damaged; restore it from a backup, or save what is readable with `sqlite3 FILE .recover`".to_owned()
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process has kept it locked for more than 5 seconds; end that one and try again".to_owned()
        }
        _ => error.to_string(),
    };
    let message = format!("cannot {verb} {}: {what}", path.display());
    let unusable = matches!(action, Action::Read | Action::Write) && is_final(&error);
    let failure = StoreError::with_source(message, error);
    if unusable { failure.into_unusable() } else { failure }
}

/// Whether no later call can succeed: the file is damaged or lacks a table. A full disk or a lock passes.
fn is_final(error: &rusqlite::Error) -> bool {
    // An unknown error is that of a statement: a table or column is missing.
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
    )
}

/// SQLite says only that it cannot open a file; the system says why.
fn cannot_open(path: &Path) -> String {
    if path.is_dir() {
        return "it is a folder; name a file in it".to_owned();
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.metadata().is_ok_and(|folder| !folder.is_dir()) {
        return format!("{} is no folder; name a file in a folder", folder.display());
    }
    if path.is_relative() && std::env::current_dir().is_err() {
        return "the folder that this process is in was removed; change to one that is there".to_owned();
    }
    // The folder and not the file: closing a file would release the locks that SQLite holds on it in this process.
    match std::fs::File::open(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            format!("there is no folder {}; create it", folder.display())
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            format!("no permission to enter the folder {}", folder.display())
        }
        Err(error) => match error.raw_os_error() {
            Some(EMFILE | ENFILE) => TOO_MANY_FILES.to_owned(),
            _ => error.to_string(),
        },
        Ok(_) => "no permission, or the folder is read-only (it must be writable too, for the log beside the file), or the disk \
                  is full"
            .to_owned(),
    }
}

const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
const TOO_MANY_FILES: &str =
    "too many open files in this process; raise the limit (ulimit -n) or ask fewer hosts at a time";
