use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::account::{Account, AccountId, AccountSource};
use crate::policy::{Policy, PolicyHistory, PolicyNumber};
use crate::sessions::cache::{Basis, Brought, Haste, unknown_device};
use crate::store::{Authority, Origin, Record};
use crate::time::{Entropy, Timestamp};
use crate::token::SecretHash;

/// A second of a day in 2026, as sequences count them: 1.024 s.
const THAT_DAY: u64 = 1_750_000_000;

/// The session of an account with these first bits, that began at this second of that day.
fn id(account: u8, second: u32) -> SessionId {
    let millisecond = (THAT_DAY + u64::from(second)) << 10;
    let mut bytes = [account; 16];
    let sequence = (millisecond << 20) | u64::from(account);
    bytes[2..10].copy_from_slice(&sequence.to_be_bytes());
    SessionId::from_bytes(bytes)
}

fn record(id: SessionId) -> Record {
    let account = AccountId::new("ada").unwrap();
    let origin = Origin {
        ip_address: None,
        device: unknown_device(),
    };
    Record {
        id,
        account: Arc::new(Account::new(AccountSource::BuiltIn, account, "Ada")),
        token_hash: SecretHash::from_bytes([7; 32]),
        token_generation: 0,
        page_token_hash: None,
        policy: PolicyNumber(0),
        remembered: false,
        created_at: Timestamp::EPOCH,
        first: origin.clone(),
        last_used_at: Timestamp::EPOCH,
        last: origin,
        expired: false,
        ended: None,
    }
}

/// A cache with these sessions, all of them used.
fn used(ids: &[SessionId]) -> Cache {
    let day = Duration::from_hours(24);
    let policy = Policy {
        idle_timeout: day,
        remembered_idle_timeout: day,
        absolute_lifetime: day,
    };
    let history = PolicyHistory::new(&[policy]).unwrap();
    let cache = Cache::new(1 << 30, Basis::new(Authority::Sole, history));
    let brought = Brought {
        at: Timestamp::from_millisecond(1),
        ip_address: None,
        device_fingerprint: 0,
        device: None,
        haste: Haste::NONE,
        can_wait: true,
    };
    for id in ids {
        cache.partition(id.partition()).with(|partition| {
            let place = partition.put(&record(*id), false);
            partition.record_use(place, &brought);
        });
    }
    cache
}

fn gathered(cache: &Cache) -> Unwritten<'_, parking_lot::Mutex<Partition>> {
    let mut unwritten = cache.unwritten();
    while unwritten.gather() {}
    unwritten
}

/// Takes uses in steps until there are no more.
fn taken(
    unwritten: &mut Unwritten<'_, parking_lot::Mutex<Partition>>,
    limit: usize,
) -> Vec<SessionId> {
    let mut ids = Vec::new();
    loop {
        let step = unwritten.next(limit);
        assert!(step.len() <= limit);
        if step.is_empty() {
            return ids;
        }
        ids.extend(step.iter().map(|used| used.id));
    }
}

proptest! {
    #[test]
    fn every_use_is_handed_out_once_in_the_order_in_which_the_sessions_began(
        sessions in proptest::collection::btree_set((any::<u8>(), 0_u32..50), 0..60),
        limit in 1_usize..9,
        looked_at in 0_usize..9,
    ) {
        let mut ids: Vec<SessionId> = sessions.iter().map(|&(account, second)| id(account, second)).collect();
        let cache = used(&ids);
        // Somebody began before, and was broken off: nothing of it is lost.
        gathered(&cache).next(looked_at).iter().for_each(|used| cache.not_recorded(std::slice::from_ref(used)));
        let mut handed_out = taken(&mut gathered(&cache), limit);
        prop_assert!(handed_out.is_sorted_by_key(|id| id.sequence() >> 30));
        handed_out.sort_unstable();
        ids.sort_unstable();
        prop_assert_eq!(handed_out, ids);
    }
}

#[test]
fn what_was_recorded_meanwhile_is_not_handed_out() {
    let ids = [id(1, 1), id(2, 2), id(3, 3)];
    let cache = used(&ids);
    let mut unwritten = gathered(&cache);
    let recorded = cache.unwritten_use(ids[1]).unwrap();
    cache.recorded(&[recorded]);
    cache.ended(ids[2]);
    assert_eq!(taken(&mut unwritten, 9), [ids[0]]);
}

#[test]
fn sessions_of_today_are_told_apart_by_the_second() {
    let at = |millisecond| {
        let account = record(id(1, 1)).account;
        SessionId::generate(
            &account.key,
            Timestamp::from_millisecond(millisecond),
            &Sevens,
        )
        .second()
    };
    let noon = 1_796_040_000_000;
    assert_eq!(at(noon + 1_024), at(noon) + 1);
    assert_eq!(at(noon + 102_400), at(noon) + 100);
}

struct Sevens;

impl Entropy for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}
