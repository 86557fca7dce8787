//! Whether the database can be read and written, told cheaply to any number of askers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::error::Error;

/// What is known of the database's state.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Set by a fault, cleared by the next write that succeeds.
    faulty: AtomicBool,
    /// How many probes have begun.
    begun: AtomicU64,
    /// The last probe that ended: its number and what it found. The lock is held while one runs.
    last: Mutex<Option<(u64, Result<(), Error>)>>,
}

impl Health {
    /// Takes note of how a read or a write went.
    pub(super) fn note(&self, outcome: Result<(), &Error>) {
        match outcome {
            Ok(()) => {
                if self.faulty.swap(false, Ordering::Relaxed) {
                    tracing::info!("the database can be written again");
                }
            }
            Err(error) if error.is_fault() => {
                if !self.faulty.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "the database is unavailable");
                }
            }
            Err(_) => {}
        }
    }

    /// Whether a fault was met, and no write has succeeded since.
    pub(super) fn is_faulty(&self) -> bool {
        self.faulty.load(Ordering::Relaxed)
    }

    /// Asks `probe`, or takes the answer of a probe that began after this call: of any number of askers at
    /// once, two at most have to.
    pub(super) async fn probe<Probe>(&self, probe: impl FnOnce() -> Probe) -> Result<(), Error>
    where
        Probe: Future<Output = Result<(), Error>>,
    {
        let begun_before = self.begun.load(Ordering::Acquire);
        let mut last = self.last.lock().await;
        if let Some((number, found)) = &*last
            && *number > begun_before
        {
            return found.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let found = probe().await;
        *last = Some((number, found.clone()));
        found
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[tokio::test]
    async fn many_askers_at_once_cost_two_probes_at_most() {
        let health = Health::default();
        let probes = AtomicUsize::new(0);
        let ask = || {
            health.probe(|| async {
                probes.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Err(Error::DiskFull)
            })
        };
        let (first, second, third, fourth) = tokio::join!(ask(), ask(), ask(), ask());
        for found in [first, second, third, fourth] {
            assert_eq!(found, Err(Error::DiskFull));
        }
        assert!(probes.load(Ordering::Relaxed) <= 2);
    }

    #[tokio::test]
    async fn a_later_asker_gets_an_answer_of_its_own() {
        let health = Health::default();
        assert_eq!(
            health.probe(|| async { Err(Error::DiskFull) }).await,
            Err(Error::DiskFull)
        );
        assert_eq!(health.probe(|| async { Ok(()) }).await, Ok(()));
    }

    #[test]
    fn a_refused_statement_is_no_fault_and_success_ends_one() {
        let health = Health::default();
        health.note(Err(&Error::Refused("a constraint".into())));
        assert!(!health.is_faulty());
        health.note(Err(&Error::DiskFull));
        assert!(health.is_faulty());
        health.note(Ok(()));
        assert!(!health.is_faulty());
    }
}
