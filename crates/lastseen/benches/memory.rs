//! What a cached session takes in memory: `cargo bench --package lastseen --bench memory`.
//!
//! A million sessions of a hundred thousand accounts are validated, hence cached, used, and listed in their accounts;
//! what the process has grown by, as the operating system sees it, is divided by their number. The store computes its
//! records, so nothing else grows. Fails above the figure that `cache_memory` is divided by.

#[expect(dead_code, reason = "the other benches need more of it")]
mod support;

use std::sync::Arc;

use lastseen::Settings;

use support::{Generated, NOW, VISIT, at_once};

/// The same as in `sessions/cache.rs`, which promises it.
const BYTES_PER_SESSION: u64 = 200;

const PER_ACCOUNT: u64 = 10;

fn main() {
    // Cargo hands every bench its own options, and tests run benches once, quickly.
    let is_test = std::env::args().any(|argument| argument == "--test");
    let count: u64 = if is_test { 200_000 } else { 1_000_000 };

    let store = Generated {
        per_account: PER_ACCOUNT,
    };
    let settings = Settings {
        cache_memory: 2 * count * BYTES_PER_SESSION,
        ..Settings::default()
    };
    let sessions = at_once(lastseen::Sessions::open(
        Arc::new(Generated {
            per_account: PER_ACCOUNT,
        }),
        settings,
        NOW,
    ))
    .expect("the store of a bench is available");
    // Once, so that what is built at the first use (the rules that name devices) is there before.
    support::validate(&sessions, &store.token(count));

    let before = resident_bytes();
    for session in 0..count {
        support::validate(&sessions, &store.token(session));
    }
    let used = resident_bytes();
    for account in 0..count / PER_ACCOUNT {
        let key = store.account_of(account * PER_ACCOUNT).key.clone();
        let page = at_once(sessions.list(&key, None, 50, None, NOW)).expect("available");
        assert_eq!(page.sessions.len(), 10);
    }
    let listed = resident_bytes();
    let cached = sessions.statistics().cached;
    // Validated again, so that the figure is of sessions in use.
    let verdict = at_once(sessions.validate(&store.token(0), &VISIT, NOW));
    assert!(matches!(verdict, Ok(lastseen::Verdict::Active(_))));

    assert_eq!(cached, count + 1);
    let each = |after: u64| (after - before) / count;
    println!(
        "{count} sessions of {} accounts: {} bytes a session, {} after every account was listed",
        count / PER_ACCOUNT,
        each(used),
        each(listed)
    );
    assert!(
        is_test || each(listed) <= BYTES_PER_SESSION,
        "a cached session takes more than the {BYTES_PER_SESSION} bytes that `cache_memory` is divided by"
    );
}

/// Memory of this process that is in use, allocator's losses included.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("Linux tells it");
    let kibibytes: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number of kibibytes");
    kibibytes * 1024
}
