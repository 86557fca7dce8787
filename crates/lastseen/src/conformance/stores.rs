//! What a store does when it is asked directly.

mod ends;
mod expiry;
mod tokens;
mod uses;

pub use ends::*;
pub use expiry::*;
pub use tokens::*;
pub use uses::*;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::people::{Dice, MORNING, account, address, after, person, policy, record};
use crate::account::{AccountSource, ApplicationId};
use crate::device::{Device, Product};
use crate::policy::Policy;
use crate::session::{EndedBy, Ending, SessionId};
use crate::store::{End, Ended, Inserted, Origin, Record, Store, Use};
use crate::time::Timestamp;
use crate::token::SecretHash;

type AnyStore = Arc<dyn Store>;

async fn insert(store: &AnyStore, record: &Record) {
    let inserted = store
        .insert(record.clone(), None)
        .await
        .expect("the store is in order");
    assert_ne!(inserted, Inserted::IdTaken);
}

async fn find(store: &AnyStore, id: SessionId) -> Record {
    store
        .find(id)
        .await
        .expect("the store is in order")
        .expect("the session is there")
}

fn end_of(record: &Record, at: Timestamp, by: EndedBy) -> End {
    End {
        id: record.id,
        ending: Ending {
            at,
            by,
            left_list_at: at,
        },
        last_use: None,
    }
}

async fn end(store: &AnyStore, record: &Record, at: Timestamp, by: EndedBy) {
    let ended = store
        .end(None, vec![end_of(record, at, by)])
        .await
        .expect("the store is in order");
    assert_eq!(ended, Ended::Done(vec![record.id]));
}

fn used(record: &Record, at: Timestamp) -> Use {
    let device = Device {
        operating_system: Some(Product::new("Android", Some("14"))),
        browser: None,
    };
    Use {
        id: record.id,
        at,
        origin: Origin {
            ip_address: Some(address(99)),
            device: Arc::new(device),
        },
    }
}

async fn touch(store: &AnyStore, uses: Vec<Use>) {
    store
        .touch(uses, MORNING)
        .await
        .expect("the store is in order");
}

fn assert_same(left: &Record, right: &Record) {
    assert_eq!(left.id, right.id);
    assert_eq!(left.account, right.account);
    assert_eq!(left.token_hash, right.token_hash);
    assert_eq!(left.token_generation, right.token_generation);
    assert_eq!(left.page_token_hash, right.page_token_hash);
    assert_eq!(left.policy, right.policy);
    assert_eq!(left.remembered, right.remembered);
    assert_eq!(left.created_at, right.created_at);
    assert_eq!(left.first, right.first);
    assert_eq!(left.last_used_at, right.last_used_at);
    assert_eq!(left.last, right.last);
    assert_eq!(left.expired, right.expired);
    assert_eq!(left.ended, right.ended);
}

/// The history of a new store is the policy it was opened with.
pub async fn a_new_store_knows_the_policy_it_was_opened_with(store: AnyStore) {
    let opened = store
        .open(Some(&policy()), MORNING)
        .await
        .expect("the store is in order");
    assert_eq!(opened.policies, [policy()]);
    assert_eq!(opened.latest, MORNING);
}

/// A restart without a change leaves the history as it is; a change and a change back are two.
pub async fn a_policy_is_recorded_once_as_long_as_it_stays_the_same(store: AnyStore) {
    let tight = Policy {
        idle_timeout: Duration::from_millis(1),
        ..policy()
    };
    for next in [policy(), policy(), tight, tight] {
        store
            .open(Some(&next), MORNING)
            .await
            .expect("the store is in order");
    }
    let opened = store
        .open(Some(&policy()), MORNING)
        .await
        .expect("the store is in order");
    assert_eq!(opened.policies, [policy(), tight, policy()]);
}

/// A command that only looks does not change what sessions are bound by.
pub async fn without_a_policy_the_recorded_ones_stay_as_they_are(store: AnyStore) {
    let opened = store
        .open(None, MORNING)
        .await
        .expect("the store is in order");
    assert_eq!(opened.policies, []);
    store
        .open(Some(&policy()), MORNING)
        .await
        .expect("the store is in order");
    let opened = store
        .open(None, MORNING)
        .await
        .expect("the store is in order");
    assert_eq!(opened.policies, [policy()]);
}

