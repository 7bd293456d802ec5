//! A PostgreSQL server of the test process: one cluster in a temporary folder, on a Unix socket, and a database for each
//! caller. It forgets everything with the process; `fsync` is off, because no test cuts the power of a machine.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

/// Starts the server, says so, and stops it when standard input ends: at the latest when the test process does, whatever
/// ends it. The programs, the folder, the options, and whether to remove the folder at the end.
const KEEPER: &str = r#""$1/pg_ctl" -D "$2/data" -l "$2/log" -o "$3" -w -t 60 start >/dev/null || { cat "$2/log" >&2; exit 1; }
echo ready
cat >/dev/null
"$1/pg_ctl" -D "$2/data" -m fast -w stop >/dev/null 2>&1
[ "$4" = remove ] && cd / && rm -rf "$2"
exit 0"#;

/// A running server. Dropping it stops the server and removes its folder.
#[derive(Debug)]
pub struct Postgres {
    folder: tempfile::TempDir,
    programs: PathBuf,
    /// The plain user that the server runs as, if this process is root.
    user: Option<(u32, u32)>,
    keeper: Mutex<Option<Child>>,
    settings: Vec<String>,
    /// The library that gives the server a clock of its own.
    faketime: Option<PathBuf>,
    databases: AtomicU32,
    shared: bool,
}

/// The environment variable that makes a missing server a failure.
pub const REQUIRED: &str = "POLL_REQUIRE_POSTGRES";

/// The server that the tests of this process share; `None`, after a line on standard error that names `test`, if there are
/// no programs of PostgreSQL on this machine. With [`REQUIRED`] set, that is a panic.
///
/// # Panics
/// If the server is there and does not start.
pub fn shared(test: &str) -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    let server = SERVER.get_or_init(|| Postgres::start(&[], true, None));
    if server.is_none() {
        say_not_run(test);
    }
    server.as_ref()
}

/// Says on the handle itself that a test was not run: the test harness captures what `eprintln!` prints.
fn say_not_run(test: &str) {
    use std::io::Write as _;
    let missing = "no PostgreSQL server is installed (Debian: apt-get install postgresql)";
    assert!(std::env::var_os(REQUIRED).is_none(), "{test}: {missing}, and {REQUIRED} is set");
    let _ = writeln!(std::io::stderr(), "NOT RUN: {test}: {missing}");
}

impl Postgres {
    /// A server of one test, with these settings (`name=value`); `None` after a line on standard error if there are no
    /// programs.
    ///
    /// # Panics
    /// If the server is there and does not start.
    pub fn own(test: &str, settings: &[&str]) -> Option<Self> {
        let server = Self::start(settings, false, None);
        if server.is_none() {
            say_not_run(test);
        }
        server
    }

    /// The same with a clock that [`set_clock`](Self::set_clock) sets, by this library (libfaketime).
    ///
    /// # Panics
    /// If the server is there and does not start.
    pub fn with_clock(test: &str, settings: &[&str], faketime: PathBuf) -> Option<Self> {
        let server = Self::start(settings, false, Some(faketime));
        if server.is_none() {
            say_not_run(test);
        }
        server
    }

    /// Sets the clock of the server: so many seconds ahead of this machine's. It notices at once.
    ///
    /// # Panics
    /// If the server was not started [with a clock](Self::with_clock), or the file of its time cannot be written.
    pub fn set_clock(&self, ahead: i64) {
        assert!(self.faketime.is_some(), "the server has the clock of this machine");
        let (new, file) = (self.folder.path().join("clock.new"), self.folder.path().join("clock"));
        std::fs::write(&new, format!("{ahead:+}\n")).expect("the folder is ours");
        std::fs::rename(new, file).expect("the folder is ours");
    }

