//! A session ends on purpose, and stays ended.

use super::{AnyStore, application};
use crate::account::AccountSource;
use crate::conformance::people::{HOUR, House, MORNING, account, after, person, settings};
use crate::session::EndedBy;
use crate::sessions::TerminateError;

/// Not only memory knows.
pub async fn a_terminated_session_is_refused_after_a_restart(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let (laptop, phone) = (
        house.sign_in(&ada, MORNING).await,
        house.sign_in(&ada, MORNING).await,
    );
    let ended = house
        .sessions
        .terminate(&ada.key, &[laptop.session.id], EndedBy::Command, after(2))
        .await;
    assert_eq!(ended.expect("it is Ada's"), 1);
    let house = house.restarted_with(settings(), after(3)).await;
    assert!(!house.accepts(&laptop.token, after(3)).await);
    assert!(house.accepts(&phone.token, after(3)).await);
}

/// Not even with its id in hand.
pub async fn another_accounts_session_cannot_be_terminated(store: AnyStore) {
    let house = House::open(store).await;
    let (ada, bob) = (house.sign_in(&person("ada"), MORNING).await, person("bob"));
    for _ in 0..2 {
        let by = EndedBy::Session(ada.session.id);
        let ended = house
            .sessions
            .terminate(&bob.key, &[ada.session.id], by, after(1))
            .await;
        assert!(matches!(ended, Err(TerminateError::NotFound)));
    }
    assert!(house.accepts(&ada.token, after(1)).await);
}

/// The second time is no error, and nothing new.
pub async fn terminating_twice_counts_once(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let id = house.sign_in(&ada, MORNING).await.session.id;
    let ended = house
        .sessions
        .terminate(&ada.key, &[id, id], EndedBy::Command, after(1))
        .await;
    assert_eq!(ended.expect("it is Ada's"), 1);
    let again = house
        .sessions
        .terminate(&ada.key, &[id], EndedBy::Command, after(2))
        .await;
    assert_eq!(again.expect("it was Ada's"), 0);
}

/// One foreign id, and none ends.
pub async fn terminating_several_is_all_or_nothing(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let (laptop, phone) = (
        house.sign_in(&ada, MORNING).await,
        house.sign_in(&ada, MORNING).await,
    );
    let foreign = house.sign_in(&person("bob"), MORNING).await;
    let ids = [laptop.session.id, foreign.session.id, phone.session.id];
    let ended = house
        .sessions
        .terminate(&ada.key, &ids, EndedBy::Command, after(1))
        .await;
    assert!(matches!(ended, Err(TerminateError::NotFound)));
    for created in [&laptop, &phone, &foreign] {
        assert!(house.accepts(&created.token, after(1)).await);
    }
    let ids = [laptop.session.id, phone.session.id];
    let ended = house
        .sessions
        .terminate(&ada.key, &ids, EndedBy::Command, after(2))
        .await;
    assert_eq!(ended.expect("both are Ada's"), 2);
    assert!(!house.accepts(&laptop.token, after(2)).await);
    assert!(!house.accepts(&phone.token, after(2)).await);
}

/// Expired ones leave the list as well.
pub async fn terminating_the_others_keeps_the_current_one(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let expired = house.sign_in(&ada, MORNING).await;
    let other = house.sign_in(&ada, after(2 * HOUR)).await;
    let current = house.sign_in(&ada, after(2 * HOUR)).await;
    let (keep, now) = (current.session.id, after(2 * HOUR + 1));
    let ended = house
        .sessions
        .terminate_others(&ada.key, Some(keep), EndedBy::Session(keep), now)
        .await;
    assert_eq!(ended.expect("it is Ada's"), 2);
    assert!(house.accepts(&current.token, now).await);
    assert!(!house.accepts(&other.token, now).await);
    assert!(!house.accepts(&expired.token, now).await);
    assert_eq!(house.listed(&ada, Some(keep), now).await, [keep]);
}

/// Nothing ends where the session to keep is somebody else's.
pub async fn terminating_others_needs_a_session_of_the_account(store: AnyStore) {
    let house = House::open(store).await;
    let (ada, bob) = (
        house.sign_in(&person("ada"), MORNING).await,
        house.sign_in(&person("bob"), MORNING).await,
    );
    let keep = Some(bob.session.id);
    let ended = house
        .sessions
        .terminate_others(&person("ada").key, keep, EndedBy::Command, after(1))
        .await;
    assert!(matches!(ended, Err(TerminateError::NotFound)));
    assert!(house.accepts(&ada.token, after(1)).await);
}

/// Also right after a restart, with nothing in memory.
pub async fn terminating_an_account_ends_all_of_it_and_nothing_else(store: AnyStore) {
    let house = House::open(store).await;
    let ada = person("ada");
    let (laptop, phone) = (
        house.sign_in(&ada, MORNING).await,
        house.sign_in(&ada, MORNING).await,
    );
    let bob = house.sign_in(&person("bob"), MORNING).await;
    let house = house.restarted_with(settings(), after(1)).await;
    assert!(house.accepts(&laptop.token, after(1)).await);
    let ended = house
        .sessions
        .terminate_account(&ada.key, EndedBy::Command, after(2))
        .await;
    assert_eq!(ended.expect("the store is in order"), 2);
    assert!(!house.accepts(&laptop.token, after(2)).await);
    assert!(!house.accepts(&phone.token, after(2)).await);
    assert!(house.accepts(&bob.token, after(2)).await);
}

/// The command of last resort.
pub async fn terminating_everything_ends_every_session(store: AnyStore) {
    let house = House::open(store).await;
    let mut created = Vec::new();
    for name in ["ada", "bob", "eve"] {
        created.push(house.sign_in(&person(name), MORNING).await);
    }
    assert_eq!(
        house
            .sessions
            .terminate_everything(after(1))
            .await
            .expect("the store is in order"),
        3
    );
    for created in &created {
        assert!(!house.accepts(&created.token, after(1)).await);
    }
}

/// What the removal of an application asks for.
pub async fn terminating_a_source_ends_every_account_of_it_and_nothing_else(store: AnyStore) {
    let house = House::open(store).await;
    let (shop, forum) = (application(1), application(2));
    let mut created = Vec::new();
    for (source, id) in [
        (shop, "ada"),
        (AccountSource::BuiltIn, "ada"),
        (shop, "bob"),
        (forum, "ada"),
    ] {
        let owner = account(source, id, id);
        created.push((source, house.sign_in(&owner, MORNING).await));
    }
    let ended = house.sessions.terminate_source(shop, after(1)).await;
    assert_eq!(ended.expect("the store is in order"), 2);
    for (source, created) in &created {
        assert_eq!(
            house.accepts(&created.token, after(1)).await,
            *source != shop,
            "{source:?}"
        );
    }
}
