//! What is agreed between the server and what supervises it: systemd, or anything that speaks its protocol.
//!
//! A supervisor may hold the listening socket itself (`LISTEN_FDS`), so that no visitor is refused while the server is
//! replaced, and may want to be told when the server is ready and when it stops (`NOTIFY_SOCKET`). Without one all of
//! this does nothing.

use std::net::TcpListener;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::failure::{Failure, plain};

/// Takes the socket that the supervisor listens on for us, if it does.
///
/// Must be called while the process has one thread: it removes from the environment what it has taken.
pub(crate) fn inherited_socket() -> Result<Option<TcpListener>, Failure> {
    let mut sockets = ListenFd::from_env();
    if sockets.len() > 1 {
        return Err(Failure::refused(format_args!(
            "LISTEN_FDS: {} sockets were passed on; the server takes one",
            sockets.len()
        )));
    }
    sockets.take_tcp_listener(0).map_err(|error| {
        Failure::refused(format_args!(
            "LISTEN_FDS: what was passed on is no TCP socket: {}",
            plain(&error)
        ))
    })
}

/// Tells the supervisor that requests are answered from now on.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Tells the supervisor that the settings are being read again; [`ready`] ends it.
pub(crate) fn reloading() {
    let mut states = vec![NotifyState::Reloading];
    // Newer systemd wants to know which of several reloads this is.
    states.extend(NotifyState::monotonic_usec_now());
    tell(&states);
}

/// Tells the supervisor that the server has begun to stop.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        // Whoever supervises will notice the silence; whoever is signed in must not.
        tracing::warn!(target: "lastseen", %error, "the supervisor cannot be told");
    }
}
