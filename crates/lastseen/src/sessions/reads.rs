//! Reads of the store that are under way: however many ask for one session at once, it is read once.
//!
//! After a restart every device comes back at the same time, and a page asks for its session several
//! times over. Whoever joins a read gets what it saw; so only those may join who could have begun it:
//! the read goes by the session *and* its partition's generation. Where a write was applied since the
//! read began, the generation has moved, and a new read begins. What was terminated is thus never
//! accepted by way of an older read. Where others write the store too, the read also goes by the term that
//! ran before it; without a lease nobody would move the generation, and nobody may join.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::cache::Fill;
use crate::session::SessionId;
use crate::store::{Record, Term, Unavailable};

/// What a read has found, or why it found nothing out: shared by all who wait for it. Were only the first to
/// fail, the others would wait for a store that does not answer one after the other.
type Found = Result<Option<Arc<Record>>, Unavailable>;

/// What reads go by: the session, the generation of its partition, and the term.
type Key = (SessionId, (u64, Option<Term>));

#[derive(Default)]
pub(super) struct Reads {
    under_way: Mutex<HashMap<Key, Arc<OnceCell<Found>>>>,
    /// Reads that the store was asked for.
    begun: AtomicU64,
}

impl Reads {
    /// What `read` finds, or what an equal read finds that is under way.
    pub(super) async fn join<Read>(
        &self,
        id: SessionId,
        fill: &Fill,
        read: impl FnOnce() -> Read,
    ) -> Found
    where
        Read: Future<Output = Result<Option<Record>, Unavailable>>,
    {
        let key = (id, fill.known_before());
        let cell = Arc::clone(self.under_way.lock().entry(key).or_default());
        let leaving = Leaving { reads: self, key };
        let found = cell
            .get_or_init(|| async {
                self.begun.fetch_add(1, Ordering::Relaxed);
                Ok(read().await?.map(Arc::new))
            })
            .await
            .clone();
        drop(leaving);
        found
    }

    /// How many reads the store was asked for so far.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }
}

/// Whoever leaves, also one who hangs up, sees to it that nobody joins what is over. Others who wait
/// keep what they wait for.
struct Leaving<'a> {
    reads: &'a Reads,
    key: Key,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.reads.under_way.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::Notify;

    use super::*;
    use crate::conformance::people::{Dice, MORNING, person, record};

    #[tokio::test]
    async fn however_many_ask_at_once_the_store_is_read_once() {
        let (reads, begun, go_on) = (Reads::default(), AtomicUsize::new(0), Notify::new());
        let ada = record(&person("ada"), MORNING, &Dice::default());
        let fill = Fill::of_generation(ada.id.partition(), 1);
        let ask = async || {
            let read = || async {
                begun.fetch_add(1, Ordering::Relaxed);
                go_on.notified().await;
                Ok(Some(ada.clone()))
            };
            reads.join(ada.id, &fill, read).await.unwrap().unwrap().id
        };
        let (first, second, third, ()) =
            tokio::join!(ask(), ask(), ask(), async { go_on.notify_one() });
        assert_eq!([first, second, third], [ada.id; 3]);
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        assert_eq!(reads.begun(), 1);
        assert!(reads.under_way.lock().is_empty());
    }

    #[tokio::test]
    async fn those_who_joined_a_read_that_failed_do_not_read_again_one_after_the_other() {
        let reads = Reads::default();
        let id = record(&person("ada"), MORNING, &Dice::default()).id;
        let fill = Fill::of_generation(id.partition(), 1);
        let ask = async || {
            let read = || async {
                tokio::task::yield_now().await;
                Err(Unavailable::because("it is gone"))
            };
            reads.join(id, &fill, read).await
        };
        let (first, second, third) = tokio::join!(ask(), ask(), ask());
        assert!(first.is_err() && second.is_err() && third.is_err());
        assert_eq!(reads.begun(), 1);
        // Whoever comes later asks anew.
        assert!(ask().await.is_err());
        assert_eq!(reads.begun(), 2);
    }

    #[tokio::test]
    async fn nobody_joins_a_read_that_began_before_a_write() {
        let (reads, begun) = (Reads::default(), AtomicUsize::new(0));
        let ada = record(&person("ada"), MORNING, &Dice::default());
        let ask = async |generation| {
            let read = || async {
                begun.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok(None)
            };
            let fill = Fill::of_generation(ada.id.partition(), generation);
            reads.join(ada.id, &fill, read).await.unwrap()
        };
        tokio::join!(ask(1), ask(2));
        assert_eq!(begun.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn one_who_hangs_up_leaves_the_read_to_the_next() {
        let reads = Reads::default();
        let ada = record(&person("ada"), MORNING, &Dice::default());
        let fill = Fill::of_generation(ada.id.partition(), 1);
        let mut endless = Box::pin(reads.join(ada.id, &fill, std::future::pending));
        let begun = std::future::poll_fn(|context| {
            std::task::Poll::Ready(endless.as_mut().poll(context).is_pending())
        });
        assert!(begun.await);
        drop(endless);
        let found = reads
            .join(ada.id, &fill, async || Ok(Some(ada.clone())))
            .await;
        assert_eq!(found.unwrap().unwrap().id, ada.id);
    }
}
