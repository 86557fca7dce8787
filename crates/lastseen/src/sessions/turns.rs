//! Those who end all sessions of an account but their own, one after the other.
//!
//! Each of them has to find its own session in the list, and then ends the rest. Two at once would both find
//! theirs and end each other's: nobody is left, and a change of password that was refused has ended the
//! session of the one that was done. The second one finds, in its turn, that its session has ended.
//!
//! That holds in one process. Two that come to different nodes in the same moment may still end each other:
//! nothing is accepted that should not be, and both have to sign in again.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::account::AccountKey;

/// Whose turn it is, for each account where it is somebody's.
#[derive(Default)]
pub(super) struct Turns {
    accounts: Mutex<HashMap<AccountKey, Arc<tokio::sync::Mutex<()>>>>,
}

impl Turns {
    /// Does `work` when it is its turn among all that is done for this account.
    pub(super) async fn take<Work: Future>(
        &self,
        account: &AccountKey,
        work: Work,
    ) -> Work::Output {
        let turn = Arc::clone(self.accounts.lock().entry(account.clone()).or_default());
        // Dropped last, when this one waits for nothing any more.
        let _leaving = Leaving {
            turns: self,
            account,
        };
        let turn = turn.lock_owned().await;
        let done = work.await;
        drop(turn);
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
            .is_some_and(|turn| Arc::strong_count(turn) == 1)
        {
            accounts.remove(self.account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::people::person;

    #[tokio::test]
    async fn nothing_is_kept_for_an_account_where_nobody_waits() {
        let turns = Turns::default();
        let key = person("ada").key.clone();
        let done = turns.take(&key, async {
            assert_eq!(turns.accounts.lock().len(), 1);
            7
        });
        assert_eq!(done.await, 7);
        assert!(turns.accounts.lock().is_empty());
        let hung_up = turns.take(&key, std::future::pending::<()>());
        let gone = tokio::time::timeout(std::time::Duration::ZERO, hung_up).await;
        assert!(gone.is_err());
        assert!(turns.accounts.lock().is_empty());
    }
}
