//! The lock around a partition, and where it lies.

use super::Partition;

/// A lock around a partition. A trait, so that an interleaving checker can bring its own.
pub(in crate::sessions) trait Lock: Send + Sync {
    fn new(partition: Partition) -> Self;
    fn with<Answer>(&self, act: impl FnOnce(&mut Partition) -> Answer) -> Answer;
    /// Has the processor fetch the lock and what lies beside it, without waiting for that.
    fn approach(&self) {}
}

impl Lock for parking_lot::Mutex<Partition> {
    fn new(partition: Partition) -> Self {
        Self::new(partition)
    }

    fn with<Answer>(&self, act: impl FnOnce(&mut Partition) -> Answer) -> Answer {
        act(&mut self.lock())
    }

    #[inline]
    fn approach(&self) {
        // What it says does not matter, only that it is read.
        std::hint::black_box(self.is_locked());
    }
}

/// A lock that shares no line of the processor's cache with another.
#[derive(Debug)]
#[repr(align(64))]
pub(in crate::sessions) struct Aligned<Guard>(Guard);

impl<Guard: Lock> Lock for Aligned<Guard> {
    fn new(partition: Partition) -> Self {
        Self(Guard::new(partition))
    }

    fn with<Answer>(&self, act: impl FnOnce(&mut Partition) -> Answer) -> Answer {
        self.0.with(act)
    }

    #[inline]
    fn approach(&self) {
        self.0.approach();
    }
}
