//! What a service tells its manager: that it is ready, and that it stops (`Type=notify` of systemd, by `NOTIFY_SOCKET`).
//!
//! Without a manager that listens, nothing happens. A manager that cannot be reached is no reason to run no polls.

use sd_notify::NotifyState;

/// The file is open, its polls have been read, and submitted ones will be.
pub(super) fn ready(open: usize) {
    let status = format!("{open} open polls at the start");
    let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// No new request begins.
pub(super) fn stopping() {
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}
