//! What the verbs cost without HTTP and without a disk: `cargo bench --package lastseen --bench in_process`.
//!
//! Figures vary with the machine and its neighbours; read them as ratios within one run. The yardstick is
//! `one_hash_and_one_look_up`, at the same number of sessions. What must not grow unnoticed is counted in
//! instructions instead: `cargo xtask instructions`. Memory comes from where the program has it from.

mod support;

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use divan::{AllocProfiler, Bencher};
use lastseen::{ClientDescription, DeviceParser, NewSession, SessionId, SessionToken, Sessions};
use sha2::{Digest, Sha256};
use tikv_jemallocator::Jemalloc;

use support::{
    Generated, HINTS, NOW, Repeatable, USER_AGENT, VISIT, at_once, look, open, validate, warm,
};

#[global_allocator]
static ALLOCATOR: AllocProfiler<Jemalloc> = AllocProfiler::new(Jemalloc);

fn main() {
    divan::main();
}

/// Sessions in memory, and their tokens in no order.
struct Warm {
    sessions: Sessions,
    tokens: Vec<[u8; 52]>,
    next: AtomicUsize,
}

impl Warm {
    fn new(count: u64) -> Self {
        let (sessions, tokens) = warm(count, 10);
        Self {
            sessions,
            tokens,
            next: AtomicUsize::new(0),
        }
    }

    fn of(count: u64) -> &'static Self {
        static SMALL: LazyLock<Warm> = LazyLock::new(|| Warm::new(10_000));
        static LARGE: LazyLock<Warm> = LazyLock::new(|| Warm::new(1_000_000));
        if count == 10_000 { &SMALL } else { &LARGE }
    }

    /// The next token: neighbours in this order are strangers in the cache, as visitors are.
    fn token(&self) -> &[u8; 52] {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        &self.tokens[next % self.tokens.len()]
    }
}

const SIZES: [u64; 2] = [10_000, 1_000_000];

/// The yardstick: what no check of a hashed token can do without.
#[divan::bench(args = SIZES, sample_count = 4_000, sample_size = 100)]
fn one_hash_and_one_look_up(bencher: Bencher<'_, '_>, count: u64) {
    struct Yardstick {
        hashes: HashMap<[u8; 16], [u8; 32]>,
        asked: Vec<([u8; 16], [u8; 16])>,
    }
    fn of(count: u64) -> Yardstick {
        let mut hashes = HashMap::with_capacity(usize::try_from(count).expect("64 bits"));
        let mut asked = Vec::new();
        for token in &Warm::of(count).tokens {
            let token = SessionToken::parse(token).expect("a token of ours");
            let secret: [u8; 16] = token.hash().as_bytes()[..16].try_into().expect("16 bytes");
            hashes.insert(token.name(), Sha256::digest(secret).into());
            asked.push((token.name(), secret));
        }
        // Not in the order of insertion.
        asked.sort_unstable_by_key(|(name, _)| {
            support::mixed(u64::from_le_bytes([
                name[15], name[14], name[13], name[12], name[11], name[10], name[9], name[8],
            ]))
        });
        Yardstick { hashes, asked }
    }
    static SMALL: LazyLock<Yardstick> = LazyLock::new(|| of(10_000));
    static LARGE: LazyLock<Yardstick> = LazyLock::new(|| of(1_000_000));
    let yardstick: &Yardstick = if count == 10_000 { &SMALL } else { &LARGE };
    let next = AtomicUsize::new(0);
    bencher.bench(|| {
        let next = next.fetch_add(1, Ordering::Relaxed);
        let (name, secret) = &yardstick.asked[next % yardstick.asked.len()];
        let hash: [u8; 32] = Sha256::digest(black_box(secret)).into();
        yardstick.hashes.get(name) == Some(&hash)
    });
}

/// A token that is accepted, as a request brings it: parse, hash, look up, compare, judge, record the use, and look at
/// the session where it lies, as `GET /api/v1/session` does.
#[divan::bench(args = SIZES, sample_count = 4_000, sample_size = 100)]
fn validate_hit(bencher: Bencher<'_, '_>, count: u64) {
    let warm = Warm::of(count);
    bencher.bench(|| look(&warm.sessions, black_box(warm.token())));
}

/// The same where the session is handed out, with a share in its account and its device.
#[divan::bench(args = SIZES, sample_count = 4_000, sample_size = 100)]
fn validate_hit_and_keep(bencher: Bencher<'_, '_>, count: u64) {
    let warm = Warm::of(count);
    bencher.bench(|| validate(&warm.sessions, black_box(warm.token())));
}

