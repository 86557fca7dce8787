//! How many failures to sign in are too many: the rules, without a store or a clock.
//!
//! Three limits, of which a try has to pass one or two:
//!
//! * a **pair** of a name and an address: 10 failures within 15 minutes ([`RecentFailures`]);
//! * a **name**, wherever the tries come from: 100 failures, of which one is forgiven every 15 minutes
//!   ([`Pressure`]);
//! * a **known visitor**, a browser that has signed in to the account before or a session that asks for a
//!   new password: 10 failures within 15 minutes of its own. It has to pass nothing but this one, so no
//!   stranger can lock the owner out, not even one behind the same address.
//!
//! Only failures count, and a failure is what was judged to be one. A try may come where the failures so far
//! and the tries that are still being judged ([`super::in_flight`]) together leave room for it: so two dozen
//! tries at once are two dozen tries. Where a limit is reached only through tries that are being judged, the
//! next one waits for them. Failures are kept over a restart, tries under way are not: one that a crash or
//! a hang-up breaks off before it is judged leaves nothing behind.

use std::net::IpAddr;
use std::time::Duration;

use lastseen::{SessionId, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::accounts::NameKey;

/// Failures of one pair within [`WINDOW`] after which it has to wait: the contract's.
pub const FAILURES_PER_PAIR: usize = 10;
/// How long a failure of a pair counts: the contract's, and the most that anybody has to wait.
pub const WINDOW: Duration = Duration::from_mins(15);
/// Failures for one name from anywhere after which strangers are slowed down: the contract's, and what NIST
/// SP 800-63B-4 allows in a row.
pub const FAILURES_PER_NAME: u32 = 100;
/// In which time one failure for a name is forgiven. Under attack a stranger gets 96 tries a day for one
/// account, all strangers together; and whoever waits has to wait no longer than for a pair.
pub const FORGIVEN_EVERY: Duration = Duration::from_mins(15);

/// What a failure is counted under: a digest, so that no list of names and addresses that somebody typed,
/// perhaps a password among them, comes to lie in the store.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Counter([u8; 16]);

impl Counter {
    /// The counter of tries for one name from one address; IPv6 addresses count by their /64, which is what
    /// one customer gets. Tries of unknown origin share one counter.
    pub fn of_pair(name: &NameKey, address: Option<IpAddr>) -> Self {
        let network = match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => address.octets().to_vec(),
            Some(IpAddr::V6(address)) => address.octets()[..8].to_vec(),
            None => Vec::new(),
        };
        Self::digest("pair", &[name.as_str().as_bytes(), &network])
    }

    /// In the pair's place: the counter of tries of the current password within one session. Whoever holds a
    /// session was let in, so these failures are not held against the address; and a program that fumbles
    /// here does not keep the person from signing in.
    pub fn of_session(session: SessionId) -> Self {
        Self::digest("session", &[session.as_bytes()])
    }

    /// The counter of tries for one name from anywhere.
    pub fn of_name(name: &NameKey) -> Self {
        Self::digest("name", &[name.as_str().as_bytes()])
    }

    /// The counter of one known visitor's tries: `visitor` names a browser or a session.
    pub fn of_known_visitor(visitor: &[u8; 16]) -> Self {
        Self::digest("known visitor", &[visitor])
    }

    /// The counter that a store has kept as `bytes`.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// What a store keeps.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    fn digest(kind: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in std::iter::once(kind.as_bytes()).chain(parts.iter().copied()) {
            // With its length before it, no part can be taken for another's end.
            hasher.update(part.len().to_be_bytes());
            hasher.update(part);
        }
        let digest = hasher.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
    }
}

/// How long to wait before the next try is looked at: more than zero, at most [`WINDOW`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Wait(Duration);

impl Wait {
    fn new(wait: Duration) -> Self {
        Self(wait.clamp(Duration::from_millis(1), WINDOW))
    }

    /// Whole seconds, rounded up: 1 to 900.
    pub fn as_seconds(self) -> u64 {
        self.0
            .as_millis()
            .div_ceil(1_000)
            .try_into()
            .unwrap_or(u64::MAX)
    }
}

/// The failures of a pair or a known visitor that still count, oldest first: at most [`FAILURES_PER_PAIR`]
/// of them, the newest. More only come from known visitors, who do not have to pass the pair's limit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RecentFailures(Vec<Timestamp>);

impl RecentFailures {
    /// The failures at `times`, as far as they still count at `now`.
    ///
    /// One that seems to lie ahead, because the clock was set back, counts as one of now: it neither
    /// vanishes nor blocks for longer than any other.
    pub fn at(times: impl IntoIterator<Item = Timestamp>, now: Timestamp) -> Self {
        let mut times: Vec<_> = times.into_iter().map(|time| time.min(now)).collect();
        times.sort_unstable();
        times.retain(|time| now.duration_since(*time) < WINDOW);
        let surplus = times.len().saturating_sub(FAILURES_PER_PAIR);
        times.drain(..surplus);
        Self(times)
    }

    /// The failures at `times`, oldest first, whether they still count or not.
    pub fn kept(times: Vec<Timestamp>) -> Self {
        Self(times)
    }

    /// When they were.
    pub fn times(&self) -> &[Timestamp] {
        &self.0
    }