/// Whatever calls say afterwards, the latest time stays the latest.
pub async fn the_latest_time_never_goes_back(store: AnyStore) {
    store
        .open(Some(&policy()), after(5))
        .await
        .expect("the store is in order");
    store
        .touch(Vec::new(), after(9))
        .await
        .expect("the store is in order");
    store
        .touch(Vec::new(), after(1))
        .await
        .expect("the store is in order");
    let opened = store
        .open(Some(&policy()), MORNING)
        .await
        .expect("the store is in order");
    assert_eq!(opened.latest, after(9));
}

/// Nothing is lost or changed on the way in and out.
pub async fn an_inserted_session_is_found_as_it_was_inserted(store: AnyStore) {
    let mut ada = record(&person("ada"), MORNING, &Dice::default());
    ada.remembered = true;
    ada.page_token_hash = Some(SecretHash::from_bytes([6; 32]));
    ada.last_used_at = after(60);
    ada.last = used(&ada, after(60)).origin;
    insert(&store, &ada).await;
    assert_same(&find(&store, ada.id).await, &ada);
}

/// What is not known stays unknown.
pub async fn a_session_that_knows_little_of_its_visitor_is_kept_too(store: AnyStore) {
    let mut ada = record(&person("ada"), MORNING, &Dice::default());
    ada.first = Origin {
        ip_address: None,
        device: Arc::default(),
    };
    ada.last = Origin {
        ip_address: "2001:db8::7".parse().ok(),
        device: Arc::default(),
    };
    insert(&store, &ada).await;
    assert_same(&find(&store, ada.id).await, &ada);
}

/// No session, no error.
pub async fn an_unknown_id_is_not_found(store: AnyStore) {
    let ada = record(&person("ada"), MORNING, &Dice::default());
    assert!(
        store
            .find(ada.id)
            .await
            .expect("the store is in order")
            .is_none()
    );
}

/// The whole id counts, not only the part that a store looks up by.
pub async fn an_id_that_differs_in_its_last_bits_only_is_not_found(store: AnyStore) {
    let ada = record(&person("ada"), MORNING, &Dice::default());
    insert(&store, &ada).await;
    for position in [0, 1, 10, 15] {
        let mut bytes = *ada.id.as_bytes();
        bytes[position] ^= 1;
        let other = SessionId::from_bytes(bytes);
        assert!(
            store
                .find(other)
                .await
                .expect("the store is in order")
                .is_none()
        );
        let ends = vec![End {
            id: other,
            ..end_of(&ada, MORNING, EndedBy::Command)
        }];
        let ended = store.end(None, ends).await.expect("the store is in order");
        assert_eq!(ended, Ended::Done(Vec::new()));
    }
    assert_same(&find(&store, ada.id).await, &ada);
}

/// The second session of the same sequence is told to draw another id, and the first is unharmed.
pub async fn an_id_that_is_taken_is_not_inserted_twice(store: AnyStore) {
    let dice = Dice::default();
    let (ada, bystander) = (
        record(&person("ada"), MORNING, &dice),
        record(&person("ada"), MORNING, &dice),
    );
    insert(&store, &ada).await;
    insert(&store, &bystander).await;
    let mut bytes = *ada.id.as_bytes();
    bytes[15] ^= 1;
    for id in [ada.id, SessionId::from_bytes(bytes)] {
        let mut twin = record(&person("bob"), MORNING, &dice);
        twin.id = id;
        let replaces = end_of(&bystander, MORNING, EndedBy::Command);
        let inserted = store
            .insert(twin, Some(replaces))
            .await
            .expect("the store is in order");
        assert_eq!(inserted, Inserted::IdTaken);
    }
    assert_same(&find(&store, ada.id).await, &ada);
    assert_eq!(find(&store, bystander.id).await.ended, None);
}

/// One step: the new one is there and the old one has ended.
pub async fn a_session_that_gives_way_ends_with_the_insert(store: AnyStore) {
    let dice = Dice::default();
    let (old, new) = (
        record(&person("ada"), MORNING, &dice),
        record(&person("bob"), after(9), &dice),
    );
    insert(&store, &old).await;
    let replaces = end_of(&old, after(9), EndedBy::Session(new.id));
    let ending = replaces.ending;
    let inserted = store
        .insert(new.clone(), Some(replaces))
        .await
        .expect("the store is in order");
    assert_ne!(inserted, Inserted::IdTaken);
    assert_eq!(find(&store, old.id).await.ended, Some(ending));
    assert_same(&find(&store, new.id).await, &new);
}

