//! How to reach the database, and how this process takes part in the fleet.
//!
//! The password is in no message and no `Debug`: what is shown is built from the other parts of the URL.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::config::{Config, Host, SslMode};

use super::PostgresStore;
use super::tls::{Tls, Verification};
use crate::store::{RunsUntil, StoreError};

/// The lease of a worker if none is given.
const LEASE: Duration = Duration::from_secs(10);

/// The number of shards if none is given.
const SHARDS: u16 = 4096;

/// Where a [`PostgresStore`] is, and its settings.
///
/// ```
/// use poller::PostgresOptions;
///
/// let options = PostgresOptions::parse("postgres://poll:hunter2@db.example.com/polls?sslmode=verify-full")?;
/// assert_eq!(options.to_string(), "postgres://poll@db.example.com/polls");
/// assert!(!format!("{options:?}").contains("hunter2"));
/// assert!(PostgresOptions::parse("postgres://db.example.com/polls?sslmode=maybe").is_err());
/// # Ok::<(), poller::store::StoreError>(())
/// ```
#[derive(Clone)]
pub struct PostgresOptions {
    pub(super) config: Config,
    pub(super) tls: Tls,
    pub(super) shown: String,
    pub(super) lease: Duration,
    pub(super) shards: u16,
    pub(super) runs_until: RunsUntil,
    pub(super) notify: bool,
}

impl PostgresOptions {
    /// Reads a URL: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?NAME=VALUE&…`; `postgresql://` is the same. The host may be
    /// the percent-encoded folder of a Unix socket.
    ///
    /// `sslmode` is as in libpq: `disable`; `prefer` and `require` (encrypted, the server is not verified, except that
    /// `require` with `sslrootcert` verifies its authority); `verify-ca`; `verify-full`. The default is `prefer` for a host
    /// on this machine, and `verify-full` for any other. `sslrootcert` is a file of PEM certificates to trust instead of
    /// those of the system. `notify=on` is [`with_notify`](Self::with_notify). Other parameters are those of the crate
    /// `tokio-postgres`.
    ///
    /// # Errors
    /// If the URL is not of this form, has an unknown parameter, or the file of `sslrootcert` cannot be used. The message
    /// does not repeat the URL.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        let invalid = |problem: &dyn fmt::Display| {
            StoreError::new(format!(
                "the URL of the database is not valid: {problem}; expected \
                 postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full"
            ))
        };
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        if !["postgres://", "postgresql://"].iter().any(|scheme| base.starts_with(scheme)) {
            return Err(invalid(&"it does not begin with postgres://"));
        }
        let (mut mode, mut root, mut notify, mut rest) = (None, None, false, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => root = Some(decoded(value)),
                Some(("notify", value @ ("on" | "off"))) => notify = value == "on",
                Some(("notify", _)) => return Err(invalid(&"notify is neither on nor off")),
                _ => rest.push(pair),
            }
        }
        let plain = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        let mut config: Config = plain.parse().map_err(|error: tokio_postgres::Error| {
            invalid(&std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string))
        })?;
        if config.get_hosts().is_empty() {
            return Err(invalid(&"it names no host"));
        }
        let is_local = config.get_hosts().iter().all(is_local);
        let (ssl_mode, verification) = match mode {
            Some("disable") => (SslMode::Disable, Verification::None),
            Some("prefer") => (SslMode::Prefer, Verification::None),
            None if is_local && root.is_none() => (SslMode::Prefer, Verification::None),
            Some("require") if root.is_none() => (SslMode::Require, Verification::None),
            Some("require" | "verify-ca") => (SslMode::Require, Verification::Authority),
            Some("verify-full") | None => (SslMode::Require, Verification::Name),
            Some(_) => {
                return Err(invalid(&"sslmode is none of disable, prefer, require, verify-ca, verify-full"));
            }
        };
        // As in libpq, a socket of this machine is not encrypted.
        let is_socket = config.get_hosts().iter().all(|host| !matches!(host, Host::Tcp(_)));
        config.ssl_mode(if is_socket { SslMode::Disable } else { ssl_mode });
        if config.get_application_name().is_none() {
            config.application_name("poll");
        }
        let tls = Tls::new(verification, root.as_deref()).map_err(|problem| invalid(&problem))?;
        let shown = shown(&config);
        let runs_until = RunsUntil::Unknown;
        Ok(Self { config, tls, shown, lease: LEASE, shards: SHARDS, runs_until, notify })
    }

    /// The password, if the URL has none: a URL in the arguments of a program is visible to all users of its machine.
    #[must_use]
    pub fn with_password(mut self, password: &SecretString) -> Self {
        if self.config.get_password().is_none() {
            self.config.password(password.expose_secret());
        }
        self
    }

    /// How long a worker that stops answering keeps its polls; 10 s by default, at least 1 s. Another takes them over after
    /// that. It is renewed each third.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease.clamp(Duration::from_secs(1), Duration::from_secs(3600));
        self
    }

    /// Whether this process tells others at once, by NOTIFY, what they would find at their next look: new polls and
    /// cancellations within half a second, outcomes within a second. Off by default. It takes one more connection, works
    /// between processes that have it on, and not behind a pooler in transaction mode; nothing depends on it.
    #[must_use]
    pub const fn with_notify(mut self, notify: bool) -> Self {
        self.notify = notify;
        self
    }

    /// The number of shards of a new database; 4096 by default, at least 1. An existing database keeps its number.
    #[must_use]
    pub const fn with_shards(mut self, shards: u16) -> Self {
        self.shards = if shards == 0 { 1 } else { shards };
        self
    }

    /// When this process ends by itself, for [`StoreAdmin::runner`](crate::store::StoreAdmin::runner) in other processes.
    #[must_use]
    pub const fn with_runs_until(mut self, until: RunsUntil) -> Self {
        self.runs_until = until;
        self
    }

    /// Connects, and creates or migrates the tables if they are missing or old.
    ///
    /// # Errors
    /// If the database cannot be reached, is of a newer format, or does not give the isolation that the fleet needs.
    pub async fn connect(self) -> Result<PostgresStore, StoreError> {
        PostgresStore::connect(self).await
    }
}