    /// How long the next try has to wait; `None` where it may come now.
    pub fn wait(&self, now: Timestamp) -> Option<Wait> {
        // The one whose end leaves room for a try again.
        let position = self.0.len().checked_sub(FAILURES_PER_PAIR)?;
        let decisive = self.0.get(position)?;
        let wait = WINDOW.checked_sub(now.duration_since(*decisive))?;
        (!wait.is_zero()).then(|| Wait::new(wait))
    }

    /// Counts `failures` more, all of now.
    #[must_use]
    pub fn with_more(&self, failures: usize, now: Timestamp) -> Self {
        let more = std::iter::repeat_n(now, failures);
        Self::at(self.0.iter().copied().chain(more), now)
    }

    /// When nothing of it counts any more.
    pub fn forgotten_at(&self) -> Option<Timestamp> {
        self.0.last().map(|newest| newest.saturating_add(WINDOW))
    }
}

/// How many failures a name has against it: a bucket of [`FAILURES_PER_NAME`] that leaks one every
/// [`FORGIVEN_EVERY`], kept as the instant at which it will be empty.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pressure {
    empty_at: Timestamp,
}

impl Pressure {
    /// The pressure that is gone at `empty_at`, as it is at `now`: never more than full, whatever was done
    /// to the clock.
    pub fn at(empty_at: Timestamp, now: Timestamp) -> Self {
        let full = FORGIVEN_EVERY.saturating_mul(FAILURES_PER_NAME);
        Self {
            empty_at: empty_at.clamp(now, now.saturating_add(full)),
        }
    }

    /// No failure at all.
    pub fn none(now: Timestamp) -> Self {
        Self { empty_at: now }
    }

    /// When nothing is left of it.
    pub fn empty_at(self) -> Timestamp {
        self.empty_at
    }

    /// How long a stranger's next try has to wait; `None` where it may come now.
    pub fn wait(self, now: Timestamp) -> Option<Wait> {
        let full = FORGIVEN_EVERY.saturating_mul(FAILURES_PER_NAME);
        let with_one_more = self
            .empty_at
            .duration_since(now)
            .saturating_add(FORGIVEN_EVERY);
        (with_one_more > full).then(|| Wait::new(with_one_more.saturating_sub(full)))
    }

    /// Counts `failures` more. A known visitor's failure may find it full; then it stays full.
    #[must_use]
    pub fn with_more(self, failures: usize, now: Timestamp) -> Self {
        let failures = u32::try_from(failures).unwrap_or(u32::MAX);
        let more = FORGIVEN_EVERY.saturating_mul(failures);
        Self::at(self.empty_at.max(now).saturating_add(more), now)
    }
}

/// What one try is counted under.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Counters {
    /// Name and address; at a change of the password the session instead.
    pub pair: Counter,
    /// The name alone.
    pub name: Counter,
    /// The visitor itself, where it is known: the only limit that it has to pass.
    pub known_visitor: Option<Counter>,
}

impl Counters {
    /// Every counter of the try.
    pub fn each(&self) -> impl Iterator<Item = Counter> + use<> {
        [self.pair, self.name].into_iter().chain(self.known_visitor)
    }
}

/// A number of tries for each of the [`Counters`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tries {
    /// Among those of name and address.
    pub pair: usize,
    /// Among those of the name.
    pub name: usize,
    /// Among those of the visitor.
    pub known_visitor: usize,
}

/// Why a try is not looked at now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotNow {
    /// Too many failures came before.
    TooMany(Wait),
    /// There may turn out to be too many: some tries are still being judged.
    Undecided,
}

/// The failures that one try is judged by, as a store has them at one moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Counts {
    /// Those of name and address.
    pub pair: RecentFailures,
    /// Those of the name alone.
    pub name: Pressure,
    /// Those of the visitor, where it is known.
    pub known_visitor: Option<RecentFailures>,
}

impl Counts {
    /// Whether one try more may come, beside those that are `under_way`.
    ///
    /// # Errors
    /// Why it may not.
    pub fn admit(&self, under_way: Tries, now: Timestamp) -> Result<(), NotNow> {
        if let Some(wait) = self.wait(now) {
            return Err(NotNow::TooMany(wait));
        }
        match self.with(under_way, now).wait(now) {
            Some(_) => Err(NotNow::Undecided),
            None => Ok(()),
        }
    }

    /// Counts one failure. Success counts nothing and forgives nothing: failures before it stay, as the
    /// contract says, or a crowd of tries with the right one among them would be more than ten.
    #[must_use]
    pub fn with_one_failure(&self, now: Timestamp) -> Self {
        let one = Tries {
            pair: 1,
            name: 1,
            known_visitor: 1,
        };
        self.with(one, now)
    }

    fn wait(&self, now: Timestamp) -> Option<Wait> {
        match &self.known_visitor {
            Some(own) => own.wait(now),
            None => self.pair.wait(now).max(self.name.wait(now)),
        }
    }

    fn with(&self, failures: Tries, now: Timestamp) -> Self {
        let own = self.known_visitor.as_ref();
        Self {
            pair: self.pair.with_more(failures.pair, now),
            name: self.name.with_more(failures.name, now),
            known_visitor: own.map(|own| own.with_more(failures.known_visitor, now)),
        }
    }
}

#[cfg(test)]
mod tests;
