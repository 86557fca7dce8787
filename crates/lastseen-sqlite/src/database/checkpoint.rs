//! Copies the log into the database file, beside the writer rather than in its way.
//!
//! Every commit appends pages to the log. This thread copies them over each time it has grown by
//! [`PAGES_TO_COPY`]: writers and readers go on. Under steady load it never catches up entirely, and a log
//! begins anew only once it has been copied entirely. So from [`PAGES_TO_RESTART`] on the thread makes
//! shorter and shorter rounds, until so little is left that the writer can copy it between two groups.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, DEFAULT_NAME};

use crate::connection;

/// 16 MB. Often enough that each round is short, seldom enough that a page changed many times is copied once.
const PAGES_TO_COPY: u64 = 4_000;
/// 64 MB. What a restart after a crash has to read again, at most about.
const PAGES_TO_RESTART: u64 = 16_000;
/// What the writer copies itself, with everybody who writes waiting: some milliseconds' worth.
const SMALL_REST: u64 = 500;
/// 256 MB. From here on the writer copies whatever is left: rather a pause than a full disk. A thread that cannot
/// keep up, or a backup that reads for long, lets the log grow so far.
const LONGEST_LOG: u64 = 64_000;

/// The writer's end: says how the log grows, hears how far it was copied.
pub(super) struct Checkpointer {
    wake: Sender<()>,
    copied: Arc<AtomicU64>,
    /// The length of the log at which to wake the thread next.
    next_copy: u64,
    /// The length of the log from which on the writer may make it begin anew.
    next_restart: u64,
}

/// The thread's end.
pub(super) struct Copier {
    connection: Connection,
    wake: Receiver<()>,
    /// Pages of the log that are in the file.
    copied: Arc<AtomicU64>,
}

/// Both ends, for the database at `path`.
pub(super) fn checkpointer(path: &Path) -> rusqlite::Result<(Checkpointer, Copier)> {
    let connection = connection::open(path)?;
    // It copies pages past its cache, so the smallest will do.
    connection::set_up(&connection, 0)?;
    // One reminder is as good as several.
    let (wake, woken) = bounded(1);
    let copied = Arc::new(AtomicU64::new(0));
    let copier = Copier {
        connection,
        wake: woken,
        copied: Arc::clone(&copied),
    };
    let checkpointer = Checkpointer {
        wake,
        copied,
        next_copy: PAGES_TO_COPY,
        next_restart: PAGES_TO_RESTART,
    };
    Ok((checkpointer, copier))
}

impl Checkpointer {
    /// The log has `pages` now. True where the writer should make it begin anew.
    pub(super) fn grown_to(&mut self, pages: u64) -> bool {
        if pages < PAGES_TO_COPY {
            // It has begun anew.
            self.next_copy = PAGES_TO_COPY;
            self.next_restart = PAGES_TO_RESTART;
            self.copied.store(0, Ordering::Relaxed);
            return false;
        }
        let rest = pages.saturating_sub(self.copied.load(Ordering::Relaxed));
        if pages >= self.next_restart && (rest <= SMALL_REST || pages >= LONGEST_LOG) {
            // Where a reader is in the way, not at every commit from now on.
            self.next_restart = pages + PAGES_TO_COPY;
            return true;
        }
        if pages >= self.next_copy {
            let step = if pages < PAGES_TO_RESTART {
                PAGES_TO_COPY
            } else {
                SMALL_REST
            };
            self.next_copy = pages + step;
            // A full channel is a reminder that was not heard yet.
            let _ = self.wake.try_send(());
        }
        false
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
                    self.copied
                        .store(u64::try_from(copied).unwrap_or(0), Ordering::Relaxed);
                    tracing::debug!(pages, copied, "copied the log into the database");
                }
                // The log stays and grows; the next round tries again. A disk that stays full is reported by the
                // writer, where requests feel it.
                Err(error) => {
                    tracing::warn!(%error, "the log could not be copied into the database");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writers_end() -> (Checkpointer, Receiver<()>, Arc<AtomicU64>) {
        let (wake, woken) = bounded(1);
        let copied = Arc::new(AtomicU64::new(0));
        let checkpointer = Checkpointer {
            wake,
            copied: Arc::clone(&copied),
            next_copy: PAGES_TO_COPY,
            next_restart: PAGES_TO_RESTART,
        };
        (checkpointer, woken, copied)
    }

    #[test]
    fn the_thread_is_woken_each_time_the_log_has_grown_enough() {
        let (mut checkpointer, woken, _) = writers_end();
        let mut reminders = 0;
        for pages in 1..PAGES_TO_RESTART {
            assert!(!checkpointer.grown_to(pages));
            reminders += woken.try_iter().count();
        }
        assert_eq!(reminders, 3);
    }

    #[test]
    fn a_long_log_begins_anew_once_little_is_left_to_copy() {
        let (mut checkpointer, _woken, copied) = writers_end();
        assert!(!checkpointer.grown_to(PAGES_TO_RESTART));
        copied.store(PAGES_TO_RESTART - 1, Ordering::Relaxed);
        assert!(checkpointer.grown_to(PAGES_TO_RESTART + 1));
        assert!(
            !checkpointer.grown_to(PAGES_TO_RESTART + 2),
            "a reader in the way is not tried at every commit"
        );
        copied.store(PAGES_TO_RESTART + PAGES_TO_COPY, Ordering::Relaxed);
        assert!(checkpointer.grown_to(PAGES_TO_RESTART + 1 + PAGES_TO_COPY));
    }

    #[test]
    fn the_longest_log_begins_anew_whatever_is_left_to_copy() {
        let (mut checkpointer, _woken, _) = writers_end();
        assert!(checkpointer.grown_to(LONGEST_LOG));
    }

    #[test]
    fn a_log_that_began_anew_is_not_taken_for_a_copied_one() {
        let (mut checkpointer, _woken, copied) = writers_end();
        copied.store(PAGES_TO_RESTART, Ordering::Relaxed);
        assert!(!checkpointer.grown_to(0));
        assert!(!checkpointer.grown_to(PAGES_TO_RESTART));
    }
}
