//! What a verdict has refused because of its deadline stays on record as refused.

use super::{AnyStore, end, find, insert, touch, used};
use crate::conformance::people::{Dice, MORNING, after, person, policy, record};
use crate::policy::Policy;
use crate::session::EndedBy;
use crate::store::Record;
use crate::time::Timestamp;
use crate::token::SecretHash;

async fn expire(store: &AnyStore, passed: &Record, now: Timestamp) -> bool {
    let expired = store
        .expire(vec![(passed.id, passed.last_used_at)], now)
        .await;
    expired.expect("the store is in order") == [passed.id]
}

/// By the mark, or by the time: so that nobody accepts it who is opened with an earlier clock.
pub async fn a_session_that_was_refused_for_its_deadline_is_known_as_such(store: AnyStore) {
    let ada = record(&person("ada"), MORNING, &Dice::default());
    insert(&store, &ada).await;
    assert!(expire(&store, &ada, after(5)).await);
    let marked = find(&store, ada.id).await.expired;
    let opened = store.open(Some(&policy()), MORNING).await;
    let latest = opened.expect("the store is in order").latest;
    assert!(marked || latest >= after(5));
    assert!(expire(&store, &ada, after(6)).await, "twice is once");
}

/// No use, no token; only its end, which leaves it out of the list.
pub async fn nothing_takes_away_the_mark_of_an_expired_session(store: AnyStore) {
    let ada = record(&person("ada"), MORNING, &Dice::default());
    insert(&store, &ada).await;
    assert!(expire(&store, &ada, after(5)).await);
    let expired = find(&store, ada.id).await;
    touch(&store, vec![used(&ada, after(6))]).await;
    if expired.expired {
        super::assert_same(&find(&store, ada.id).await, &expired);
    }
    store
        .renew(ada.id, SecretHash::from_bytes([9; 32]), 1)
        .await
        .expect("the store is in order");
    store
        .set_page_token(ada.id, SecretHash::from_bytes([8; 32]))
        .await
        .expect("the store is in order");
    assert_eq!(find(&store, ada.id).await.expired, expired.expired);
    let listed = store.list(&ada.account.key).await;
    let listed = listed.expect("the store is in order");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].expired, expired.expired);
    end(&store, &ada, after(7), EndedBy::Deadline).await;
    let ended = find(&store, ada.id).await;
    assert_eq!(ended.expired, expired.expired);
    assert!(ended.ended.is_some());
}

/// As many as the list has.
pub async fn an_accounts_sessions_are_counted_without_what_has_ended(store: AnyStore) {
    let dice = Dice::default();
    let (ada, bob) = (person("ada"), person("bob"));
    for (number, account) in (0..).zip([&ada, &ada, &bob, &ada]) {
        insert(&store, &record(account, after(number), &dice)).await;
    }
    let ended = record(&ada, after(9), &dice);
    insert(&store, &ended).await;
    end(&store, &ended, after(10), EndedBy::Command).await;
    for (account, expected) in [(&ada, 3), (&bob, 1), (&person("eve"), 0)] {
        let count = store.count(&account.key).await;
        assert_eq!(count.expect("the store is in order"), expected);
    }
}

/// The same as at an opening.
pub async fn every_policy_that_was_in_force_is_told(store: AnyStore) {
    let tight = Policy {
        idle_timeout: std::time::Duration::from_secs(1),
        ..policy()
    };
    for policy in [policy(), tight] {
        store
            .open(Some(&policy), MORNING)
            .await
            .expect("the store is in order");
    }
    let policies = store.policies().await;
    assert_eq!(policies.expect("the store is in order"), [policy(), tight]);
    let opened = store.open(None, MORNING).await;
    let opened = opened.expect("the store is in order");
    assert_eq!(opened.policies, [policy(), tight]);
}

/// For stores that several processes write. A verdict rests on a last use; one that is later makes it wrong.
pub async fn a_session_that_was_used_later_is_not_marked(store: AnyStore) {
    let dice = Dice::default();
    let (ada, bob) = (
        record(&person("ada"), MORNING, &dice),
        record(&person("bob"), MORNING, &dice),
    );
    for record in [&ada, &bob] {
        insert(&store, record).await;
    }
    touch(&store, vec![used(&ada, after(4))]).await;
    let passed = vec![(ada.id, after(3)), (bob.id, MORNING)];
    let expired = store.expire(passed, after(5)).await;
    assert_eq!(expired.expect("the store is in order"), [bob.id]);
    assert!(!find(&store, ada.id).await.expired);
    assert!(find(&store, bob.id).await.expired);
    // By the use that it has, and by one that is not recorded yet.
    for last_used_at in [after(4), after(9)] {
        let expired = store.expire(vec![(ada.id, last_used_at)], after(10)).await;
        assert_eq!(expired.expect("the store is in order"), [ada.id]);
    }
    let ada = find(&store, ada.id).await;
    assert!(ada.expired);
    assert_eq!(ada.last_used_at, after(4));
}

/// For stores that several processes write. Whoever asks reads them again, and finds out.
pub async fn only_what_is_there_and_has_not_ended_is_marked(store: AnyStore) {
    let dice = Dice::default();
    let (ended, unknown) = (
        record(&person("ada"), MORNING, &dice),
        record(&person("ada"), MORNING, &dice),
    );
    insert(&store, &ended).await;
    end(&store, &ended, after(1), EndedBy::Command).await;
    for record in [&ended, &unknown] {
        assert!(!expire(&store, record, after(5)).await);
    }
    assert!(!find(&store, ended.id).await.expired);
    let found = store.find(unknown.id).await;
    assert!(found.expect("the store is in order").is_none());
    let none = store.expire(Vec::new(), after(6)).await;
    assert!(none.expect("the store is in order").is_empty());
}