/// Nobody sees anybody else's sessions.
pub async fn a_list_holds_the_accounts_own_sessions_only(store: AnyStore) {
    let dice = Dice::default();
    let (ada, bob) = (person("ada"), person("bob"));
    let own: Vec<Record> = (0..3)
        .map(|second| record(&ada, after(second), &dice))
        .collect();
    for record in &own {
        insert(&store, record).await;
    }
    insert(&store, &record(&bob, MORNING, &dice)).await;
    let listed = store.list(&ada.key).await.expect("the store is in order");
    let ids = |records: &[Record]| {
        records
            .iter()
            .map(|record| record.id)
            .collect::<HashSet<_>>()
    };
    assert_eq!(ids(&listed), ids(&own));
    assert!(
        store
            .list(&person("eve").key)
            .await
            .expect("the store is in order")
            .is_empty()
    );
}

/// An ended session is in no list.
pub async fn a_list_leaves_out_what_has_ended(store: AnyStore) {
    let ada = record(&person("ada"), MORNING, &Dice::default());
    insert(&store, &ada).await;
    end(&store, &ada, after(1), EndedBy::Command).await;
    assert!(
        store
            .list(&ada.account.key)
            .await
            .expect("the store is in order")
            .is_empty()
    );
}

/// A new name shows on the account's older sessions too.
pub async fn an_account_is_known_by_the_name_it_was_last_given(store: AnyStore) {
    let dice = Dice::default();
    let source = AccountSource::Application(ApplicationId(1));
    let before = record(&account(source, "17", "Ada"), MORNING, &dice);
    insert(&store, &before).await;
    insert(
        &store,
        &record(&account(source, "17", "Ada Lovelace"), after(1), &dice),
    )
    .await;
    assert_eq!(&*find(&store, before.id).await.account.name, "Ada Lovelace");
}

/// Equal ids of two sources have nothing in common.
pub async fn accounts_of_another_source_are_other_accounts(store: AnyStore) {
    let dice = Dice::default();
    let sources = [
        AccountSource::BuiltIn,
        AccountSource::Application(ApplicationId(1)),
        AccountSource::Application(ApplicationId(2)),
    ];
    for source in sources {
        insert(
            &store,
            &record(&account(source, "ada", "Ada"), MORNING, &dice),
        )
        .await;
    }
    for source in sources {
        let listed = store
            .list(&account(source, "ada", "Ada").key)
            .await
            .expect("the store is in order");
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].account.key.source, source);
    }
}

/// No folding of case, no normalising, no cutting at odd characters.
pub async fn account_ids_are_kept_to_the_byte(store: AnyStore) {
    let dice = Dice::default();
    let long = "x".repeat(128);
    let ids = [
        "ada", "Ada", "a/d%2Fa", "e\u{301}", "\u{e9}", "a\0b", "a", "'; --", &long,
    ];
    for id in ids {
        insert(
            &store,
            &record(
                &account(AccountSource::BuiltIn, id, "somebody"),
                MORNING,
                &dice,
            ),
        )
        .await;
    }
    for id in ids {
        let key = &account(AccountSource::BuiltIn, id, "somebody").key;
        let listed = store.list(key).await.expect("the store is in order");
        assert_eq!(listed.len(), 1, "{id:?}");
        assert_eq!(listed[0].account.key, *key);
    }
}

/// Step by step, over ended ones too, each is met once.
pub async fn a_walk_meets_every_session_once(store: AnyStore) {
    let dice = Dice::default();
    let mut expected = HashSet::new();
    for number in 0..25 {
        let session = record(
            &person(["ada", "bob", "eve"][number % 3]),
            after(number as u64 / 2),
            &dice,
        );
        insert(&store, &session).await;
        if number % 4 == 0 {
            end(&store, &session, after(50), EndedBy::Command).await;
        }
        expected.insert(session.id);
    }
    let (mut met, mut last) = (Vec::new(), None);
    loop {
        let step = store.walk(last, 4).await.expect("the store is in order");
        met.extend(step.iter().map(|record| record.id));
        last = step.last().map(|record| record.id);
        if step.len() < 4 {
            break;
        }
    }
    assert_eq!(met.len(), 25);
    assert_eq!(met.into_iter().collect::<HashSet<_>>(), expected);
}

/// What readiness goes by.
pub async fn a_store_in_order_says_so(store: AnyStore) {
    store
        .open(Some(&policy()), MORNING)
        .await
        .expect("the store is in order");
    store.check().await.expect("the store is in order");
}
