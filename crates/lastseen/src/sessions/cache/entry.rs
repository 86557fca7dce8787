//! A session as it is kept ready: what it takes in memory is what every cached session takes.

use std::net::IpAddr;
use std::sync::Arc;

use super::places::NOWHERE;
use crate::account::Account;
use crate::device::Device;
use crate::policy::{PolicyHistory, PolicyNumber};
use crate::session::{Session, SessionId, SessionView};
use crate::store::{Origin, Record, Use};
use crate::time::Timestamp;
use crate::token::SecretHash;

/// A session kept ready, in a pair of lines of the processor's cache, which are fetched at once. The first holds what a
/// validation looks at before it knows whether the token is right.
///
/// What few sessions have, a token of the pages, lies beside the entries.
#[derive(Debug)]
#[repr(C, align(128))]
pub(in crate::sessions) struct Entry {
    pub(super) id: SessionId,
    pub(super) token_hash: SecretHash,
    pub(super) last_used_at: Timestamp,
    pub(super) account: Arc<Account>,
    pub(super) device: Arc<Device>,
    pub(super) created_at: Timestamp,
    /// What the device was worked out from; 0 where that is not known.
    pub(super) device_mark: DeviceMark,
    pub(super) policy: PolicyNumber,
    pub(super) token_generation: u32,
    /// The place of its account's index entry.
    pub(super) account_at: u32,
    /// Its neighbours in the account's chain, newest use first.
    pub(super) newer: u32,
    pub(super) older: u32,
    pub(super) ip_address: Option<IpAddr>,
    pub(super) remembered: bool,
    /// It has a use that the store has not recorded: it must not be dropped.
    pub(super) unwritten: bool,
    /// The store may know better: it must be read again before it answers.
    pub(super) doubtful: bool,
    /// It was used since its account's chain was in order, and has not moved there yet.
    pub(super) misplaced: bool,
}

/// Two lines of 64 bytes; a byte more would be another line, and a third of the memory.
const _: () = assert!(size_of::<Entry>() == 128);

/// Half of a description's fingerprint: what tells that a session still comes from the device that it came from.
///
/// Of two billion changes of a device one goes by unseen. The whole fingerprint decides what a device is called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sessions) struct DeviceMark(u32);

impl DeviceMark {
    /// Of a device that nothing is known of.
    pub(in crate::sessions) const NONE: Self = Self(0);

    /// The mark of a description's fingerprint, which is 0 where the client said nothing.
    pub(in crate::sessions) fn of(fingerprint: u64) -> Self {
        // The lowest bit is given up, so that no description has the mark of none.
        Self((fingerprint >> 32) as u32 | u32::from(fingerprint != 0))
    }
}

impl Entry {
    /// What the store has said of a session, in no chain yet.
    pub(super) fn new(
        record: &Record,
        account: Arc<Account>,
        account_at: u32,
        doubtful: bool,
    ) -> Self {
        Self {
            id: record.id,
            token_hash: record.token_hash,
            last_used_at: record.last_used_at,
            account,
            device: Arc::clone(&record.last.device),
            created_at: record.created_at,
            device_mark: DeviceMark::NONE,
            policy: record.policy,
            token_generation: record.token_generation,
            account_at,
            newer: NOWHERE,
            older: NOWHERE,
            ip_address: record.last.ip_address,
            remembered: record.remembered,
            unwritten: false,
            doubtful,
            misplaced: false,
        }
    }

    /// The session as those outside see it.
    ///
    /// Not by way of its view: for each session of a list, that costs a second copy.
    #[inline]
    pub(super) fn session(&self, history: &PolicyHistory) -> Session {
        let deadlines = history.deadlines(
            self.policy,
            self.remembered,
            self.created_at,
            self.last_used_at,
        );
        Session {
            id: self.id,
            account: Arc::clone(&self.account),
            remembered: self.remembered,
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            ip_address: self.ip_address,
            device: Arc::clone(&self.device),
            expires_at: deadlines.expires_at(),
            absolute_deadline: deadlines.absolute,
            expired: false,
        }
    }

    /// The same for those who only look, while the partition is locked.
    #[inline]
    pub(super) fn view(&self, history: &PolicyHistory) -> SessionView<'_> {
        let deadlines = history.deadlines(
            self.policy,
            self.remembered,
            self.created_at,
            self.last_used_at,
        );
        SessionView {
            id: self.id,
            account: &self.account,
            remembered: self.remembered,
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            ip_address: self.ip_address,
            device: &self.device,
            expires_at: deadlines.expires_at(),
            absolute_deadline: deadlines.absolute,
            expired: false,
        }
    }

    /// Its last use, where the store has not recorded it.
    pub(super) fn unwritten_use(&self) -> Option<Use> {
        self.unwritten.then(|| Use {
            id: self.id,
            at: self.last_used_at,
            origin: Origin {
                ip_address: self.ip_address,
                device: Arc::clone(&self.device),
            },
        })
    }

    /// Its place in a list: by last use, and by id among uses of one millisecond.
    pub(super) fn order(&self) -> (Timestamp, SessionId) {
        (self.last_used_at, self.id)
    }
}