    fn start(settings: &[&str], shared: bool, faketime: Option<PathBuf>) -> Option<Self> {
        let programs = programs()?;
        let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").expect("a temporary folder");
        let user = rustix::process::geteuid().is_root().then(plain_user);
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(folder.path(), Some(uid), Some(gid)).expect("the folder is ours");
        }
        let server = Self {
            folder,
            programs,
            user,
            keeper: Mutex::default(),
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            faketime,
            databases: AtomicU32::new(0),
            shared,
        };
        let data = server.folder.path().join("data");
        let made = server
            .command("initdb")
            .args(["--username=poll", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        if server.faketime.is_some() {
            server.set_clock(0);
        }
        server.resume();
        Some(server)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Starts the server again after [`stop`](Self::stop) or [`kill`](Self::kill), and waits until it answers.
    ///
    /// # Panics
    /// If it does not start.
    pub fn resume(&self) {
        let mut options = format!("-c unix_socket_directories={}", self.socket_folder().display());
        let fixed = [
            "listen_addresses=",
            "fsync=off",
            "full_page_writes=off",
            "max_connections=200",
            "shared_buffers=64MB",
            "max_wal_size=4GB",
        ];
        for setting in fixed.into_iter().chain(self.settings.iter().map(|setting| &**setting)) {
            options += &format!(" -c {setting}");
        }
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEPER, "keeper"]).arg(&self.programs).arg(self.folder.path()).arg(options);
        command.arg(if self.shared { "remove" } else { "keep" });
        command.current_dir(self.folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(library) = &self.faketime {
            command
                .env("LD_PRELOAD", library)
                .env("FAKETIME_TIMESTAMP_FILE", self.folder.path().join("clock"));
            // All processes of the server follow at once: one that kept the old time for a while would set the clock back.
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_NO_CACHE", "1");
        }
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        let mut keeper = command.spawn().expect("a shell runs");
        let mut line = String::new();
        let output = keeper.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("the shell's output can be read");
        assert_eq!(line.trim(), "ready", "postgres did not start; its log is above");
        *self.lock() = Some(keeper);
    }

    /// The user and the group that the server runs as.
    #[must_use]
    pub fn user(&self) -> (u32, u32) {
        self.user
            .unwrap_or_else(|| (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()))
    }

    /// The folder of the socket.
    #[must_use]
    pub fn socket_folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The URL of a database of this server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let host = self.socket_folder().display().to_string().replace('/', "%2F");
        format!("postgres://poll@{host}/{database}")
    }

    /// Creates a database and returns its URL.
    ///
    /// # Panics
    /// If it cannot be created.
    #[must_use]
    pub fn database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// Runs SQL as the superuser; returns the rows as lines.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    #[track_caller]
    pub fn query(&self, database: &str, sql: &str) -> String {
        let database = database.rsplit('/').next().unwrap_or(database);
        let output = self
            .command("psql")
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "poll", "-h"])
            .arg(self.socket_folder())
            .args(["-d", database, "-c", sql])
            .output()
            .expect("psql runs");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs SQL as the superuser.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) {
        let _ = self.query(database, sql);
    }

    /// A session of the superuser in the database `postgres`: `psql`, which reads SQL and writes rows as lines.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn session(&self) -> Child {
        let mut command = self.command("psql");
        command
            .args(["-X", "-q", "-A", "-t", "-U", "poll", "-d", "postgres", "-h"])
            .arg(self.socket_folder());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().expect("psql runs")
    }

    /// Stops the server; it closes its connections first.
    pub fn stop(&self) {
        if let Some(mut keeper) = self.lock().take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }

    /// Kills the server: its connections are cut, and nothing is written any more.
    pub fn kill(&self) {
        let data = self.folder.path().join("data");
        let _ = self.command("pg_ctl").arg("-D").arg(data).args(["-m", "immediate", "-w", "stop"]).output();
        self.stop();
    }

    /// Stops all processes of the server in the middle of what they do, or lets them go on: as a disk does that answers late.
    ///
    /// # Panics
    /// If the processes cannot be listed or signalled.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        let text = std::fs::read_to_string(self.folder.path().join("data/postmaster.pid"))
            .expect("the server is running");
        let first = text.lines().next().expect("the first line is the process");
        // The one that starts others comes first, so that none is missed.
        send(signal, first);
        for entry in std::fs::read_dir("/proc").expect("Linux").flatten() {
            // pid (command) state parent …
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
            if parent == Some(first)
                && let Some(process) = entry.file_name().to_str()
            {
                send(signal, process);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn send(signal: Signal, process: &str) {
    let process = process.parse().ok().and_then(Pid::from_raw).expect("the number of a process");
    // It may have ended meanwhile.
    let _ = kill_process(process, signal);
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The environment variable that names the folder of the programs to use instead of those installed.
pub const PROGRAMS: &str = "POLL_POSTGRES_PROGRAMS";

/// The folder of the programs: the one named, or the newest that are installed.
fn programs() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(PROGRAMS) {
        return Some(folder.into());
    }
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .collect();
    versions.sort();
    let in_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    versions
        .into_iter()
        .rev()
        .map(|(_, folder)| folder)
        .chain(in_path)
        .find(|folder| ["initdb", "postgres", "psql", "pg_ctl"].iter().all(|name| folder.join(name).exists()))
}

/// The server refuses to run as root, so it runs as the user `postgres` or `nobody`.
fn plain_user() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ids("postgres").or_else(|| ids("nobody")).unwrap_or((65534, 65534))
}
