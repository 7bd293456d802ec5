//! What SQLite's errors mean for the user, and what to do about them.

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
        Some(ErrorCode::CannotOpen) if path.is_dir() => "it is a folder; name a file in it".to_owned(),
        Some(ErrorCode::CannotOpen) => "there is no such folder, or no permission".to_owned(),
        Some(ErrorCode::NotADatabase) => "the file is not an SQLite file; name another file for the polls".to_owned(),
        Some(ErrorCode::DatabaseCorrupt) => {
            "the file is damaged; restore it from a backup, or save what is readable with `sqlite3 FILE .recover`".to_owned()
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process has kept it locked for more than 5 seconds; end that one and try again".to_owned()
        }
        _ => error.to_string(),
    };
    StoreError::with_source(format!("cannot {verb} {}: {what}", path.display()), error)
}
