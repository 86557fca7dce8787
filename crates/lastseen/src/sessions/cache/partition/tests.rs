use proptest::prelude::*;

use super::*;
use crate::account::{AccountId, AccountSource};
use crate::policy::PolicyNumber;
use crate::sessions::cache::{Haste, unknown_device};
use crate::store::Origin;

const ACCOUNTS: u8 = 2;

/// What happens to one of a few sessions. Numbers are milliseconds.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The store says that it was last used then.
    Read(u8, i64),
    Use(u8, i64),
    End(u8),
    List(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    let session = || 0_u8..10;
    prop_oneof![
        3 => (session(), 0_i64..50).prop_map(|(session, at)| Step::Read(session, at)),
        6 => (session(), 0_i64..50).prop_map(|(session, at)| Step::Use(session, at)),
        2 => session().prop_map(Step::End),
        1 => (0..ACCOUNTS).prop_map(Step::List),
    ]
}

fn account(number: u8) -> Arc<Account> {
    let id = AccountId::new(&number.to_string()).unwrap();
    Arc::new(Account::new(AccountSource::BuiltIn, id, "ada"))
}

fn id(session: u8) -> SessionId {
    SessionId::from_bytes([session; 16])
}

fn record(session: u8, at: i64) -> Record {
    let origin = Origin {
        ip_address: None,
        device: unknown_device(),
    };
    Record {
        id: id(session),
        account: account(session % ACCOUNTS),
        token_hash: SecretHash::from_bytes([session; 32]),
        token_generation: 0,
        page_token_hash: None,
        policy: PolicyNumber(0),
        remembered: false,
        created_at: Timestamp::EPOCH,
        first: origin.clone(),
        last_used_at: Timestamp::from_millisecond(at),
        last: origin,
        expired: false,
        ended: None,
    }
}

fn use_session(partition: &mut Partition, session: u8, at: i64) {
    let brought = Brought {
        at: Timestamp::from_millisecond(at),
        ip_address: None,
        device_fingerprint: 0,
        device: None,
        haste: Haste::NONE,
        can_wait: true,
    };
    let place = partition
        .get_with_place(id(session))
        .map(|(_, place)| place);
    if let Some(place) = place {
        partition.record_use(place, &brought);
    }
}

/// The sessions of an account with their last uses, as they are listed.
fn listed(partition: &mut Partition, number: u8) -> Vec<(Timestamp, SessionId)> {
    let key = account(number).key.clone();
    partition.complete(&key);
    let entries = partition.of_account(&key);
    entries.map_or(Vec::new(), |entries| entries.map(Entry::order).collect())
}

proptest! {
    #[test]
    fn sessions_are_listed_by_their_last_use_whatever_happened_since_the_last_list(
        steps in proptest::collection::vec(any_step(), 0..120),
    ) {
        let mut partition = Partition::default();
        let mut last_used = std::collections::HashMap::new();
        let lists = (0..ACCOUNTS).map(Step::List);
        for step in steps.into_iter().chain(lists) {
            match step {
                Step::Read(session, at) => {
                    partition.put(&record(session, at), false);
                    let known = last_used.entry(session).or_insert(at);
                    *known = at.max(*known);
                }
                Step::Use(session, at) => {
                    use_session(&mut partition, session, at);
                    last_used.entry(session).and_modify(|known| *known = at.max(*known));
                }
                Step::End(session) => {
                    partition.remove(id(session));
                    last_used.remove(&session);
                }
                Step::List(number) => {
                    let mut expected: Vec<_> = (last_used.iter())
                        .filter(|(session, _)| *session % ACCOUNTS == number)
                        .map(|(session, at)| (Timestamp::from_millisecond(*at), id(*session)))
                        .collect();
                    expected.sort_unstable();
                    expected.reverse();
                    prop_assert_eq!(listed(&mut partition, number), expected);
                }
            }
            prop_assert!(partition.misplaced.len() <= 11, "one for each session, and one more");
        }
    }
}

#[test]
fn an_account_that_nobody_lists_takes_no_more_memory_the_longer_it_is_used() {
    let mut partition = Partition::default();
    for at in 0..1_000_i64 {
        for session in 0..4 {
            partition.put(&record(session, at), false);
            use_session(&mut partition, session, at);
        }
        partition.remove(id(u8::try_from(at % 4).unwrap()));
    }
    assert!(partition.misplaced.len() <= 4);
}
