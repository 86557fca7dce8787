//! What a use brings, and how soon it has to be written.

use std::net::IpAddr;
use std::sync::Arc;

use crate::device::Device;
use crate::time::Timestamp;

/// What a use brings, worked out before a partition is locked.
#[derive(Debug)]
pub(in crate::sessions) struct Brought {
    pub(in crate::sessions) at: Timestamp,
    pub(in crate::sessions) ip_address: Option<IpAddr>,
    /// 0 where the client said nothing of itself.
    pub(in crate::sessions) device_fingerprint: u64,
    /// The device, as soon as somebody had to know it.
    pub(in crate::sessions) device: Option<Arc<Device>>,
    /// How soon it has to be written.
    pub(in crate::sessions) haste: Haste,
    /// Whether whoever asks would wait until it is written. Where it would not and must, the use is not recorded: once
    /// recorded, it would no longer look as if it had to be written.
    pub(in crate::sessions) can_wait: bool,
}

/// When a use has to be written before it is answered, so that no other process finds the session expired
/// that is being used in this one.
///
/// What decides is the deadline that the *store* knows, by the last use that it has recorded. Of a session
/// without an unwritten use memory knows that as well. Of one with unwritten uses it does not: the deadline
/// was further away than `near` when the first of them came, and the next round of writing records them
/// long before it. Where rounds do not succeed in time, nothing may wait for them.
#[derive(Clone, Copy, Debug)]
pub(in crate::sessions) struct Haste {
    /// A deadline before it is near.
    pub(in crate::sessions) near: Timestamp,
    /// No round of writing has succeeded for so long that the next one may come too late.
    pub(in crate::sessions) overdue: bool,
}

impl Haste {
    /// Nobody else can find a session expired.
    pub(in crate::sessions) const NONE: Self = Self {
        near: Timestamp::from_millisecond(i64::MIN),
        overdue: false,
    };
}
