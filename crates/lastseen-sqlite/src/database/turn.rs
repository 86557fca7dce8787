//! How long work goes on that nobody waits for.

use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::writer::WriteJob;

/// How long it goes on where somebody waits: enough that it gets on beside any load, and that its fsync is not most of
/// what it costs.
const SHORTEST: Duration = Duration::from_millis(1);
#[expect(
    clippy::disallowed_methods,
    reason = "no verdict and no record goes by it, only how much is done at once"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// The turn of work that gives way to whoever waits: see
/// [`Database::write_giving_way`](crate::Database::write_giving_way).
///
/// It goes by time, because what a row costs differs a hundredfold: whether its pages are in memory, and whether the
/// row before it has changed the same ones.
#[derive(Debug)]
pub struct Turn<'writer> {
    began: Instant,
    longest: Duration,
    waiting: &'writer Receiver<Box<dyn WriteJob>>,
}

impl<'writer> Turn<'writer> {
    /// One that begins at this moment, and lasts for `longest` where nobody is among `waiting`.
    pub(super) fn begin(longest: Duration, waiting: &'writer Receiver<Box<dyn WriteJob>>) -> Self {
        Self {
            began: now(),
            longest,
            waiting,
        }
    }

    /// Until when nothing gives way again, where somebody waits at its end: for as long as it took, its commit included.
    /// So others have half of the time at least, and a disk that is slow is given less to do.
    pub(super) fn rest(&self) -> Option<Instant> {
        let took = self.began.elapsed();
        (!self.waiting.is_empty()).then(|| self.began + 2 * took)
    }

    /// Whether the work is to stop here, and to leave what is left to its next turn. Work that stops before it has
    /// done anything never gets on.
    pub fn is_over(&self) -> bool {
        let took = self.began.elapsed();
        took >= self.longest || took >= SHORTEST && !self.waiting.is_empty()
    }
}
