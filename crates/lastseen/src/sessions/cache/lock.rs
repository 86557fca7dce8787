//! The lock around a partition, and where it lies.

use super::Partition;

/// A lock around a partition. A trait, so that an interleaving checker can bring its own.
pub(in crate::sessions) trait Lock: Send + Sync {
    fn new(partition: Partition) -> Self;
    fn with<Answer>(&self, act: impl FnOnce(&mut Partition) -> Answer) -> Answer;
}

impl Lock for parking_lot::Mutex<Partition> {
    fn new(partition: Partition) -> Self {
        Self::new(partition)
    }

    #[inline]
    fn with<Answer>(&self, act: impl FnOnce(&mut Partition) -> Answer) -> Answer {
        act(&mut self.lock())
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

    #[inline]
    fn with<Answer>(&self, act: impl FnOnce(&mut Partition) -> Answer) -> Answer {
        self.0.with(act)
    }
}