impl fmt::Display for PostgresOptions {
    /// The URL without password and parameters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresOptions").field(&self.shown).finish()
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn decoded(text: &str) -> PathBuf {
    let pair = format!("x={text}");
    let value = url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned());
    value.unwrap_or_default().into()
}

fn shown(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(number, host)| {
        let name = match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(folder) => folder.display().to_string().replace('/', "%2F"),
        };
        match ports.get(number).or_else(|| ports.first()) {
            None | Some(5432) => name,
            Some(port) => format!("{name}:{port}"),
        }
    });
    let hosts = hosts.collect::<Vec<_>>().join(",");
    let user = config.get_user().map(|user| format!("{user}@")).unwrap_or_default();
    let database = config.get_dbname().map(|database| format!("/{database}")).unwrap_or_default();
    format!("postgres://{user}{hosts}{database}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<PostgresOptions, String> {
        PostgresOptions::parse(url).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_shown_has_no_password() {
        for (url, expected) in [
            (
                "postgres://poll:secret@db.test:6432/polls?sslmode=disable",
                "postgres://poll@db.test:6432/polls",
            ),
            ("postgresql://%2Frun%2Fpg/polls?user=me&password=secret", "postgres://me@%2Frun%2Fpg/polls"),
            ("postgres://a,b:5433/polls?sslmode=disable", "postgres://a,b:5433/polls"),
        ] {
            let options = parsed(url).unwrap();
            assert_eq!(options.to_string(), expected);
            assert!(!format!("{options:?}").contains("secret"));
        }
    }

    #[test]
    fn encryption_is_verified_unless_the_host_is_this_machine() {
        let mode = |url: &str| {
            let options = parsed(url).unwrap();
            (options.config.get_ssl_mode(), options.tls.verification())
        };
        assert_eq!(mode("postgres://db.test/a"), (SslMode::Require, Verification::Name));
        assert_eq!(mode("postgres://127.0.0.1/a"), (SslMode::Prefer, Verification::None));
        assert_eq!(mode("postgres://%2Frun/a?sslmode=require"), (SslMode::Disable, Verification::None));
        assert_eq!(mode("postgres://db.test/a?sslmode=require"), (SslMode::Require, Verification::None));
        assert_eq!(
            mode("postgres://db.test/a?sslmode=verify-ca"),
            (SslMode::Require, Verification::Authority)
        );
        assert_eq!(mode("postgres://db.test/a?sslmode=disable"), (SslMode::Disable, Verification::None));
    }

    #[test]
    fn notifications_are_off_by_default() {
        let notify = |url: &str| parsed(url).unwrap().notify;
        assert!(!notify("postgres://127.0.0.1/a") && !notify("postgres://127.0.0.1/a?notify=off"));
        assert!(notify("postgres://127.0.0.1/a?notify=on&connect_timeout=3"));
    }

    #[test]
    fn wrong_urls_are_explained_and_not_repeated() {
        for (url, expected) in [
            ("mysql://secret@a/b", "does not begin with postgres://"),
            ("postgres:///polls?password=secret", "names no host"),
            ("postgres://a:secret@b/c?sslmode=secret", "sslmode is none of"),
            ("postgres://a:secret@b:port/c", "port"),
            ("postgres://a:secret@b/c?what=secret", "what"),
            ("postgres://a:secret@b/c?notify=secret", "notify is neither on nor off"),
            ("postgres://a:secret@b/c?sslrootcert=/none/there.pem", "/none/there.pem"),
        ] {
            let error = parsed(url).map(|_| ()).unwrap_err();
            assert!(error.contains(expected) && !error.contains("secret"), "{url}: {error}");
        }
    }
}
