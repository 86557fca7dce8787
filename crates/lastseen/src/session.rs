//! One sign-in of one account on one device.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::{Encoding, Specification};

use crate::account::{Account, AccountKey};
use crate::device::{ClientDescription, Device};
use crate::time::{Entropy, Timestamp};

/// Bits of the sequence that are random, so that sessions of one millisecond differ.
const SEQUENCE_RANDOM_BITS: u32 = 20;

/// The public name of a session: shown, logged, put in addresses. It never authenticates.
///
/// 16 bytes: two that follow from the account ([`AccountKey::partition`]), eight that grow with time
/// ([`SessionId::sequence`]), six random ones. Its text is 26 lower-case letters and digits.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// A new id for a session of `account` that begins at `now`.
    pub fn generate(account: &AccountKey, now: Timestamp, entropy: &dyn Entropy) -> Self {
        let mut random = [0; 9];
        entropy.fill(&mut random);
        let [first, second, third, tail @ ..] = random;
        let millisecond = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let within =
            u64::from(u32::from_be_bytes([0, first, second, third]) >> (24 - SEQUENCE_RANDOM_BITS));
        // Shifted left by one and right again, the sign bit is free: a sequence fits an SQL integer.
        let sequence = (millisecond << SEQUENCE_RANDOM_BITS | within) & (u64::MAX >> 1);
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&account.partition().to_be_bytes());
        bytes[2..10].copy_from_slice(&sequence.to_be_bytes());
        bytes[10..].copy_from_slice(&tail);
        Self(bytes)
    }

    /// The id that these bytes are.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id as bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The 16 bits that follow from the account.
    pub const fn partition(&self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    /// A positive number that grows with the time of creation, to the millisecond.
    ///
    /// A store that keeps its rows in this order appends them, and finds a session without an index on the id.
    pub const fn sequence(&self) -> i64 {
        let [_, _, a, b, c, d, e, f, g, h, ..] = self.0;
        i64::from_be_bytes([a & 0x7f, b, c, d, e, f, g, h])
    }

    /// When the session began, in units of 1,024 milliseconds: the first 32 bits of what a sequence says, until 2109.
    pub(crate) fn second(&self) -> u32 {
        u32::try_from(self.sequence() >> (SEQUENCE_RANDOM_BITS + 10)).unwrap_or(u32::MAX)
    }
}

/// Base 32 with the digits first and lower case: sorts like the bytes, and never looks like an option.
fn encoding() -> &'static Encoding {
    static ENCODING: std::sync::LazyLock<Encoding> = std::sync::LazyLock::new(|| {
        let mut specification = Specification::new();
        specification
            .symbols
            .push_str("0123456789abcdefghijklmnopqrstuv");
        // The specification is a constant of this function, and valid: 32 distinct symbols.
        specification
            .encoding()
            .expect("32 distinct symbols are an encoding")
    });
    &ENCODING
}

/// The symbols of 40 bits, as [`encoding`] would write them: an id is written twice for each request, and eight of
/// them at once take less than half the time.
fn eight_symbols([a, b, c, d, e]: [u8; 5]) -> [u8; 8] {
    const EACH: u64 = u64::MAX / 255;

    let bits = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
    // Halves of 20 bits, of 10, of 5, each moved into a half of what is left of the word.
    let bits = (bits & 0x00ff_fff0_0000) << 12 | bits & 0xf_ffff;
    let bits = (bits & 0x000f_fc00_000f_fc00) << 6 | bits & 0x0000_03ff_0000_03ff;
    let bits = (bits & 0x03e0_03e0_03e0_03e0) << 3 | bits & 0x001f_001f_001f_001f;
    // From ten on, the sum with 118 reaches the eighth bit of its byte.
    let letters = ((bits + EACH * 118) & (EACH << 7)) >> 7;
    let symbols = bits + EACH * u64::from(b'0') + letters * u64::from(b'a' - b'0' - 10);
    symbols.to_be_bytes()
}

