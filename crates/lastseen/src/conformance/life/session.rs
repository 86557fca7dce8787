//! A session as simple as can be: all that ever happened to it, and each answer worked out afresh.

use std::sync::Arc;

use crate::account::Account;
use crate::conformance::people::settings;
use crate::policy::Policy;
use crate::session::{SessionId, Status};
use crate::time::Timestamp;

#[expect(
    clippy::struct_excessive_bools,
    reason = "a model that must be right keeps what happened, each by itself"
)]
pub(super) struct ModelSession {
    pub(super) id: SessionId,
    pub(super) account: Arc<Account>,
    pub(super) remembered: bool,
    pub(super) created_at: Timestamp,
    pub(super) last_used_at: Timestamp,
    pub(super) last_address: u8,
    /// Every policy in force since its creation.
    pub(super) policies: Vec<Policy>,
    /// Somebody was told that it has expired: it has, whatever a clock says.
    pub(super) refused: bool,
    pub(super) ended: bool,
    pub(super) left_list_at: Timestamp,
    /// There is no record of it any more.
    pub(super) purged: bool,
}

impl ModelSession {
    pub(super) fn expires_at(&self) -> Timestamp {
        let deadline = |policy: &Policy| {
            let idle = if self.remembered {
                policy.remembered_idle_timeout
            } else {
                policy.idle_timeout
            };
            let absolute = self.created_at.saturating_add(policy.absolute_lifetime);
            absolute.min(self.last_used_at.saturating_add(idle))
        };
        self.policies
            .iter()
            .map(deadline)
            .min()
            .expect("a session is created under a policy")
    }

    pub(super) fn status(&self, now: Timestamp) -> Status {
        if now < self.expires_at() && !self.refused {
            Status::Active
        } else {
            Status::Expired
        }
    }

    pub(super) fn listed(&self, now: Timestamp) -> bool {
        !self.ended && now < self.expires_at().saturating_add(settings().keep_expired)
    }

    pub(super) fn end(&mut self, now: Timestamp) {
        self.ended = true;
        let leaves = self.expires_at().saturating_add(settings().keep_expired);
        self.left_list_at = now.min(leaves);
    }
}
