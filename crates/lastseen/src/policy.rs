//! How long a session may live.

use std::time::Duration;

use crate::session::Session;
use crate::time::{Timestamp, milliseconds};

/// The limits that sessions are created under.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Policy {
    /// The longest pause between two uses, where the device is not remembered.
    pub idle_timeout: Duration,
    /// The longest pause between two uses, where it is.
    pub remembered_idle_timeout: Duration,
    /// The longest age.
    pub absolute_lifetime: Duration,
}

impl Policy {
    /// The stricter of two policies, limit by limit.
    fn tightest(self, other: Self) -> Self {
        Self {
            idle_timeout: self.idle_timeout.min(other.idle_timeout),
            remembered_idle_timeout: self
                .remembered_idle_timeout
                .min(other.remembered_idle_timeout),
            absolute_lifetime: self.absolute_lifetime.min(other.absolute_lifetime),
        }
    }
}

/// The place of a policy in the history of policies; a session keeps that of its creation.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct PolicyNumber(pub u32);

/// The policies that were ever in force over one store, oldest first, and what follows from them.
///
/// A session is bound by every policy since its creation: the one it was created under, and each that
/// came later. So a tightened setting shortens it at once, a loosened one never lengthens it, and what a
/// tighter setting has ended stays ended when the setting is loosened again.
#[derive(Clone, Debug)]
pub struct PolicyHistory {
    /// At each place the tightest of all policies from there on.
    tightest_since: Vec<Policy>,
    /// The same, as every verdict reckons with them.
    limits: Vec<Limits>,
}

/// The limits of a policy in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Limits {
    idle: i64,
    remembered_idle: i64,
    absolute: i64,
}

impl From<&Policy> for Limits {
    fn from(policy: &Policy) -> Self {
        Self {
            idle: milliseconds(policy.idle_timeout),
            remembered_idle: milliseconds(policy.remembered_idle_timeout),
            absolute: milliseconds(policy.absolute_lifetime),
        }
    }
}

impl PolicyHistory {
    /// The history of `policies`, oldest first. Empty is no history: the store records one at opening.
    pub fn new(policies: &[Policy]) -> Option<Self> {
        let mut tightest_since = policies.to_vec();
        for place in (1..tightest_since.len()).rev() {
            tightest_since[place - 1] = tightest_since[place - 1].tightest(tightest_since[place]);
        }
        (!tightest_since.is_empty()).then(|| Self {
            limits: tightest_since.iter().map(Limits::from).collect(),
            tightest_since,
        })
    }

    /// The number of the policy in force.
    pub fn current(&self) -> PolicyNumber {
        PolicyNumber(u32::try_from(self.tightest_since.len() - 1).unwrap_or(u32::MAX))
    }

    /// The shortest idle timeout of the policy in force.
    pub(crate) fn shortest_idle(&self) -> Duration {
        let in_force = &self.tightest_since[self.tightest_since.len() - 1];
        in_force.idle_timeout.min(in_force.remembered_idle_timeout)
    }

    /// What binds a session that was created under policy `number`.
    ///
    /// A number that this history does not hold is bound by all of it: when in doubt, the tightest.
    #[inline]
    fn binding(&self, number: PolicyNumber) -> Limits {
        let place = usize::try_from(number.0).unwrap_or(usize::MAX);
        *self.limits.get(place).unwrap_or(&self.limits[0])
    }

    /// The two deadlines of a session: the end of the pause since its last use, and of its age.
    #[inline]
    pub fn deadlines(
        &self,
        number: PolicyNumber,
        remembered: bool,
        created_at: Timestamp,
        last_used_at: Timestamp,
    ) -> Deadlines {
        let limits = self.binding(number);
        let idle = if remembered {
            limits.remembered_idle
        } else {
            limits.idle
        };
        Deadlines {
            idle: last_used_at.saturating_add_milliseconds(idle),
            absolute: created_at.saturating_add_milliseconds(limits.absolute),
        }
    }
}

/// The two instants from which on a session is expired, whichever comes first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deadlines {
    /// The end of the idle timeout: every use moves it.
    pub idle: Timestamp,
    /// The end of the absolute lifetime: nothing moves it.
    pub absolute: Timestamp,
}

impl Deadlines {
    /// The earlier of the two: `expires_at` in the contract.
    pub fn expires_at(self) -> Timestamp {
        self.idle.min(self.absolute)
    }
}

/// How long expired and ended sessions are kept, and how much is kept ready.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The limits for sessions created from now on.
    pub policy: Policy,
    /// How many sessions an account may have in its list; beyond it the one unused for longest ends.
    pub max_sessions_per_account: Option<std::num::NonZeroU32>,
    /// How much of last use a crash may lose.
    pub touch_interval: Duration,
    /// How long an expired session stays in its owner's list.
    pub keep_expired: Duration,
    /// How long the record of a session that left the list is kept.
    pub keep_ended: Duration,
    /// Bytes that sessions kept ready in memory may take.
    pub cache_memory: u64,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for Settings {
    /// The contract's defaults.
    fn default() -> Self {
        Self {
            policy: Policy {
                idle_timeout: DAY / 2,
                remembered_idle_timeout: 14 * DAY,
                absolute_lifetime: 30 * DAY,
            },
            max_sessions_per_account: std::num::NonZeroU32::new(1000),
            touch_interval: Duration::from_secs(60),
            keep_expired: 30 * DAY,
            keep_ended: 90 * DAY,
            // Two and a half million sessions; see `sessions/cache.rs` for what one takes.
            cache_memory: 512 << 20,
        }
    }
}