impl fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_text();
        formatter.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Text that is no session id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a session id has {} lower-case letters and digits",
    SessionId::TEXT_BYTES
)]
pub struct NoSessionId;

impl SessionId {
    /// Length of the text.
    pub const TEXT_BYTES: usize = 26;

    /// The text, as bytes: lower-case letters and digits.
    pub fn to_text(self) -> [u8; Self::TEXT_BYTES] {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, last] = self.0;
        let mut text = [0; Self::TEXT_BYTES];
        let pieces = [
            [a, b, c, d, e],
            [f, g, h, i, j],
            [k, l, m, n, o],
            [last, 0, 0, 0, 0],
        ];
        for (symbols, piece) in text.chunks_mut(8).zip(pieces) {
            // The last piece has two symbols.
            symbols.copy_from_slice(&eight_symbols(piece)[..symbols.len()]);
        }
        text
    }
}

impl FromStr for SessionId {
    type Err = NoSessionId;

    fn from_str(text: &str) -> Result<Self, NoSessionId> {
        let mut bytes = [0; 16];
        if text.len() != Self::TEXT_BYTES {
            return Err(NoSessionId);
        }
        match encoding().decode_mut(text.as_bytes(), &mut bytes) {
            Ok(_) => Ok(Self(bytes)),
            Err(_) => Err(NoSessionId),
        }
    }
}

/// What a use of a session brings: from where, and by what.
#[derive(Clone, Copy, Debug, Default)]
pub struct Visit<'a> {
    /// The visitor's address, where it is known.
    pub ip_address: Option<IpAddr>,
    /// What the visitor's client says of itself.
    pub client: ClientDescription<'a>,
}

/// Whether a session can still be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// It is accepted.
    Active,
    /// A deadline has passed; it is listed, and never accepted again.
    Expired,
}

/// A session as it was at one instant. One that was terminated is never seen in this form.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its public name.
    pub id: SessionId,
    /// Whose it is.
    pub account: Arc<Account>,
    /// Whether the device was to be remembered, hence which idle timeout counts.
    pub remembered: bool,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Timestamp,
    /// The address of the last use that brought one.
    pub ip_address: Option<IpAddr>,
    /// The device of the last use that brought a description.
    pub device: Arc<Device>,
    /// The earlier of its two deadlines: from this instant on it is expired.
    pub expires_at: Timestamp,
    /// The end of its absolute lifetime: no use moves this deadline.
    pub absolute_deadline: Timestamp,
    /// A node has refused it because its deadline had passed by that node's clock: it stays expired, also
    /// where the deadline has not passed yet by another clock.
    pub expired: bool,
}

/// A session as it was at one instant, for somebody who only looks: a [`Session`] that shares account and device
/// with whoever shows it, and goes when that does.
///
/// [`Sessions::validate_with`](crate::Sessions::validate_with) shows one where it lies.
#[derive(Clone, Copy, Debug)]
pub struct SessionView<'a> {
    /// As [`Session::id`].
    pub id: SessionId,
    /// As [`Session::account`].
    pub account: &'a Arc<Account>,
    /// As [`Session::remembered`].
    pub remembered: bool,
    /// As [`Session::created_at`].
    pub created_at: Timestamp,
    /// As [`Session::last_used_at`].
    pub last_used_at: Timestamp,
    /// As [`Session::ip_address`].
    pub ip_address: Option<IpAddr>,
    /// As [`Session::device`].
    pub device: &'a Arc<Device>,
    /// As [`Session::expires_at`].
    pub expires_at: Timestamp,
    /// As [`Session::absolute_deadline`].
    pub absolute_deadline: Timestamp,
    /// As [`Session::expired`].
    pub expired: bool,
}

