//! Where a store is: a file, a PostgreSQL database, or a service that runs one of them.
//!
//! The URL of a database may hold a password, and clap repeats wrong values in its errors. So it is only recognized here,
//! and parsed when the store is opened; what is shown of it has no password.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use poller::PostgresOptions;

/// A file, a database or a service.
#[derive(Clone)]
pub(crate) enum StoreLocation {
    File(PathBuf),
    Database {
        url: String,
        /// The same without password and parameters.
        shown: String,
    },
    /// The URL of `poll serve`.
    Service(String),
}

impl From<OsString> for StoreLocation {
    fn from(text: OsString) -> Self {
        match text.to_str().and_then(|text| Some((text.split_once("://")?.0, text))) {
            Some(("postgres" | "postgresql", url)) => {
                let shown = PostgresOptions::parse(url)
                    .map_or_else(|_| "the database".to_owned(), |it| it.to_string());
                Self::Database { url: url.to_owned(), shown }
            }
            Some(("http" | "https", url)) => Self::Service(url.to_owned()),
            _ => Self::File(text.into()),
        }
    }
}

impl StoreLocation {
    /// The file, for commands that work on files only.
    pub(crate) fn file(&self, instead: &str) -> anyhow::Result<&Path> {
        let (what, instead) = match self {
            Self::File(path) => return Ok(path),
            Self::Database { .. } => ("database", instead),
            Self::Service(_) => ("service", "run it where its store is"),
        };
        anyhow::bail!("this command is for store files, and {self} is a {what}: {instead}")
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Database { shown, .. } => f.write_str(shown),
            Self::Service(url) => f.write_str(url),
        }
    }
}

impl fmt::Debug for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        let location = StoreLocation::from(OsString::from("postgres://poll:hunter2@127.0.0.1/polls"));
        assert_eq!(
            format!("{location} {location:?}"),
            "postgres://poll@127.0.0.1/polls ".repeat(2).trim_end()
        );
        let broken = StoreLocation::from(OsString::from("postgres://poll:hunter2@h/polls?sslmode=x"));
        assert_eq!(broken.to_string(), "the database");
        assert!(broken.file("use pg_dump").unwrap_err().to_string().ends_with("is a database: use pg_dump"));
        assert_eq!(StoreLocation::from(OsString::from("polls.db")).file("").unwrap(), Path::new("polls.db"));
    }
}
