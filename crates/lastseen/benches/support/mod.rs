//! What the benches share: a store of any number of sessions that takes no memory, and the requests that use them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lastseen::policy::PolicyNumber;
use lastseen::store::{End, Ended, Inserted, Opened, Origin, Record, Use};
use lastseen::token::SecretHash;
use lastseen::{
    Account, AccountId, AccountKey, AccountSource, ClientDescription, ClientHints, Device, Entropy,
    Policy, Product, SessionId, SessionToken, Sessions, Settings, Store, Timestamp, Unavailable,
    Visit,
};

/// The instant at which the benches take place.
pub(crate) const NOW: Timestamp = Timestamp::from_millisecond(1_795_510_800_000);

/// What a current browser says of itself.
pub(crate) const USER_AGENT: &[u8] = b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

/// The hints that it sends unasked.
pub(crate) const HINTS: ClientHints<'static> = ClientHints {
    brands: Some(b"\"Chromium\";v=\"142\", \"Google Chrome\";v=\"142\", \"Not_A Brand\";v=\"99\""),
    full_version_list: None,
    platform: Some(b"\"Linux\""),
    platform_version: None,
    mobile: Some(b"?0"),
    model: None,
};

/// A request from that browser.
pub(crate) const VISIT: Visit<'static> = Visit {
    ip_address: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))),
    client: ClientDescription {
        user_agent: Some(USER_AGENT),
        hints: HINTS,
    },
};

/// Numbers that look random and are the same in every run.
pub(crate) struct Repeatable(std::sync::atomic::AtomicU64);

impl Repeatable {
    pub(crate) fn new(seed: u64) -> Self {
        Self(std::sync::atomic::AtomicU64::new(seed))
    }
}

impl Entropy for Repeatable {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = self
                .0
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
                .wrapping_add(1);
            chunk.copy_from_slice(&mixed(number).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// A mixing of 64 bits in which every bit depends on every other (the finaliser of SplitMix64).
pub(crate) fn mixed(number: u64) -> u64 {
    let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A number of 48 bits turned into another, and back: the end of an id, which says whose session it is.
mod disguise {
    const BITS: u64 = (1 << 48) - 1;
    const FACTOR: u64 = 0x5851_f42d_4c95;
    /// The inverse of the factor: their product is 1 modulo 2^48.
    const BACK: u64 = inverse(FACTOR);

    const fn inverse(factor: u64) -> u64 {
        // Newton's iteration doubles the right bits: 3, 6, 12, 24, 48.
        let mut inverse = factor;
        let mut step = 0;
        while step < 5 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(factor.wrapping_mul(inverse)));
            step += 1;
        }
        inverse & BITS
    }

    pub(super) fn on(number: u64) -> u64 {
        let number = number.wrapping_mul(FACTOR) & BITS;
        let number = number ^ (number >> 24);
        number.wrapping_mul(FACTOR) & BITS
    }

    pub(super) fn off(number: u64) -> u64 {
        let number = number.wrapping_mul(BACK) & BITS;
        let number = number ^ (number >> 24);
        number.wrapping_mul(BACK) & BITS
    }
}

/// Sessions that are computed when they are asked for: `per_account` each, of as many accounts as there are numbers.
pub(crate) struct Generated {
    pub(crate) per_account: u64,
}

impl Generated {
    fn account(number: u64) -> Arc<Account> {
        let id = AccountId::new(&format!("account-{number}")).expect("short enough");
        Arc::new(Account::new(
            AccountSource::BuiltIn,
            id,
            &format!("Account {number}"),
        ))
    }

    pub(crate) fn account_of(&self, session: u64) -> Arc<Account> {
        Self::account(session / self.per_account)
    }

    fn id(session: u64, account: &AccountKey) -> SessionId {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&account.partition().to_be_bytes());
        let began = u64::try_from(began_at(session).as_millisecond()).expect("after 1970");
        let sequence = began << 20 | mixed(session) & 0xf_ffff;
        bytes[2..10].copy_from_slice(&sequence.to_be_bytes());
        bytes[10..].copy_from_slice(&disguise::on(session).to_be_bytes()[2..]);
        SessionId::from_bytes(bytes)
    }

    fn number(id: SessionId) -> u64 {
        let mut bytes = [0; 8];
        bytes[2..].copy_from_slice(&id.as_bytes()[10..]);
        disguise::off(u64::from_be_bytes(bytes))
    }

    fn token_of(id: SessionId, session: u64) -> SessionToken {
        SessionToken::generate(*id.as_bytes(), &Repeatable::new(session << 8))
    }

    /// The text of the token of a session.
    pub(crate) fn token(&self, session: u64) -> [u8; 52] {
        let id = Self::id(session, &self.account_of(session).key);
        let text = Self::token_of(id, session).reveal();
        text.as_bytes().try_into().expect("a token has 52 letters")
    }

    fn record(session: u64, account: Arc<Account>, devices: &[Arc<Device>]) -> Record {
        let id = Self::id(session, &account.key);
        let origin = Origin {
            ip_address: Some(IpAddr::V4(Ipv4Addr::from_bits(
                u32::try_from(session % 0x1_0000).expect("16 bits") | 0xcb00_7000,
            ))),
            device: Arc::clone(
                &devices[usize::try_from(session).expect("64 bits") % devices.len()],
            ),
        };
        Record {
            id,
            account,
            token_hash: Self::token_of(id, session).hash(),
            page_token_hash: None,
            token_generation: 0,
            policy: PolicyNumber(0),
            remembered: true,
            created_at: began_at(session),
            first: origin.clone(),
            last_used_at: began_at(session),
            last: origin,
            expired: false,
            ended: None,
        }
    }
}