impl Session {
    /// The session for somebody who only looks.
    #[inline]
    pub fn view(&self) -> SessionView<'_> {
        SessionView {
            id: self.id,
            account: &self.account,
            remembered: self.remembered,
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            ip_address: self.ip_address,
            device: &self.device,
            expires_at: self.expires_at,
            absolute_deadline: self.absolute_deadline,
            expired: self.expired,
        }
    }

    /// Whether the session can still be used at `now`: not from its deadline on.
    pub fn status(&self, now: Timestamp) -> Status {
        status_of(self.expires_at, self.expired, now)
    }

    /// The time until it expires; zero once it has.
    pub fn time_left(&self, now: Timestamp) -> Duration {
        match self.status(now) {
            Status::Active => self.expires_at.duration_since(now),
            Status::Expired => Duration::ZERO,
        }
    }
}

impl SessionView<'_> {
    /// The session for somebody who keeps it: with a share of its own in account and device.
    #[inline]
    pub fn to_session(&self) -> Session {
        Session {
            id: self.id,
            account: Arc::clone(self.account),
            remembered: self.remembered,
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            ip_address: self.ip_address,
            device: Arc::clone(self.device),
            expires_at: self.expires_at,
            absolute_deadline: self.absolute_deadline,
            expired: self.expired,
        }
    }

    /// Whether the session can still be used at `now`: not from its deadline on.
    pub fn status(&self, now: Timestamp) -> Status {
        status_of(self.expires_at, self.expired, now)
    }

    /// The time until it expires; zero once it has.
    pub fn time_left(&self, now: Timestamp) -> Duration {
        match self.status(now) {
            Status::Active => self.expires_at.duration_since(now),
            Status::Expired => Duration::ZERO,
        }
    }
}

fn status_of(expires_at: Timestamp, expired: bool, now: Timestamp) -> Status {
    if now < expires_at && !expired {
        Status::Active
    } else {
        Status::Expired
    }
}

/// Why and by whom a session ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EndedBy {
    /// A session of the same person: its own (`Disconnect`, a new sign-in in its place) or another.
    Session(SessionId),
    /// An operator's command.
    Command,
    /// Its deadline; nobody ended it earlier.
    Deadline,
    /// A newer session, where the account had as many as it may have.
    Limit,
    /// A change of the password, from the named session or by command.
    Password(Option<SessionId>),
    /// The application whose account it belongs to.
    Application,
}

/// The end of a session, as it stays on record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ending {
    /// When it could no longer be used.
    pub at: Timestamp,
    /// Why, and by whom.
    pub by: EndedBy,
    /// When it left its owner's list; later than [`Ending::at`] where it was listed as expired.
    pub left_list_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::account::{AccountId, AccountSource};

    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    fn ada() -> AccountKey {
        AccountKey {
            source: AccountSource::BuiltIn,
            id: AccountId::new("ada").unwrap(),
        }
    }

    #[test]
    fn an_id_begins_with_its_accounts_partition() {
        let id = SessionId::generate(&ada(), Timestamp::from_millisecond(5), &Fixed(1));
        assert_eq!(id.partition(), ada().partition());
    }

    #[test]
    fn ids_of_a_later_millisecond_have_a_later_sequence() {
        let earlier = SessionId::generate(
            &ada(),
            Timestamp::from_millisecond(1_790_000_000_000),
            &Fixed(255),
        );
        let later = SessionId::generate(
            &ada(),
            Timestamp::from_millisecond(1_790_000_000_001),
            &Fixed(0),
        );
        assert!(earlier.sequence() > 0);
        assert!(earlier.sequence() < later.sequence());
    }

    proptest! {
        #[test]
        fn an_id_survives_its_text(bytes in any::<[u8; 16]>()) {
            let id = SessionId::from_bytes(bytes);
            let text = id.to_string();
            prop_assert_eq!(text.len(), SessionId::TEXT_BYTES);
            prop_assert_eq!(text.parse(), Ok(id));
        }

        #[test]
        fn any_text_is_read_without_harm(text in ".{0,40}") {
            if let Ok(id) = text.parse::<SessionId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