/// A token that is not in memory: one question to a store that answers at once, and a place in the cache.
#[divan::bench]
fn validate_miss(bencher: Bencher<'_, '_>) {
    let store = Generated { per_account: 10 };
    let next = AtomicUsize::new(0);
    let sessions = open(Arc::new(Generated { per_account: 10 }));
    bencher
        .with_inputs(|| store.token(next.fetch_add(1, Ordering::Relaxed) as u64))
        .bench_values(|token| validate(&sessions, &token));
}

/// A token of ours in form, of a session that does not exist.
#[divan::bench]
fn validate_unknown(bencher: Bencher<'_, '_>) {
    let entropy = Repeatable::new(1);
    let sessions = open(Arc::new(Generated { per_account: 10 }));
    bencher
        .with_inputs(|| SessionToken::generate([7; 16], &entropy).reveal())
        .bench_refs(|token| at_once(sessions.validate(token.as_bytes(), &VISIT, NOW)));
}

/// What is refused without a look at anything.
#[divan::bench(sample_count = 400, sample_size = 1_000)]
fn validate_malformed(bencher: Bencher<'_, '_>) {
    let sessions = open(Arc::new(Generated { per_account: 10 }));
    let mut token = Generated { per_account: 10 }.token(1);
    token[20] ^= 1;
    bencher.bench(|| at_once(sessions.validate(black_box(&token), &VISIT, NOW)));
}

/// The first use since the last flush, for each of many sessions: what recording a use adds to a hit.
#[divan::bench(sample_count = 4_000, sample_size = 100)]
fn touch(bencher: Bencher<'_, '_>) {
    let warm = Warm::of(10_000);
    let mut now = NOW.as_millisecond();
    bencher.bench_local(|| {
        now += 1;
        let now = lastseen::Timestamp::from_millisecond(now);
        at_once(warm.sessions.validate(black_box(warm.token()), &VISIT, now))
    });
}

#[divan::bench(sample_count = 400, sample_size = 1_000)]
fn token_parse(bencher: Bencher<'_, '_>) {
    let token = Generated { per_account: 10 }.token(1);
    bencher.bench(|| SessionToken::parse(black_box(&token)).map(|token| token.name()));
}

#[divan::bench(sample_count = 400, sample_size = 1_000)]
fn token_parse_and_hash(bencher: Bencher<'_, '_>) {
    let token = Generated { per_account: 10 }.token(1);
    bencher.bench(|| SessionToken::parse(black_box(&token)).map(|token| token.hash()));
}

/// A page of 50 of an account with so many sessions, from memory.
#[divan::bench(args = [10, 1_000])]
fn list_50(bencher: Bencher<'_, '_>, of: u64) {
    let store = Generated { per_account: of };
    let account = store.account_of(0).key.clone();
    let current: SessionId = SessionToken::parse(&store.token(0))
        .expect("a token of ours")
        .session_id();
    let sessions = open(Arc::new(store));
    bencher.bench(|| {
        let page = at_once(sessions.list(black_box(&account), Some(current), 50, None, NOW));
        page.expect("available").sessions.len()
    });
}

/// A user agent and hints that nobody has sent before.
#[divan::bench]
fn device_parse(bencher: Bencher<'_, '_>) {
    let client = ClientDescription {
        user_agent: Some(USER_AGENT),
        hints: HINTS,
    };
    let parser = DeviceParser::shared();
    bencher.bench(|| parser.parse(black_box(&client)));
}

#[divan::bench]
fn device_parse_user_agent_alone(bencher: Bencher<'_, '_>) {
    let client = ClientDescription::of_user_agent(USER_AGENT);
    let parser = DeviceParser::shared();
    bencher.bench(|| parser.parse(black_box(&client)));
}

/// A description that was met before, as almost all are: what is left of naming a device.
#[divan::bench(sample_count = 400, sample_size = 1_000)]
fn device_known(bencher: Bencher<'_, '_>) {
    let client = VISIT.client;
    bencher.bench(|| black_box(&client).fingerprint());
}

/// A sign-in over a store that answers at once, on a runtime, since a write is a task of its own.
#[divan::bench]
fn create(bencher: Bencher<'_, '_>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers");
    let store = Generated { per_account: 0 };
    let sessions = open(Arc::new(store));
    let entropy = Repeatable::new(0);
    // As many accounts as there will be sessions would be as rare as one account for all of them.
    let accounts: Vec<_> = (0..1_000)
        .map(|number| Generated { per_account: 1 }.account_of(number))
        .collect();
    let next = AtomicUsize::new(0);
    bencher.bench(|| {
        let next = next.fetch_add(1, Ordering::Relaxed);
        let new = NewSession {
            account: &accounts[next % accounts.len()],
            remembered: true,
            visit: VISIT,
            replaces: None,
        };
        runtime
            .block_on(sessions.create(new, NOW, &entropy))
            .expect("available")
            .token
            .reveal()
    });
}
