//! Copies the log into the database file, beside the writer rather than in its way.
//!
//! Every commit appends pages to the log. From [`PAGES_TO_RESTART`] on this thread copies them over, while writers and
//! readers go on. Under steady load it never catches up entirely, and a log begins anew only once it has been copied
//! entirely. So the thread makes one round after the other, each shorter than the one before, until so little is left
//! that the writer can copy it between two groups. Meanwhile what nobody waits for waits: it is what fills the log
//! fastest.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, DEFAULT_NAME};

use crate::connection;
use crate::file::Ownership;

/// 16 MB. Seldom enough that a page changed many times is copied once; often enough that the log is soon written over
/// rather than made longer, which takes the file system twice as long to synchronize. What a start after a crash has to
/// read again, at most about.
const PAGES_TO_RESTART: u64 = 4_000;
/// What the writer copies itself, with everybody who writes waiting: some milliseconds' worth.
const SMALL_REST: u64 = 500;
/// Rounds before a log that is to begin anew. Where so many do not bring its rest down, a reader is in the way, or the
/// thread cannot keep up; then what waits for it goes on.
const ROUNDS: u32 = 12;
/// 256 MB. From here on the writer copies whatever is left: rather a pause than a full disk. A thread that cannot
/// keep up, or a backup that reads for long, lets the log grow so far.
const LONGEST_LOG: u64 = 64_000;

/// The writer's end: says how the log grows, hears how far it was copied.
pub(super) struct Checkpointer {
    wake: Sender<()>,
    /// Hears of each round that has ended.
    done: Receiver<()>,
    copied: Arc<AtomicU64>,
    /// The length of the log from which on it is to begin anew.
    next_restart: u64,
    /// Rounds since it is to begin anew.
    rounds: u32,
    /// The end of the last of them was heard.
    heard: bool,
}

/// The thread's end.
pub(super) struct Copier {
    connection: Connection,
    /// Given up after the connection.
    ownership: Arc<Ownership>,
    wake: Receiver<()>,
    done: Sender<()>,
    /// Pages of the log that are in the file, and on the disk there.
    copied: Arc<AtomicU64>,
}

/// Both ends, for the database at `path`.
pub(super) fn checkpointer(
    path: &Path,
    ownership: &Arc<Ownership>,
) -> rusqlite::Result<(Checkpointer, Copier)> {
    let connection = connection::open(path)?;
    // It copies pages past its cache, so the smallest will do.
    connection::set_up(&connection, 0)?;
    let (checkpointer, wake, done) = Checkpointer::new();
    let copier = Copier {
        connection,
        ownership: Arc::clone(ownership),
        wake,
        done,
        copied: Arc::clone(&checkpointer.copied),
    };
    Ok((checkpointer, copier))
}

impl Checkpointer {
    /// With what the thread needs: to be woken, and to say that a round is done.
    fn new() -> (Self, Receiver<()>, Sender<()>) {
        // One reminder is as good as several.
        let (wake, woken) = bounded(1);
        let (say_done, done) = bounded(1);
        let checkpointer = Self {
            wake,
            done,
            copied: Arc::default(),
            next_restart: PAGES_TO_RESTART,
            rounds: 0,
            heard: false,
        };
        (checkpointer, woken, say_done)
    }

    /// The log has `pages` now, or a round is done. True where the writer should make the log begin anew.
    pub(super) fn grown_to(&mut self, pages: u64) -> bool {
        if pages < PAGES_TO_RESTART {
            // It has begun anew.
            self.next_restart = PAGES_TO_RESTART;
            self.rounds = 0;
            self.heard = false;
            self.copied.store(0, Ordering::Relaxed);
            return false;
        }
        if pages < self.next_restart {
            return false;
        }
        if pages >= LONGEST_LOG {
            self.put_off(pages);
            return true;
        }
        if self.rounds > 0 {
            match self.done.try_recv() {
                Err(TryRecvError::Empty) if !self.heard => return false,
                Err(TryRecvError::Disconnected) => {
                    self.put_off(pages);
                    return false;
                }
                Ok(()) | Err(TryRecvError::Empty) => self.heard = false,
            }
            let rest = pages.saturating_sub(self.copied.load(Ordering::Relaxed));
            if rest <= SMALL_REST || self.rounds >= ROUNDS {
                self.put_off(pages);
                return rest <= SMALL_REST;
            }
        }
        self.rounds += 1;
        self.wake();
        false
    }

