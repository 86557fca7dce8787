//! Those who end all sessions of an account but their own, one after the other.
//!
//! Each of them has to find its own session in the list, and then ends the rest. Two at once would both find
//! theirs and end each other's: nobody is left, and a change of password that was refused has ended the
//! session of the one that was done. The second one finds, in its turn, that its session has ended.
//!
//! Where the store is unavailable to one, it is so to those who waited for it: in turn they would wait for the store one
//! after the other, and the last of them for a minute. Nor does anybody wait for a turn for longer than for the store:
//! whoever had it may have hung up, and left it to the next one.
//!
//! That holds in one process. Two that come to different nodes in the same moment may still end each other:
//! nothing is accepted that should not be, and both have to sign in again.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;

use super::terminate::TerminateError;
use crate::account::AccountKey;
use crate::store::{Store, Unavailable};

/// Whose turn it is, for each account where it is somebody's.
#[derive(Default)]
pub(super) struct Turns {
    accounts: Mutex<HashMap<AccountKey, Turn>>,
}

/// The turns of one account, for as long as somebody has one or waits for it.
#[derive(Default)]
struct Turn {
    /// How many have come so far.
    came: u64,
    /// Held by whoever has the turn.
    held: Arc<tokio::sync::Mutex<Option<Failure>>>,
}

/// A turn in which the store was unavailable.
struct Failure {
    /// How many had come by then: they fail with it.
    came: u64,
    why: Unavailable,
}

impl Turns {
    /// Does `work` when it is its turn among all that is done for this account.
    ///
    /// # Errors
    /// What `work` returned, or that the store was unavailable to somebody whom it waited for.
    pub(super) async fn take<Answer>(
        &self,
        account: &AccountKey,
        store: &dyn Store,
        work: impl Future<Output = Result<Answer, TerminateError>>,
    ) -> Result<Answer, TerminateError> {
        let (came, held) = {
            let mut accounts = self.accounts.lock();
            let turn = accounts.entry(account.clone()).or_default();
            turn.came += 1;
            (turn.came, Arc::clone(&turn.held))
        };
        // Dropped last, when this one waits for nothing any more.
        let _leaving = Leaving {
            turns: self,
            account,
        };
        let mut turn = None;
        let come = async { turn = Some(held.lock_owned().await) };
        store.wait_behind(Box::pin(come)).await?;
        let Some(mut failure) = turn else {
            return Err(Unavailable::because("a turn was waited for and did not come").into());
        };
        if let Some(failure) = failure.as_ref().filter(|failure| came <= failure.came) {
            return Err(failure.why.clone().into());
        }
        let done = work.await;
        if let Err(TerminateError::Unavailable(why)) = &done {
            let came = self
                .accounts
                .lock()
                .get(account)
                .map_or(0, |turn| turn.came);
            *failure = Some(Failure {
                came,
                why: why.clone(),
            });
        }
        drop(failure);
        done
    }
}

/// Whoever leaves, also one who hangs up, sees to it that nothing is kept for an account where nobody waits.
struct Leaving<'a> {
    turns: &'a Turns,
    account: &'a AccountKey,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut accounts = self.turns.accounts.lock();
        // Whoever waits or works holds it too, and takes it under this lock.
        if accounts
            .get(self.account)
            .is_some_and(|turn| Arc::strong_count(&turn.held) == 1)
        {
            accounts.remove(self.account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::people::person;
    use crate::store::memory::MemoryStore;

    #[tokio::test]
    async fn nothing_is_kept_for_an_account_where_nobody_waits() {
        let (turns, store) = (Turns::default(), MemoryStore::default());
        let key = person("ada").key.clone();
        let done = turns.take(&key, &store, async {
            assert_eq!(turns.accounts.lock().len(), 1);
            Ok(7)
        });
        assert_eq!(done.await.unwrap(), 7);
        assert!(turns.accounts.lock().is_empty());
        let hung_up = turns.take(&key, &store, std::future::pending::<Result<(), _>>());
        let gone = tokio::time::timeout(std::time::Duration::ZERO, hung_up).await;
        assert!(gone.is_err());
        assert!(turns.accounts.lock().is_empty());
    }

    #[tokio::test]
    async fn those_who_waited_for_one_who_found_no_store_do_not_wait_for_it_too() {
        let (turns, store) = (Turns::default(), MemoryStore::default());
        let key = person("ada").key.clone();
        let first = turns.take::<()>(&key, &store, async {
            tokio::task::yield_now().await;
            Err(Unavailable::because("it is gone").into())
        });
        let second = turns.take::<()>(&key, &store, async {
            unreachable!("it asks the store again")
        });
        let (first, second) = tokio::join!(first, second);
        for done in [first, second] {
            assert!(matches!(done, Err(TerminateError::Unavailable(_))));
        }
        assert!(turns.accounts.lock().is_empty());
        assert_eq!(turns.take(&key, &store, async { Ok(7) }).await.unwrap(), 7);
    }
}