/// The shortest pause between two rounds of writing uses.
const SHORTEST_FLUSH_PERIOD: Duration = Duration::from_millis(500);

impl Settings {
    /// How often uses are to be written: twice a touch interval, so that the time a write takes does not push
    /// what a crash may lose beyond the interval. Where others read the store too, also four times in the
    /// shortest idle timeout, so that they do not take a session for one that is not used.
    pub(crate) fn flush_period(&self, read_by_others: Option<Duration>) -> Duration {
        let shortest_idle = read_by_others.unwrap_or(Duration::MAX);
        (self.touch_interval / 2)
            .min(shortest_idle / 4)
            .max(SHORTEST_FLUSH_PERIOD)
    }

    /// Whether a session is still in its owner's list at `now`.
    pub(crate) fn lists(&self, session: &Session, now: Timestamp) -> bool {
        now < session.expires_at.saturating_add(self.keep_expired)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(idle: u64, remembered: u64, absolute: u64) -> Policy {
        Policy {
            idle_timeout: Duration::from_secs(idle),
            remembered_idle_timeout: Duration::from_secs(remembered),
            absolute_lifetime: Duration::from_secs(absolute),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millisecond(second * 1000)
    }

    #[test]
    fn a_session_expires_at_the_earlier_of_its_two_deadlines() {
        let history = PolicyHistory::new(&[policy(10, 20, 100)]).unwrap();
        let fresh = history.deadlines(PolicyNumber(0), false, at(0), at(50));
        assert_eq!(fresh.expires_at(), at(60));
        let old = history.deadlines(PolicyNumber(0), false, at(0), at(95));
        assert_eq!(old.expires_at(), at(100));
    }

    #[test]
    fn a_remembered_device_has_its_own_idle_timeout() {
        let history = PolicyHistory::new(&[policy(10, 20, 100)]).unwrap();
        assert_eq!(
            history
                .deadlines(PolicyNumber(0), true, at(0), at(0))
                .expires_at(),
            at(20)
        );
    }

    #[test]
    fn a_tightened_setting_shortens_a_session_at_once() {
        let history = PolicyHistory::new(&[policy(10, 20, 100), policy(5, 20, 100)]).unwrap();
        assert_eq!(
            history
                .deadlines(PolicyNumber(0), false, at(0), at(0))
                .expires_at(),
            at(5)
        );
    }

    #[test]
    fn a_loosened_setting_never_lengthens_a_session() {
        let history = PolicyHistory::new(&[policy(10, 20, 100), policy(50, 20, 100)]).unwrap();
        assert_eq!(
            history
                .deadlines(PolicyNumber(0), false, at(0), at(0))
                .expires_at(),
            at(10)
        );
        assert_eq!(
            history
                .deadlines(PolicyNumber(1), false, at(0), at(0))
                .expires_at(),
            at(50)
        );
    }

    #[test]
    fn what_a_tightened_setting_has_ended_is_not_revived_when_it_is_loosened_again() {
        let history =
            PolicyHistory::new(&[policy(10, 20, 100), policy(5, 20, 100), policy(10, 20, 100)])
                .unwrap();
        assert_eq!(
            history
                .deadlines(PolicyNumber(0), false, at(0), at(0))
                .expires_at(),
            at(5)
        );
    }

    #[test]
    fn a_policy_that_the_history_does_not_hold_binds_with_all_of_it() {
        let history = PolicyHistory::new(&[policy(10, 20, 100), policy(5, 30, 200)]).unwrap();
        assert_eq!(
            history
                .deadlines(PolicyNumber(9), false, at(0), at(0))
                .expires_at(),
            at(5)
        );
    }

    prop_compose! {
        fn any_policy()(idle in 1_u64..500, remembered in 1_u64..500, absolute in 1_u64..500) -> Policy {
            policy(idle, remembered, absolute)
        }
    }

    proptest! {
        #[test]
        fn another_policy_never_moves_a_deadline_later(
            policies in proptest::collection::vec(any_policy(), 1..6),
            next in any_policy(),
            number in 0_usize..6,
            remembered in any::<bool>(),
            used in 0_i64..400,
        ) {
            let number = PolicyNumber(u32::try_from(number % policies.len()).unwrap());
            let before = PolicyHistory::new(&policies).unwrap().deadlines(number, remembered, at(0), at(used));
            let more: Vec<_> = policies.iter().copied().chain([next]).collect();
            let after = PolicyHistory::new(&more).unwrap().deadlines(number, remembered, at(0), at(used));
            prop_assert!(after.idle <= before.idle);
            prop_assert!(after.absolute <= before.absolute);
        }
    }
}
