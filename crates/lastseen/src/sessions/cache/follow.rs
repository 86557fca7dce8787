//! What other processes did to the store, applied to memory.

use super::{Cache, Lock, Partition};
use crate::session::SessionId;
use crate::store::Change;

impl<Guard: Lock> Cache<Guard> {
    /// When this returns, nothing is answered from memory that `change` contradicts, and what was read
    /// before is not cached any more.
    ///
    /// Uses that the store has not recorded stay until they are written: another token, or a name, leaves
    /// them right, and of a session that ended the store takes none.
    pub(in crate::sessions) fn follow(&self, change: &Change) {
        match change {
            Change::Sessions(ids) => {
                for &id in ids {
                    self.written(id, |partition| partition.forget(id));
                }
            }
            Change::Partitions(all) => {
                for &bits in all {
                    self.partition(bits).with(|partition| {
                        forget_where(partition, |id| id.partition() == bits);
                    });
                }
            }
            Change::Policies(policies) => self.basis.follow(policies),
            Change::Everything => {
                for partition in &self.partitions {
                    partition.with(|partition| forget_where(partition, |_| true));
                }
            }
        }
    }
}

fn forget_where(partition: &mut Partition, gone: impl Fn(SessionId) -> bool) {
    partition.generation += 1;
    partition.forget_where(gone);
}
