//! When, from where and by what a session was last used.

use super::{AnyStore, assert_same, end, find, insert, touch, used};
use crate::conformance::people::{Dice, MORNING, after, person, record};
use crate::session::EndedBy;

/// Time, address and device.
pub async fn a_use_is_recorded(store: AnyStore) {
    let ada = record(&person("ada"), MORNING, &Dice::default());
    insert(&store, &ada).await;
    let used = used(&ada, after(5));
    touch(&store, vec![used.clone()]).await;
    let found = find(&store, ada.id).await;
    assert_eq!((found.last_used_at, found.last), (after(5), used.origin));
}

/// Last use never goes backwards.
pub async fn a_use_that_is_earlier_changes_nothing(store: AnyStore) {
    let ada = record(&person("ada"), after(5), &Dice::default());
    insert(&store, &ada).await;
    touch(&store, vec![used(&ada, after(4))]).await;
    assert_same(&find(&store, ada.id).await, &ada);
}

/// Where somebody moved within the clock's precision, the later word counts.
pub async fn of_two_uses_in_one_millisecond_the_last_counts(store: AnyStore) {
    let ada = record(&person("ada"), after(5), &Dice::default());
    insert(&store, &ada).await;
    let used = used(&ada, after(5));
    touch(&store, vec![used.clone()]).await;
    assert_eq!(find(&store, ada.id).await.last, used.origin);
}

/// The sign-in itself stays on record.
pub async fn a_use_leaves_the_first_address_and_device_on_record(store: AnyStore) {
    let ada = record(&person("ada"), MORNING, &Dice::default());
    insert(&store, &ada).await;
    touch(&store, vec![used(&ada, after(5))]).await;
    assert_eq!(find(&store, ada.id).await.first, ada.first);
}

/// Neither does it bring one back, nor does an unknown one come to be.
pub async fn a_use_of_a_session_that_ended_changes_nothing(store: AnyStore) {
    let dice = Dice::default();
    let (ada, unknown) = (
        record(&person("ada"), MORNING, &dice),
        record(&person("ada"), MORNING, &dice),
    );
    insert(&store, &ada).await;
    end(&store, &ada, after(1), EndedBy::Command).await;
    touch(&store, vec![used(&ada, after(5)), used(&unknown, after(5))]).await;
    let found = find(&store, ada.id).await;
    assert_eq!(found.last_used_at, MORNING);
    assert!(found.ended.is_some());
    assert!(
        store
            .find(unknown.id)
            .await
            .expect("the store is in order")
            .is_none()
    );
}
