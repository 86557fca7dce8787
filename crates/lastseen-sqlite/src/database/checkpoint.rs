//! Copies the log into the database file, beside the writer rather than in its way.
//!
//! Every commit appends pages to the log. This thread copies them over each time it has grown by
//! [`PAGES_TO_COPY`]: writers and readers go on. Under steady load it never catches up entirely, and a log
//! begins anew only once it has been copied entirely; so from [`PAGES_TO_RESTART`] on the writer itself,
//! between two groups and right after this thread has done most of the work, copies the small rest.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, DEFAULT_NAME};

use crate::connection;

/// 16 MB. Often enough that each round is short, seldom enough that a page changed many times is copied once.
const PAGES_TO_COPY: u64 = 4_000;
/// 64 MB. What a restart after a crash has to read again, at most about.
pub(super) const PAGES_TO_RESTART: u64 = 16_000;

/// The writer's end: says how the log grows, hears how far it was copied.
pub(super) struct Checkpointer {
    wake: Sender<()>,
    caught_up: Arc<AtomicBool>,
    /// The length of the log at which to wake the thread next.
    next: u64,
}

/// The thread's end.
pub(super) struct Copier {
    connection: Connection,
    wake: Receiver<()>,
    caught_up: Arc<AtomicBool>,
}

/// Both ends, for the database at `path`.
pub(super) fn checkpointer(path: &Path) -> rusqlite::Result<(Checkpointer, Copier)> {
    let connection = connection::open(path)?;
    // It copies pages past its cache, so the smallest will do.
    connection::set_up(&connection, 0)?;
    // One reminder is as good as several.
    let (wake, woken) = bounded(1);
    let caught_up = Arc::new(AtomicBool::new(false));
    let copier = Copier {
        connection,
        wake: woken,
        caught_up: Arc::clone(&caught_up),
    };
    let checkpointer = Checkpointer {
        wake,
        caught_up,
        next: PAGES_TO_COPY,
    };
    Ok((checkpointer, copier))
}

impl Checkpointer {
    /// The log has `pages` now.
    pub(super) fn grown_to(&mut self, pages: u64) {
        if pages < PAGES_TO_COPY {
            // It began anew.
            self.next = PAGES_TO_COPY;
        } else if pages >= self.next {
            self.next = pages + PAGES_TO_COPY;
            // What an earlier round copied is not most of it any more.
            self.caught_up.store(false, Ordering::Relaxed);
            // A full channel is a reminder that was not heard yet.
            let _ = self.wake.try_send(());
        }
    }

    /// Whether a round ended after the last reminder; once for each round.
    pub(super) fn has_caught_up(&self) -> bool {
        self.caught_up.swap(false, Ordering::Relaxed)
    }
}

impl Copier {
    /// Works until the writer is gone.
    pub(super) fn work(self) {
        while self.wake.recv().is_ok() {
            match self
                .connection
                .wal_checkpoint_v2(DEFAULT_NAME, CheckpointMode::PASSIVE)
            {
                Ok((pages, copied)) => {
                    tracing::debug!(pages, copied, "copied the log into the database");
                }
                // The log stays and grows; the next round tries again. A disk that stays full is reported by the
                // writer, where requests feel it.
                Err(error) => {
                    tracing::warn!(%error, "the log could not be copied into the database");
                }
            }
            self.caught_up.store(true, Ordering::Relaxed);
        }
    }
}