/// Sessions began within the last hour.
fn began_at(session: u64) -> Timestamp {
    NOW.saturating_sub(Duration::from_millis(mixed(session) % 3_600_000))
}

/// A hundred devices, as a store shares them among its records.
fn devices() -> &'static [Arc<Device>] {
    static DEVICES: std::sync::LazyLock<Vec<Arc<Device>>> = std::sync::LazyLock::new(|| {
        (0..100)
            .map(|version| {
                Arc::new(Device {
                    operating_system: Some(Product::new("Linux", None)),
                    browser: Some(Product::new("Chrome", Some(&version.to_string()))),
                })
            })
            .collect()
    });
    &DEVICES
}

#[async_trait]
impl Store for Generated {
    async fn open(&self, policy: Option<&Policy>, now: Timestamp) -> Result<Opened, Unavailable> {
        Ok(Opened {
            policies: vec![policy.copied().unwrap_or(Settings::default().policy)],
            latest: now,
        })
    }

    async fn insert(&self, _: Record, _: Option<End>) -> Result<Inserted, Unavailable> {
        Ok(Inserted::Done)
    }

    async fn find(&self, id: SessionId) -> Result<Option<Record>, Unavailable> {
        let session = Self::number(id);
        let account = self.account_of(session);
        let known = Self::id(session, &account.key) == id;
        Ok(known.then(|| Self::record(session, account, devices())))
    }

    async fn list(&self, account: &AccountKey) -> Result<Vec<Record>, Unavailable> {
        let number = account.id.as_str().strip_prefix("account-");
        let Some(number) = number.and_then(|number| number.parse::<u64>().ok()) else {
            return Ok(Vec::new());
        };
        let shared = Self::account(number);
        Ok((number * self.per_account..(number + 1) * self.per_account)
            .map(|session| Self::record(session, Arc::clone(&shared), devices()))
            .collect())
    }

    async fn walk(&self, _: Option<SessionId>, _: usize) -> Result<Vec<Record>, Unavailable> {
        Ok(Vec::new())
    }

    async fn touch(&self, _: Vec<Use>, _: Timestamp) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn end(&self, _: Option<AccountKey>, ends: Vec<End>) -> Result<Ended, Unavailable> {
        Ok(Ended::Done(ends.iter().map(|end| end.id).collect()))
    }

    async fn renew(&self, _: SessionId, _: SecretHash, _: u32) -> Result<bool, Unavailable> {
        Ok(true)
    }

    async fn set_page_token(&self, _: SessionId, _: SecretHash) -> Result<bool, Unavailable> {
        Ok(true)
    }

    async fn purge(&self, _: Vec<SessionId>) -> Result<u64, Unavailable> {
        Ok(0)
    }

    async fn check(&self) -> Result<(), Unavailable> {
        Ok(())
    }
}

/// What a future comes to that never waits.
///
/// The verbs wait for the store only, and the stores of the benches answer at once; so no runtime is measured.
pub(crate) fn at_once<Answer>(future: impl Future<Output = Answer>) -> Answer {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(answer) => answer,
        std::task::Poll::Pending => panic!("the store of a bench answers at once"),
    }
}

/// Sessions over `store`, with room for all that a bench caches.
pub(crate) fn open(store: Arc<dyn Store>) -> Sessions {
    let settings = Settings {
        cache_memory: 8 << 30,
        ..Settings::default()
    };
    at_once(Sessions::open(store, settings, NOW)).expect("the store of a bench is available")
}

/// `count` sessions, each validated once, hence cached; and their tokens in an order of their own.
pub(crate) fn warm(count: u64, per_account: u64) -> (Sessions, Vec<[u8; 52]>) {
    let store = Generated { per_account };
    let mut tokens: Vec<[u8; 52]> = (0..count).map(|session| store.token(session)).collect();
    let sessions = open(Arc::new(store));
    shuffle(&mut tokens);
    for token in &tokens {
        validate(&sessions, token);
    }
    shuffle(&mut tokens);
    (sessions, tokens)
}

fn shuffle<T>(items: &mut [T]) {
    for last in (1..items.len()).rev() {
        let place = mixed(last as u64) % (last as u64 + 1);
        items.swap(last, usize::try_from(place).expect("an index"));
    }
}

/// Validates a token that is accepted.
pub(crate) fn validate(sessions: &Sessions, token: &[u8]) -> lastseen::Session {
    let verdict = at_once(sessions.validate(token, &VISIT, NOW));
    match verdict {
        Ok(lastseen::Verdict::Active(session)) => session,
        other => panic!("the sessions of a bench are active, not {other:?}"),
    }
}

/// Validates a token that is accepted, and looks at its session without taking it along: which it is, whose, and until
/// when.
pub(crate) fn look(sessions: &Sessions, token: &[u8]) -> (SessionId, AccountSource, Timestamp) {
    let verdict = at_once(sessions.validate_with(token, &VISIT, NOW, |session| {
        (session.id, session.account.key.source, session.expires_at)
    }));
    match verdict {
        Ok(lastseen::Verdict::Active(seen)) => seen,
        other => panic!("the sessions of a bench are active, not {other:?}"),
    }
}