    /// Where it does not begin anew after all: not at every commit from now on.
    fn put_off(&mut self, pages: u64) {
        self.rounds = 0;
        self.heard = false;
        self.next_restart = pages + PAGES_TO_RESTART;
    }

    fn wake(&self) {
        // A full channel is a reminder that was not heard yet.
        let _ = self.wake.try_send(());
    }

    /// A round is done, as [`Checkpointer::under_way`] has said.
    pub(super) fn hear(&mut self) {
        self.heard = true;
    }

    /// Hears of the next round that is done, where the log is to begin anew and what nobody waits for is to wait.
    pub(super) fn under_way(&self) -> Option<&Receiver<()>> {
        (self.rounds > 0).then_some(&self.done)
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
                    // SQLite does so only where a round has reached the log's end, which it never does under load.
                    // Then the writer would do it for everything at once, when the log begins anew.
                    if let Err(error) = self.ownership.synchronize() {
                        tracing::warn!(%error, "what was copied into the database could not be synchronized");
                    }
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
            // Where the last one was not heard, this is the same news.
            let _ = self.done.try_send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_is_left_alone_while_the_log_is_short() {
        let (mut checkpointer, woken, _done) = Checkpointer::new();
        for pages in 1..PAGES_TO_RESTART {
            assert!(!checkpointer.grown_to(pages));
        }
        assert!(woken.is_empty());
        assert!(!checkpointer.grown_to(PAGES_TO_RESTART));
        woken.try_recv().unwrap();
    }

    #[test]
    fn a_long_log_begins_anew_once_a_round_has_left_little() {
        let (mut checkpointer, woken, done) = Checkpointer::new();
        assert!(checkpointer.under_way().is_none());
        assert!(!checkpointer.grown_to(PAGES_TO_RESTART));
        assert!(checkpointer.under_way().is_some(), "upkeep waits for it");
        woken.try_recv().unwrap();
        assert!(
            !checkpointer.grown_to(PAGES_TO_RESTART + 1),
            "the round takes a while"
        );
        checkpointer
            .copied
            .store(PAGES_TO_RESTART - SMALL_REST, Ordering::Relaxed);
        done.send(()).unwrap();
        assert!(
            !checkpointer.grown_to(PAGES_TO_RESTART + 1),
            "too much is left"
        );
        woken.try_recv().unwrap();
        checkpointer
            .copied
            .store(PAGES_TO_RESTART, Ordering::Relaxed);
        done.send(()).unwrap();
        assert!(checkpointer.grown_to(PAGES_TO_RESTART + 2));
        assert!(
            !checkpointer.grown_to(PAGES_TO_RESTART + 3),
            "a reader in the way is not tried at every commit"
        );
        assert!(checkpointer.under_way().is_none());
    }

    #[test]
    fn where_rounds_leave_as_much_as_before_upkeep_goes_on() {
        let (mut checkpointer, _woken, done) = Checkpointer::new();
        for _ in 0..ROUNDS {
            assert!(!checkpointer.grown_to(PAGES_TO_RESTART));
            assert!(checkpointer.under_way().is_some());
            done.send(()).unwrap();
        }
        assert!(!checkpointer.grown_to(PAGES_TO_RESTART));
        assert!(checkpointer.under_way().is_none());
        assert!(!checkpointer.grown_to(2 * PAGES_TO_RESTART));
        assert!(
            checkpointer.under_way().is_some(),
            "later it is tried again"
        );
    }

    #[test]
    fn where_the_thread_has_gone_upkeep_goes_on() {
        let (mut checkpointer, _woken, done) = Checkpointer::new();
        assert!(!checkpointer.grown_to(PAGES_TO_RESTART));
        drop(done);
        assert!(!checkpointer.grown_to(PAGES_TO_RESTART));
        assert!(checkpointer.under_way().is_none());
    }

    #[test]
    fn the_longest_log_begins_anew_whatever_is_left_to_copy() {
        let (mut checkpointer, _woken, _done) = Checkpointer::new();
        assert!(checkpointer.grown_to(LONGEST_LOG));
    }

    #[test]
    fn a_log_that_began_anew_is_not_taken_for_a_copied_one() {
        let (mut checkpointer, _woken, _done) = Checkpointer::new();
        checkpointer
            .copied
            .store(PAGES_TO_RESTART, Ordering::Relaxed);
        assert!(!checkpointer.grown_to(0));
        assert!(!checkpointer.grown_to(PAGES_TO_RESTART));
    }
}
