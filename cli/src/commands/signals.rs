//! Ctrl-C and SIGTERM, and SIGHUP for services: the first signal requests a graceful shutdown, the second ends the process at once.
//!
//! The second signal is handled by a task of its own, so that it works even if the graceful shutdown hangs.
//!
//! Exceeding a limit on the file size (`ulimit -f`) would kill the process by SIGXFSZ. With a handler installed, the write
//! fails instead, like on a full disk.

use std::io;

use tokio::sync::oneshot;

use crate::exit::Exit;

/// Installs the handlers. The receiver gets the name of the first signal; the second signal runs `before_exit` and ends
/// the process. With `hangup`, SIGHUP is one of them; otherwise it keeps its default action, the end of the process.
pub(crate) fn listen(
    before_exit: impl Fn() + Send + 'static,
    hangup: bool,
) -> anyhow::Result<oneshot::Receiver<&'static str>> {
    let mut signals =
        Signals::new(hangup).map_err(|error| anyhow::anyhow!("cannot listen for Ctrl-C: {error}"))?;
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        let name = signals.next().await;
        // A closed channel means that the command has finished; the second signal still ends the process.
        let _ = sender.send(name);
        signals.next().await;
        before_exit();
        std::process::exit(i32::from(Exit::Cancelled.code()));
    });
    Ok(receiver)
}

/// Makes a write beyond the file size limit an error instead of the end of the process, where the platform allows it.
pub(super) fn handle_file_size_limit() {
    #[cfg(all(unix, not(any(target_arch = "mips", target_arch = "mips64"))))]
    {
        /// SIGXFSZ on all supported systems except Linux on MIPS.
        const XFSZ: i32 = 25;
        // tokio keeps the handler installed after the listener is dropped.
        let _ = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(XFSZ));
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new(hangup: bool) -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: hangup.then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    async fn next(&mut self) -> &'static str {
        use futures_util::future::OptionFuture;
        let hangup = OptionFuture::from(self.hangup.as_mut().map(|hangup| hangup.recv()));
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
            Some(_) = hangup => "SIGHUP",
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new(_hangup: bool) -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        // If no handler can be installed, Ctrl-C keeps its default action.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}
