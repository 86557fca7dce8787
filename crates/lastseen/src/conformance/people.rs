//! The people and devices of the tests.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::account::{Account, AccountId, AccountSource};
use crate::device::{ClientDescription, Device, Product};
use crate::policy::{Policy, PolicyNumber, Settings};
use crate::session::{SessionId, Visit};
use crate::sessions::{Created, NewSession, Sessions, Verdict};
use crate::store::{Origin, Record, Store};
use crate::time::{Entropy, Timestamp};
use crate::token::SessionToken;

/// 24 November 2026, 09:00 UTC: the day on which every test begins.
pub const MORNING: Timestamp = Timestamp::from_millisecond(1_795_510_800_000);

/// Firefox on a Linux laptop.
pub const LAPTOP: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0";

/// Chrome on an Android phone.
pub const PHONE: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
                         Chrome/120.0.0.0 Mobile Safari/537.36";

/// `MORNING` and so many seconds.
pub fn after(seconds: u64) -> Timestamp {
    MORNING.saturating_add(Duration::from_secs(seconds))
}

/// Randomness that a test can repeat: the numbers of SplitMix64, each drawn once.
#[derive(Debug, Default)]
pub struct Dice(AtomicU64);

impl Dice {
    /// The next number.
    pub fn roll(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&self, bound: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(bound.max(1)).unwrap_or(1)).unwrap_or(0)
    }
}

impl Entropy for Dice {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.roll().to_be_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
    }
}

/// The built-in account of a person.
pub fn person(name: &str) -> Arc<Account> {
    account(AccountSource::BuiltIn, name, name)
}

/// An account of any source.
pub fn account(source: AccountSource, id: &str, name: &str) -> Arc<Account> {
    let id = AccountId::new(id).expect("a test names its accounts within the limit");
    Arc::new(Account::new(source, id, name))
}

/// An hour idle, four hours remembered, a day at most: short enough to add up in one's head.
pub fn policy() -> Policy {
    Policy {
        idle_timeout: Duration::from_secs(HOUR),
        remembered_idle_timeout: Duration::from_secs(4 * HOUR),
        absolute_lifetime: Duration::from_secs(DAY),
    }
}

/// Seconds of an hour.
pub const HOUR: u64 = 3_600;

/// Seconds of a day.
pub const DAY: u64 = 24 * HOUR;

/// The settings of the tests: listed for a day after expiry, on record for two.
pub fn settings() -> Settings {
    Settings {
        policy: policy(),
        keep_expired: Duration::from_secs(DAY),
        keep_ended: Duration::from_secs(2 * DAY),
        ..Settings::default()
    }
}

/// An address of the documentation network.
pub fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, last))
}

/// What a use from this address and client brings.
pub fn visit(last: u8, user_agent: &str) -> Visit<'_> {
    Visit {
        ip_address: Some(address(last)),
        client: ClientDescription {
            user_agent: Some(user_agent.as_bytes()),
            ..ClientDescription::default()
        },
    }
}

/// A record of a session of `account` that began, and was last used, at `at`.
pub fn record(account: &Arc<Account>, at: Timestamp, dice: &Dice) -> Record {
    let id = SessionId::generate(&account.key, at, dice);
    let device = Device {
        operating_system: Some(Product::new("Linux", None)),
        browser: Some(Product::new("Firefox", Some("132"))),
    };
    let origin = Origin {
        ip_address: Some(address(7)),
        device: Arc::new(device),
    };
    Record {
        id,
        account: Arc::clone(account),
        token_hash: SessionToken::generate(*id.as_bytes(), dice).hash(),
        token_generation: 0,
        page_token_hash: None,
        policy: PolicyNumber(0),
        remembered: false,
        created_at: at,
        first: origin.clone(),
        last_used_at: at,
        last: origin,
        expired: false,
        ended: None,
    }
}

/// Sessions over a store, the people that use them, and a hand on the clock.
pub struct House {
    /// The store below.
    pub store: Arc<dyn Store>,
    /// The sessions over it.
    pub sessions: Sessions,
    /// Where ids and secrets come from.
    pub dice: Dice,
}

impl House {
    /// Sessions under the settings of the tests, opened in the morning.
    pub async fn open(store: Arc<dyn Store>) -> Self {
        Self::open_with(store, settings(), MORNING).await
    }

    /// Sessions under other settings, opened at another time.
    pub async fn open_with(store: Arc<dyn Store>, settings: Settings, now: Timestamp) -> Self {
        let sessions = Sessions::open(Arc::clone(&store), settings, now)
            .await
            .expect("the store is in order");
        Self {
            store,
            sessions,
            dice: Dice::default(),
        }
    }

    /// What a restart leaves: the same store, and nothing of memory.
    pub async fn restarted_with(self, settings: Settings, now: Timestamp) -> Self {
        let Self { store, dice, .. } = self;
        let sessions = Sessions::open(Arc::clone(&store), settings, now)
            .await
            .expect("the store is in order");
        Self {
            store,
            sessions,
            dice,
        }
    }

    /// A sign-in from the laptop.
    pub async fn sign_in(&self, account: &Arc<Account>, now: Timestamp) -> Created {
        self.sign_in_from(account, visit(7, LAPTOP), now).await
    }

    /// A sign-in from anywhere.
    pub async fn sign_in_from(
        &self,
        account: &Arc<Account>,
        visit: Visit<'_>,
        now: Timestamp,
    ) -> Created {
        let new = NewSession {
            account,
            remembered: false,
            visit,
            replaces: None,
        };
        self.sessions
            .create(new, now, &self.dice)
            .await
            .expect("the store is in order")
    }

    /// What becomes of a token that comes from the laptop.
    pub async fn show(&self, token: &SessionToken, now: Timestamp) -> Verdict {
        let text = token.reveal();
        self.sessions
            .validate(text.as_bytes(), &visit(7, LAPTOP), now)
            .await
            .expect("the store is in order")
    }

    /// Whether a token that comes from the laptop is accepted. What memory alone says of it must not be more.
    pub async fn accepts(&self, token: &SessionToken, now: Timestamp) -> bool {
        let text = token.reveal();
        let at_once = self.sessions.validate_from_memory(
            text.as_bytes(),
            &visit(7, LAPTOP),
            now,
            |session| session.id,
        );
        let accepted = matches!(self.show(token, now).await, Verdict::Active(_));
        assert!(at_once.is_none_or(|id| accepted && id == token.session_id()));
        accepted
    }

    /// The ids of the whole list of an account.
    pub async fn listed(
        &self,
        account: &Account,
        current: Option<SessionId>,
        now: Timestamp,
    ) -> Vec<SessionId> {
        let page = self
            .sessions
            .list(&account.key, current, 10_000, None, now)
            .await;
        let page = page.expect("the store is in order");
        page.sessions.iter().map(|session| session.id).collect()
    }
}
