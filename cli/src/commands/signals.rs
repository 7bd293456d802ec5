//! Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends the process at once.
//!
//! The second is handled here and not by whoever waits for the first: an orderly end that hangs must not be able to
//! hold up the person who presses Ctrl-C again.
//!
//! A limit on the size of files (`ulimit -f`) ends a process by a signal, without a word, unless that is taken here: then
//! the write fails like on a full disk.

use std::io;

use tokio::sync::oneshot;

use crate::exit::Exit;

/// Listens from now on. The receiver gets the name of the first signal; `before_exit` runs before the process ends
/// on the second.
pub(crate) fn listen(
    before_exit: impl Fn() + Send + 'static,
) -> anyhow::Result<oneshot::Receiver<&'static str>> {
    let mut signals = Signals::new().map_err(|error| anyhow::anyhow!("cannot listen for Ctrl-C: {error}"))?;
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        let name = signals.next().await;
        // A closed channel means that everything has ended already; the second signal still counts.
        let _ = sender.send(name);
        signals.next().await;
        before_exit();
        std::process::exit(i32::from(Exit::Cancelled.code()));
    });
    Ok(receiver)
}

/// From now on, a write beyond the limit on the size of files is an error and not the end of the process. Where the signal
/// cannot be taken, it stays as it is.
pub(super) fn survive_file_limits() {
    #[cfg(all(unix, not(any(target_arch = "mips", target_arch = "mips64"))))]
    {
        /// The number of SIGXFSZ on every system we know but Linux on MIPS.
        const XFSZ: i32 = 25;
        // Once it is taken it stays taken; nobody has to listen.
        let _ = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(XFSZ));
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        // Where the console cannot be listened to, Ctrl-C ends the process as it does by default.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}
