//! SIGHUP: the settings are read again, and what can change while the server runs does.
//!
//! That is `log-level`. Everything else decided something when the server started (a socket, a cookie's name, how long
//! sessions live), and a change to it waits for a restart, which the log says by name.

use tokio::signal::unix::Signal;

use crate::config::{Effective, Wrong};
use crate::logs::Level;
use crate::supervisor;

/// How the settings are read: flags and environment as they were, the file as it is now.
pub(crate) type Reread = Box<dyn Fn() -> Result<Effective, Vec<Wrong>> + Send + Sync>;

/// Settings that are obeyed at once.
const CHANGEABLE: [&str; 1] = ["log-level"];

/// Reads the settings again at every SIGHUP, for ever.
pub(crate) async fn at_every_hangup(
    mut hangup: Signal,
    running: Effective,
    reread: Reread,
    level: Level,
) {
    while hangup.recv().await.is_some() {
        supervisor::reloading();
        match reread() {
            Ok(read) => obey(&running, &read, &level),
            Err(wrong) => {
                for wrong in wrong {
                    tracing::error!(target: "lastseen", %wrong, "the settings stay as they were");
                }
            }
        }
        supervisor::ready();
    }
}

fn obey(running: &Effective, read: &Effective, level: &Level) {
    level.set(read.log_level);
    let waiting: Vec<&str> = running
        .differences(read)
        .into_iter()
        .filter(|key| !CHANGEABLE.contains(key))
        .collect();
    if waiting.is_empty() {
        tracing::info!(target: "lastseen", log_level = %read.log_level, "settings read again");
    } else {
        let waiting = waiting.join(", ");
        tracing::warn!(target: "lastseen", log_level = %read.log_level, waiting, "settings read again; some of what changed waits for a restart");
    }
}
