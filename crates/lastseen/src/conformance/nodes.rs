//! What several nodes over one store make of it: two [`Sessions`](crate::Sessions), each with a lease that
//! the test holds in its hand.
//!
//! Every function takes an empty store that keeps the mark of [`Store::expire`]. What a store with leases of
//! its own does between its processes is scripted here, the worst that it may do: a node with a lease is
//! told of a change before that is answered, or its lease is over by then; one without a lease is told of
//! nothing.

mod changes;
mod expiry;
mod lists;
mod terms;
mod world;

use std::sync::Arc;

pub use changes::*;
pub use expiry::*;
pub use lists::*;
pub use terms::*;
pub use world::{Call, Gate, Node, NodeStore, two_nodes, two_nodes_with};

use super::people::{LAPTOP, after, visit};
use crate::session::EndedBy;
use crate::sessions::{Refusal, Verdict};
use crate::store::{Store, Unavailable};
use crate::time::Timestamp;
use crate::token::SessionToken;

type AnyStore = Arc<dyn Store>;

impl Node {
    /// What becomes of a token, also where nobody can tell.
    async fn shown(&self, token: &SessionToken, now: Timestamp) -> Result<Verdict, Unavailable> {
        let text = token.reveal();
        (self.house.sessions)
            .validate(text.as_bytes(), &visit(7, LAPTOP), now)
            .await
    }

    async fn accepts(&self, token: &SessionToken, now: Timestamp) -> bool {
        self.house.accepts(token, now).await
    }

    /// Why a token is refused.
    async fn refuses(&self, token: &SessionToken, now: Timestamp) -> Option<Refusal> {
        match self.house.show(token, now).await {
            Verdict::Active(_) => None,
            Verdict::Refused(refusal) => Some(refusal),
        }
    }

    /// Accepts a token twice, and asks the store for it once at most: it is in memory then.
    async fn keeps_ready(&self, token: &SessionToken, now: Timestamp) {
        assert!(self.accepts(token, now).await);
        let reads = self.reads();
        assert!(self.accepts(token, now).await);
        assert_eq!(self.reads(), reads, "it is answered from memory");
    }

    async fn terminate(&self, created: &crate::Created, second: u64) {
        let ended = (self.house.sessions)
            .terminate(
                &created.session.account.key,
                &[created.session.id],
                EndedBy::Command,
                after(second),
            )
            .await;
        assert_eq!(ended.expect("the store is in order"), 1);
    }

    async fn flush(&self, now: Timestamp) {
        let flushed = self.house.sessions.flush(now).await;
        flushed.expect("the store is in order");
    }
}
